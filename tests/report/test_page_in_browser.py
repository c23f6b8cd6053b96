"""The report's page in a real browser: it works from disk, asks for nothing and runs nothing.

Screenshots are kept in the folder that `LM_EVAL_CALIBRATION_ARTEFACTS` names.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lm_eval_calibration.report.page import write_report

selenium = pytest.importorskip("selenium", reason="selenium is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="no chromium and chromedriver on this machine"
)
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
WIDE, NARROW = 1200, 400


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium with a profile of its own, which logs what it says and asks for."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(executable_path=str(DRIVER)))
    yield driver
    driver.quit()
    connection = driver.command_executor  # selenium leaves its socket to the garbage collector
    connection.close()


@pytest.fixture(scope="module")
def address(reported: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(*reported, tmp_path_factory.mktemp("page") / "report.html").as_uri()


@pytest.fixture
def artefacts(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("LM_EVAL_CALIBRATION_ARTEFACTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def show(browser: Any, address: str, width: int = WIDE, scheme: str = "light") -> None:
    """Open the page at a width, in a colour scheme, with everything unfolded."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == NARROW}
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(address)
    evaluate(browser, "document.querySelectorAll('details').forEach(d => d.open = true)")


def evaluate(browser: Any, expression: str) -> Any:
    """The value of an expression, asked by the debugger (the page itself may run nothing)."""
    found = browser.execute_cdp_cmd(
        "Runtime.evaluate", {"expression": expression, "returnByValue": True}
    )
    assert "exceptionDetails" not in found, found
    return found["result"].get("value")


def screenshot(browser: Any, path: Path) -> None:
    import base64

    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": False})
    path.write_bytes(base64.b64decode(shot["data"]))


def test_it_is_quiet_and_alone(browser: Any, address: str) -> None:
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    show(browser, address)
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert set(asked) <= {address, "data:,"}
    assert address in asked


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


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours `rgb(r, g, b)`."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(c) / 255 for c in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
