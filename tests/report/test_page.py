"""The report's page, read as text and as elements."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lm_eval_calibration import Predictions
from lm_eval_calibration.analysis.scores import score_all
from lm_eval_calibration.errors import InvalidInputError, MissingExtraError
from lm_eval_calibration.logs import Run, Samples, scopes
from lm_eval_calibration.report.page import write_report

VOID = {"meta", "link", "br", "wbr", "img", "input", "hr"}


class Page(HTMLParser):
    """Elements with their attributes, the text, and whether every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.stack: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def folder(reported: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a report and its figures."""
    path = tmp_path_factory.mktemp("page") / "new"
    figures = path / "figures"
    write_report(*reported, path / "report.html", figures=figures, formats=("svg",))
    return path


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def run_of(label: str = "", **tasks: Predictions) -> Run:
    samples = {
        name: Samples(label, name, Path("table.csv"), predictions)
        for name, predictions in tasks.items()
    }
    return Run(label, samples)


def written(run: Run, path: Path, metrics: list[str] | None = None) -> str:
    scored = score_all(list(scopes(run)), metrics, replicates=50)
    return write_report([run], scored, path / "report.html").read_text(encoding="utf-8")


def test_nothing_in_it_runs_or_is_fetched(page: Page) -> None:
    assert page.stack == []
    allowed = {"circle", "clippath", "defs", "ellipse", "g", "line", "path", "pattern", "rect"}
    allowed |= {"svg", "text", "title", "use", "a", "abbr", "b", "body", "br", "dd", "details"}
    allowed |= {"div", "dl", "dt", "figcaption", "figure", "footer", "h1", "h2", "h3", "h4"}
    allowed |= {"head", "header", "html", "li", "link", "main", "meta", "p", "pre", "section"}
    allowed |= {
        "span",
        "style",
        "summary",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
        "wbr",
    }
    assert {tag for tag, _ in page.elements} <= allowed
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert (attributes.get("href") or "#").startswith(("#", "data:,")), tag
        assert "src" not in attributes, tag
    policies = [a["content"] for t, a in page.elements if a.get("http-equiv")]
    assert policies == [
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    ]
    assert [tag for tag, _ in page.elements].count("style") == 1


def test_hostile_documents_are_text(page: Page, text: str) -> None:
    content = "".join(page.texts)
    for hostile in ("<script>window.hacked=1</script>", "</pre></details></main>", "{{ 7 * 7 }}"):
        assert hostile in content
    assert "<script" not in text


def test_ids_are_unique_and_links_lead_somewhere(page: Page) -> None:
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    links = {a["href"] for _, a in page.elements if str(a.get("href")).startswith("#")}
    assert {link[1:] for link in links if link} <= set(ids)
    used = {target for _, a in page.elements for target in re.findall(r"url\(#(.*?)\)", str(a))}
    assert used <= set(ids)


def test_every_figure_says_its_finding(page: Page) -> None:
    figures = [a for tag, a in page.elements if tag == "svg" and "forest" not in str(a)]
    assert len(figures) == 2 * 4 * 3 + 2  # two runs, three tasks and a group; two heat maps
    for attributes in figures:
        assert attributes["role"] == "img"
        assert "width" not in attributes
        assert re.search(r"ECE [01]|AUROC|AURC [01]|Each square", attributes["aria-label"] or "")


def test_what_was_read_and_how_it_was_made(page: Page) -> None:
    content = re.sub(r" (?=[,:])", "", " ".join(" ".join(page.texts).replace("_ ", "_").split()))
    assert "Calibration of 2 runs" in content
    assert "large: 3 tasks, 107 documents, run on 2026-01-02 03:04 UTC" in content
    assert "evaluation time 1 min 15 s" in content
    assert "seeds random 0, numpy 1234" in content
    assert "toy_a, version 1.0, 0-shot" in content
    assert "large · toy_hostile" in content


def test_same_input_same_bytes(reported: Any, tmp_path: Path, folder: Path, text: str) -> None:
    figures = tmp_path / "figures"
    again = write_report(*reported, tmp_path / "again.html", figures=figures, formats=("svg",))
    assert again.read_text(encoding="utf-8") == text
    same_figures(folder / "figures", figures, 2 * 4 * 3 + 2)


@pytest.mark.exhaustive
def test_same_input_same_pictures(reported: Any, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        write_report(*reported, tmp_path / "page.html", figures=folder, formats=("svg", "png"))
    same_figures(one, two, 2 * (2 * 4 * 3 + 2))


def same_figures(one: Path, two: Path, count: int) -> None:
    names = sorted(path.name for path in one.glob("[!.]*"))
    assert len(names) == count
    assert "large-toy_a-reliability.svg" in names
    for name in names:
        assert re.fullmatch(r"[\w.-]+\.(svg|png)", name)
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_progress_is_told_of_every_scope(reported: Any, tmp_path: Path) -> None:
    told: list[str] = []
    write_report(*reported, tmp_path / "report.html", examples=0, progress=told.append)
    assert len(told) == len(reported.scored)
    assert "small · toy" in told
    assert "over-confident wrong" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_names_of_figures_are_safe_and_apart(tmp_path: Path) -> None:
    p = Predictions.from_confidences([0.7, 0.6], [1, 0])
    run = run_of("../../etc", **{"a/b": p, "a b": p, "A-B": p})
    scored = score_all(list(scopes(run)), ["acc", "ece"], replicates=10)
    folder = tmp_path / "figures"
    write_report([run], scored, tmp_path / "r.html", figures=folder, formats=["svg"])
    names = {path.name for path in folder.glob("[!.]*")}
    assert {"a-b-histogram.svg", "a-b-histogram-2.svg", "A-B-histogram-3.svg"} <= names
    assert len(names) == 10
    with pytest.raises(InvalidInputError, match="among svg, png, got 'gif'"):
        write_report([run], scored, tmp_path / "r.html", formats=["gif"])


def test_confidences_alone(tmp_path: Path) -> None:
    """No options: a dash for nll and brier, no examples, no heat map of a single task."""
    run = run_of(table=Predictions.from_confidences([0.9, 0.2], [1, 0]))
    content = written(run, tmp_path)
    assert content.count('<abbr title="only confidences are known">-</abbr>') == 2
    assert "over-confident wrong" not in content
    assert "Where confidence and accuracy part" not in content
    assert "No results file of the harness was read" in content


def test_one_document_and_all_right(tmp_path: Path) -> None:
    run = run_of(
        one=Predictions.from_confidences([0.7], [1]),
        certain=Predictions.from_options([[0.0, -float("inf")]] * 3, [0, 0, 1]),
    )
    content = written(run, tmp_path)
    assert '<abbr title="every answer is right, so there is no wrong one to rank below">' in content
    assert '<abbr title="a right option has probability 0, so nll is infinite">∞</abbr>' in content


def test_without_intervals_and_with_other_metrics(tmp_path: Path) -> None:
    run = run_of(task=Predictions.from_confidences([0.9, 0.2, 0.6], [1, 0, 0]))
    scored = score_all(list(scopes(run)), ["acc", "ece"], replicates=0)
    path = write_report([run], scored, tmp_path / "values.html")
    assert "ECE 0.300." in path.read_text(encoding="utf-8")
    assert "Mean confidence 56.7 %" in written(run, tmp_path, ["brier_reliability"])


def test_names_that_no_encoding_holds(tmp_path: Path) -> None:
    p = Predictions.from_confidences([0.9, 0.2], [1, 0])
    run = run_of("lone \ud800", **{"bell \u0007": p, "<b>&\ud800": p})
    scored = score_all(list(scopes(run)), ["acc", "ece"], replicates=10)
    path = write_report([run], scored, tmp_path / "r.html", figures=tmp_path, formats=["svg"])
    Page(path.read_text(encoding="utf-8"))


def test_files_that_have_gone_since(reported: Any, tmp_path: Path) -> None:
    run = reported.runs[0]
    samples = run.samples["toy_b"]
    lost = Samples(
        samples.run, "toy_b", tmp_path / "gone.jsonl", samples.predictions, offset=samples.offset
    )
    content = written(Run(run.label, {"toy_b": lost}), tmp_path)
    assert "No over-confident wrong answers of toy_b to show:" in content


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no task was scored"):
        write_report([], [], tmp_path / "report.html")


def test_without_jinja(reported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"lm-eval-calibration\[plots\]"):
        write_report(*reported, tmp_path / "report.html")
