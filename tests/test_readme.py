"""What the README shows is run: its Python, its YAML, the names and links it mentions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from logged_lines import line

from lm_eval_calibration.metrics import DEFAULT_METRICS, METRICS, bind

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
README = PAGES[0].read_text(encoding="utf-8")


def blocks(language: str, page: str = README) -> list[str]:
    """Fenced blocks of a page, without their list indent."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)
    return [re.sub(f"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def test_python(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("python")
    exec(compile(code, "README.md", "exec"), {})
    value, stderr, *_ = capsys.readouterr().out.split()
    assert 0 < float(value) < 1
    assert float(stderr) >= 0


def test_python_on_logged_samples(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """docs/offline.md, on a file of the name that it reads."""
    (code,) = blocks("python", (ROOT / "docs" / "offline.md").read_text(encoding="utf-8"))
    (name,) = re.findall(r'load_samples\("(.*?)"\)', code)
    Path(name).parent.mkdir(parents=True)
    lines = [line(i, scores=[-1.0 - 0.1 * i, -2.0], target=str(i % 2)) for i in range(20)]
    Path(name).write_text("".join(json.dumps(sample) + "\n" for sample in lines))
    exec(compile(code, "offline.md", "exec"), {})
    assert "ece 0." in capsys.readouterr().out
    assert Path("arc_easy.png").stat().st_size > 10_000


def test_yaml() -> None:
    (text,) = blocks("yaml")
    config = yaml.safe_load(text.replace("!function ", ""))
    for metric in config["metric_list"][1:]:
        name = metric.pop("metric")
        assert bind(name, metric).name == name


def test_every_metric_is_named() -> None:
    definitions = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for name in METRICS:
        assert f"`{name}" in definitions, name
    assert DEFAULT_METRICS == ("nll", "brier", "ece", "ece_null", "ace", "mce", "auroc", "aurc")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target
