"""The report's page in a real browser: it works from disk, asks for nothing and runs nothing.

Screenshots are kept in the folder that `LM_EVAL_CALIBRATION_ARTEFACTS` names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from in_browser import NARROW, WIDE, asked, contrast, evaluate, screenshot, show

from lm_eval_calibration.report.page import write_report


@pytest.fixture(scope="module")
def address(reported: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(*reported, tmp_path_factory.mktemp("page") / "report.html").as_uri()


def test_it_is_quiet_and_alone(browser: Any, address: str) -> None:
    assert {address} <= asked(browser, address) <= {address, "data:,"}


def test_hostile_documents_do_nothing(browser: Any, address: str) -> None:
    show(browser, address)
    assert evaluate(browser, "typeof window.hacked") == "undefined"
    assert evaluate(browser, "document.scripts.length") == 0
    assert evaluate(browser, "document.images.length") == 0
    assert evaluate(browser, "document.querySelectorAll('a[href^=javascript]').length") == 0
    assert evaluate(browser, "getComputedStyle(document.body).display") == "block"
    assert "<script>window.hacked=1</script>" in evaluate(browser, "document.body.innerText")
    hover = "document.querySelectorAll('*').forEach(e => e.dispatchEvent(new Event('mouseover')))"
    evaluate(browser, hover)
    assert evaluate(browser, "typeof window.hacked") == "undefined"


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_every_figure_is_seen_whole(browser: Any, address: str, width: int) -> None:
    show(browser, address, width)
    boxes = evaluate(
        browser,
        "[...document.querySelectorAll('svg')].map(s => { const b = s.getBoundingClientRect();"
        "return [b.left, b.right, b.width, b.height, s.closest('.scroll') !== null] })",
    )
    assert len(boxes) >= 2 * 4 * 3 + 2
    for left, right, wide, high, in_table in boxes:
        assert wide > 50 and high > 10
        assert in_table or (left >= 0 and right <= width)


def test_text_of_figures_is_readable_on_a_telephone(browser: Any, address: str) -> None:
    """At least 9 px, and no text of a figure leaves it."""
    show(browser, address, NARROW)
    sizes = evaluate(
        browser,
        "[...document.querySelectorAll('figure svg text')].map(t => parseFloat("
        "getComputedStyle(t).fontSize) * t.ownerSVGElement.getBoundingClientRect().width /"
        "t.ownerSVGElement.viewBox.baseVal.width)",
    )
    assert min(sizes) >= 9
    outside = evaluate(
        browser,
        "[...document.querySelectorAll('figure svg text')].filter(t => {"
        "const b = t.getBoundingClientRect(), s = t.ownerSVGElement.getBoundingClientRect();"
        "return b.left < s.left - 1 || b.right > s.right + 1 || b.bottom > s.bottom + 1"
        "}).map(t => t.textContent)",
    )
    assert outside == []


@pytest.mark.parametrize("width", [320, NARROW, 768, WIDE])
def test_the_page_never_scrolls_sideways(browser: Any, address: str, width: int) -> None:
    show(browser, address, width)
    assert evaluate(browser, "document.documentElement.scrollWidth") <= width


def test_links_open_their_section(browser: Any, address: str) -> None:
    show(browser, address)
    evaluate(browser, "document.querySelectorAll('details').forEach(d => d.open = false)")
    evaluate(browser, "document.querySelector('tbody a').click()")
    opened = "document.querySelector(location.hash).closest('details').open"
    assert evaluate(browser, opened) is True


def test_light_and_dark_are_readable(browser: Any, address: str, artefacts: Path) -> None:
    """Body text and quiet text reach AA (4.5 : 1) in both; figures take the page's colours."""
    papers = set()
    for scheme in ("light", "dark"):
        show(browser, address, WIDE, scheme)
        screenshot(browser, artefacts / f"report-{scheme}.png")
        paper = evaluate(browser, "getComputedStyle(document.body).backgroundColor")
        papers.add(paper)
        for selector in ("body", "a", ".quiet", ".mark", "figcaption", ".tag.gold", "thead th"):
            ink = evaluate(browser, f"getComputedStyle(document.querySelector('{selector}')).color")
            assert contrast(ink, paper) >= 4.5, (scheme, selector)
        fill = "getComputedStyle(document.querySelector('figure svg text')).fill"
        assert contrast(evaluate(browser, fill), paper) >= 4.5
    assert len(papers) == 2
    show(browser, address, NARROW)
    screenshot(browser, artefacts / "report-narrow.png")
    assert (artefacts / "report-narrow.png").stat().st_size > 10_000
