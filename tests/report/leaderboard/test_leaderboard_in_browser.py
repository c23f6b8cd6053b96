"""The leaderboard's page in a real browser: it sorts, it filters, and nothing else happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from in_browser import NARROW, WIDE, asked, contrast, evaluate, screenshot, show

from lm_eval_calibration.analysis.leaderboard import Leaderboard
from lm_eval_calibration.logs.run import Run
from lm_eval_calibration.report.leaderboard.page import write_leaderboard
from lm_eval_calibration.texts import printable

HEADS = "[...document.querySelectorAll('#models thead th')]"
ROWS = "[...document.querySelectorAll('#models tbody tr')]"


@pytest.fixture(scope="module")
def address(board: Leaderboard, runs: list[Run], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "leaderboard.html"
    return write_leaderboard(board, runs, path, title="5 models").as_uri()


def click(browser: Any, column: str) -> None:
    evaluate(browser, f"{HEADS}.find(h => h.innerText.startsWith('{column}')).firstChild.click()")


def shown(browser: Any) -> Any:
    return evaluate(browser, f"{ROWS}.filter(r => !r.hidden).map(r => r.dataset.model)")


def find(browser: Any, text: str) -> None:
    evaluate(
        browser,
        f"{{ const f = document.querySelector('.filter input'); f.value = '{text}';"
        "f.dispatchEvent(new Event('input')) }",
    )


def test_it_is_quiet_and_alone(browser: Any, address: str) -> None:
    assert {address} <= asked(browser, address) <= {address, "data:,"}


def test_columns_sort_both_ways(browser: Any, address: str, board: Leaderboard) -> None:
    show(browser, address)
    by_place = [printable(s.model) for s in board.standings]
    assert shown(browser) == by_place
    for column, better in (("acc", -1), ("nll", 1), ("ece", 1)):
        values = {printable(s.model): better * s.figures[column].value for s in board.standings}
        click(browser, column)
        assert shown(browser) == sorted(by_place, key=values.__getitem__)
        click(browser, column)
        assert shown(browser) == sorted(by_place, key=values.__getitem__, reverse=True)
    click(browser, "place")
    assert shown(browser) == by_place
    sorts = "document.querySelectorAll('#models [aria-sort]').length"
    assert evaluate(browser, sorts) == 1


def test_heat_maps_sort_by_task(browser: Any, address: str, board: Leaderboard) -> None:
    show(browser, address)
    evaluate(browser, "document.querySelectorAll('.heat')[0].querySelectorAll('button')[1].click()")
    rows = "[...document.querySelectorAll('.heat')[0].tBodies[0].rows].map(r => r.dataset.model)"
    task = next(iter(board.tasks))
    values = {printable(s.model): -s.tasks["acc"][task].value for s in board.standings}
    assert evaluate(browser, rows) == sorted(values, key=values.__getitem__)


def test_models_are_found_by_words(browser: Any, address: str) -> None:
    show(browser, address)
    find(browser, "ORG a")
    assert set(shown(browser)) == {"org/large", "org/small"}
    assert evaluate(browser, "document.querySelector('output').textContent") == "2 of 5 models"
    hidden = "document.querySelectorAll('details[data-model][hidden]').length"
    assert evaluate(browser, hidden) == 3
    find(browser, "")
    assert len(shown(browser)) == 5 and evaluate(browser, hidden) == 0


def test_hostile_names_do_nothing(browser: Any, address: str) -> None:
    show(browser, address)
    evaluate(
        browser,
        "document.querySelectorAll('*').forEach(e => e.dispatchEvent(new Event('mouseover')))",
    )
    assert evaluate(browser, "typeof window.hacked") == "undefined"
    assert evaluate(browser, "document.scripts.length") == 1
    text = evaluate(browser, "document.body.innerText")
    assert "<script>window.hacked=1</script>" in text and "{{ 7 * 7 }}" in text


def test_it_is_whole_without_scripts(browser: Any, address: str) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(address)
        found = browser.find_elements("css selector", "#models tbody tr")
        assert len(found) == 5 and all(row.is_displayed() for row in found)
        assert not browser.find_element("css selector", ".filter").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.mark.parametrize("width", [320, NARROW, WIDE])
def test_the_page_never_scrolls_sideways(browser: Any, address: str, width: int) -> None:
    show(browser, address, width)
    assert evaluate(browser, "document.documentElement.scrollWidth") <= width


def test_light_and_dark_are_readable(browser: Any, address: str, artefacts: Path) -> None:
    """Also on the deepest cell of a heat map."""
    for scheme in ("light", "dark"):
        show(browser, address, WIDE, scheme)
        screenshot(browser, artefacts / f"leaderboard-{scheme}.png")
        paper = evaluate(browser, "getComputedStyle(document.body).backgroundColor")
        for selector in ("body", "thead button", ".half", ".note"):
            ink = evaluate(browser, f"getComputedStyle(document.querySelector('{selector}')).color")
            assert contrast(ink, paper) >= 4.5, (scheme, selector)
    show(browser, address, NARROW)
    screenshot(browser, artefacts / "leaderboard-narrow.png")


def test_a_model_leads_to_its_diagrams(browser: Any, address: str) -> None:
    show(browser, address)
    evaluate(browser, "document.querySelectorAll('details').forEach(d => d.open = false)")
    evaluate(browser, "document.querySelector('#models tbody a').click()")
    assert evaluate(browser, "document.querySelector(location.hash).closest('details').open")
