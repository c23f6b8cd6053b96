"""Pages that need nothing but themselves: how they are rendered, guarded and written."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval_calibration._version import __version__
from lm_eval_calibration.errors import MissingExtraError
from lm_eval_calibration.files import PAGE, write_text
from lm_eval_calibration.logs.run import Run
from lm_eval_calibration.logs.secret_places import DATA, RESULTS
from lm_eval_calibration.redact import redact, secrets_in
from lm_eval_calibration.report import theme, wording
from lm_eval_calibration.texts import printable


def template(name: str) -> Any:
    """A page's template; everything that is put into it is escaped, figures aside.

    Before that characters that HTML forbids, or that would turn lines round, get a stand-in.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    try:
        import jinja2
        from markupsafe import Markup, escape
    except ImportError:
        raise MissingExtraError(
            "Reports need jinja2: pip install jinja2, or 'lm-eval-calibration[plots]'."
        ) from None

    def shown(value: Any) -> Any:
        return printable(value, lines=True) if type(value) is str else value

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=shown,
    )  # fmt: skip
    environment.filters["figure"] = lambda drawn: Markup(drawn.svg)  # our own SVG, escaped there
    environment.filters["breakable"] = lambda name: Markup("_<wbr>").join(
        escape(part) for part in printable(name).split("_")
    )
    environment.filters["percent"] = wording.percent
    return environment.get_template(name)


def write(
    path: Path,
    page: Any,
    fields: Mapping[str, Any],
    runs: Sequence[Run],
    *,
    script: str = "",
    overwrite: bool = False,
) -> Path:
    """Render a page and write it, without what the runs keep secret.

    Args:
        path: where to; its folder is made.
        page: a `template`.
        fields: what it shows.
        runs: what it is about.
        script: the name of the only script that the page may run.
        overwrite: whether a file that is no page of ours may be replaced.

    Raises:
        OutputError: something else stands at `path`, or it cannot be written to.
    """
    from markupsafe import Markup

    code = _text(script) if script else ""
    text = page.render(
        **fields,
        light=theme.LIGHT,
        dark=theme.DARK,
        version=__version__,
        script=Markup(code),  # our own
        script_hash=Markup(_hash(code)),
    )
    write_text(path, redact(text, _secrets(runs), DATA), PAGE, overwrite=overwrite)
    return path


def _text(name: str) -> str:
    folder = importlib.resources.files("lm_eval_calibration.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def _hash(code: str) -> str:
    """What a Content-Security-Policy calls a script by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}"


def _secrets(runs: Sequence[Run]) -> set[str]:
    """What no part of the page may tell, wherever it comes from."""
    found = {secret for run in runs for s in run.samples.values() for secret in s.secrets}
    return found.union(*(secrets_in(*run.results, place=RESULTS) for run in runs))
