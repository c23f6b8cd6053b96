"""Figures as SVG text: the same bytes every time, one per file or many in one page."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from lm_eval_calibration.files.marks import NAME
from lm_eval_calibration.report import theme
from lm_eval_calibration.texts import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
_FILE_FONT = "'DejaVu Sans', Verdana, sans-serif"
_GEOMETRY = ("d", "x", "y", "width", "height", "transform", "points")
TIP = "tip:"
"""What a matplotlib artist's `gid` starts with if the rest is a tooltip."""


def svg_text(figure: Figure, label: str, *, key: str = "", themed: bool = False) -> str:
    """A figure as an SVG element that scales with its container.

    Args:
        figure: drawn in `theme.style`.
        label: the finding in words, for readers who cannot see it.
        key: put before every id, so that figures of one page do not collide.
        themed: colours and fonts by the page's CSS variables instead of their light values.
    """
    root = _clean(figure)
    _name_ids(root, key)
    for element in root.iter():
        if "style" in element.attrib:
            element.attrib["style"] = _restyle(element.attrib["style"], themed)
        for name in _GEOMETRY:
            if name in element.attrib:
                element.attrib[name] = _shorten(element.attrib[name])
        if element.attrib.get("transform", "").startswith("rotate(-0 "):
            del element.attrib["transform"]
    _flatten(root)
    _, _, width, height = root.attrib["viewBox"].split()
    size = {} if themed else {"width": width, "height": height}
    alone = {"xmlns": _SVG.strip("{}"), "data-generator": NAME, "font-family": _FILE_FONT}
    root.attrib = {
        **({} if themed else alone), "viewBox": root.attrib["viewBox"], **size, "role": "img",
        "aria-label": printable(label), "stroke-linejoin": "round",
    }  # fmt: skip
    return ElementTree.tostring(root, encoding="unicode")


def show(figure: Figure) -> Figure:
    """Make every text and tooltip of a figure fit for a file; what they say may be anybody's."""
    for artist in figure.findobj():
        if (tip := artist.get_gid()) is not None:
            artist.set_gid(printable(tip))
        if isinstance(artist, theme.matplotlib("text").Text):
            artist.set_text(printable(artist.get_text(), lines=True))
    return figure


def _clean(figure: Figure) -> ElementTree.Element:
    """What matplotlib wrote, without namespaces, metadata and the style sheet that would leak."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    show(figure).savefig(buffer, format="svg", metadata=nothing)
    root = ElementTree.fromstring(buffer.getvalue())  # our own output: no entities to fear
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        element.attrib = {k.removeprefix(_XLINK): v for k, v in element.attrib.items()}
        element.tail = None
        if element.tag != "text" and element.text and not element.text.strip():
            element.text = None
    return root


def _name_ids(root: ElementTree.Element, key: str) -> None:
    """Ids that something refers to get `key` and a number; tooltips become titles; others go."""
    used: dict[str, str] = {}
    for element in root.iter():
        for name, value in element.attrib.items():
            for target in re.findall(r"url\(#(.*?)\)", value) + (
                [value[1:]] if name == "href" else []
            ):
                used.setdefault(target, f"{key}-{len(used)}" if key else f"i{len(used)}")
    for element in list(root.iter()):
        identity = element.attrib.pop("id", "")
        if identity in used:
            element.attrib["id"] = used[identity]
        elif identity.startswith(TIP):
            title = ElementTree.Element("title")
            title.text = identity.removeprefix(TIP)
            element.insert(0, title)
        for name, value in element.attrib.items():
            if name == "href":
                element.attrib[name] = f"#{used[value[1:]]}"
            elif "url(#" in value:
                element.attrib[name] = re.sub(
                    r"url\(#(.*?)\)", lambda m: f"url(#{used[m.group(1)]})", value
                )


def _restyle(style: str, themed: bool) -> str:
    """A style attribute that leaves the font's family to the root, and colours by role."""
    style = re.sub(r"font: (?:(\d+|bold) )?([\d.]+px) [^;]*", _apart, style)
    style = re.sub(r"font-family: [^;]*;? ?", "", style)
    if themed:
        for role, colour in theme.LIGHT.items():
            style = style.replace(colour, f"var(--{role})")
    return style.replace("; ", ";").replace(": ", ":")


def _apart(font: re.Match[str]) -> str:
    """CSS's shorthand for a font, which older releases of matplotlib write, as its parts."""
    weight, size = font.groups()
    return f"font-size: {size}" + (f"; font-weight: {weight}" if weight else "")


def _shorten(numbers: str) -> str:
    """Two decimals are a fiftieth of a pixel."""
    short = re.sub(
        r"-?\d+\.\d+(?:e-\d+)?",
        lambda m: f"{float(m.group()):.2f}".rstrip("0").rstrip(".") or "0",
        numbers,
    )
    return re.sub(r"\s+", " ", short).strip()


def _flatten(element: ElementTree.Element) -> None:
    """Take out groups that say nothing, and definitions that are empty."""
    children = []
    for child in element:
        _flatten(child)
        if child.tag == "defs" and not len(child):
            continue
        if child.tag == "g" and not child.attrib and not (len(child) and child[0].tag == "title"):
            children += list(child)
        else:
            children.append(child)
    element[:] = children
