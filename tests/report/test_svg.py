"""SVG that many figures of one page can share."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from lm_eval_calibration import Predictions
from lm_eval_calibration.report import theme
from lm_eval_calibration.report.figures import KINDS, Artist, panel
from lm_eval_calibration.report.svg import _restyle, svg_text

PREDICTIONS = Predictions.from_confidences([0.9, 0.4, 0.6, 0.95], [1, 0, 0, 1])


def drawn(kind: str, **options: object) -> str:
    with theme.style():
        figure, ax = panel(KINDS[kind])
        KINDS[kind].draw(ax, KINDS[kind].prepare(PREDICTIONS))
        return svg_text(figure, "the <finding>", **options)


@pytest.mark.parametrize("kind", KINDS)
def test_themed(kind: str) -> None:
    text = drawn(kind, key="k", themed=True)
    root = ElementTree.fromstring(text)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == "the <finding>"
    assert "width" not in root.attrib
    assert not re.findall(r"#[0-9a-f]{6}\b", text), "a colour that does not follow the theme"
    assert "var(--" in text and "font-family" not in text
    assert "<style" not in text and "<metadata" not in text
    ids = re.findall(r' id="(.*?)"', text)
    assert all(re.fullmatch(r"k-\d+", identity) for identity in ids)
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) == set(ids)


@pytest.mark.parametrize("kind", KINDS)
def test_siblings_have_one_silhouette(kind: str) -> None:
    assert f'viewBox="0 0 {theme.WIDTH} {theme.HEIGHT}"' in drawn(kind, themed=True)
    module = KINDS[kind]
    assert module.NAME and module.prepare.__doc__ and module.caption.__doc__ and module.draw.__doc__


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_stands_alone(kind: str) -> None:
    text = drawn(kind)
    assert text.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "var(--" not in text
    assert text.count("font-family") == 1
    assert f'width="{theme.WIDTH}"' in text


def test_text_stays_text() -> None:
    assert ">confidence</text>" in drawn("reliability", themed=True)


def test_same_bytes() -> None:
    assert drawn("reliability", key="a", themed=True) == drawn("reliability", key="a", themed=True)


def test_an_artist_gives_every_figure_its_own_ids() -> None:
    artist = Artist(None)
    figures = artist.scope("task", PREDICTIONS, {}) + artist.scope("task", PREDICTIONS, {})
    ids = [i for figure in figures for i in re.findall(r' id="(.*?)"', figure.svg)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("weight", ["", "700 "])
def test_fonts_in_shorthand_too(weight: str) -> None:
    """As matplotlib wrote them before 3.11."""
    style = f"font: {weight}9.5px 'DejaVu Sans', sans-serif; text-anchor: middle"
    bold = "font-weight:700;" if weight else ""
    assert _restyle(style, themed=True) == f"font-size:9.5px;{bold}text-anchor:middle"
