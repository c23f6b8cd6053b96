"use strict";
// Tables are sorted by a click on a column's name, and rows and sections kept by words in their names.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const ranked = [...body.rows];
  const key = (row, column) => row.cells[column].dataset.value ?? "";
  const compare = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
  heads.forEach((head, column) => {
    if (!head.dataset.first) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const next = now ? (now === "ascending" ? "descending" : "ascending") : head.dataset.first;
      const sign = next === "ascending" ? 1 : -1;
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", next);
      const rows = [...ranked].sort((a, b) => {
        const [x, y] = [key(a, column), key(b, column)];
        if (x === "" || y === "") return (x === "") - (y === "");
        return sign * compare(x, y);
      });
      body.append(...rows);
    });
  });
}
const bar = document.querySelector(".filter");
const field = bar.querySelector("input");
const count = bar.querySelector("output");
bar.hidden = false;
field.addEventListener("input", () => {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const element of document.querySelectorAll("[data-model]")) {
    const name = element.dataset.model.toLowerCase();
    element.hidden = !words.every(word => name.includes(word));
  }
  const rows = [...document.querySelectorAll("#models tbody tr")];
  const shown = rows.filter(row => !row.hidden).length;
  count.textContent = words.length ? `${shown} of ${rows.length} models` : "";
});
