"""The documentation as pages: every link and every anchor is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from lm_eval_calibration.metrics import METRICS
from lm_eval_calibration.models import MODELS

ROOT = Path(__file__).resolve().parents[1]


def test_pages_are_built_without_a_warning(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    for page in (*(ROOT / "docs").glob("*.md"), ROOT / "docs" / "benchmarks.md"):
        name = "." if page.stem == "index" else page.stem
        assert (tmp_path / name / "index.html").is_file(), page.stem
    reference = (tmp_path / "metric-reference" / "index.html").read_text(encoding="utf-8")
    for metric in METRICS:
        assert f"<code>{metric}" in reference, metric


def test_every_model_of_ours_is_named() -> None:
    page = (ROOT / "docs" / "harness.md").read_text(encoding="utf-8")
    for name in MODELS:
        assert f"`{name}`" in page, name


def test_every_method_has_a_page_of_one_shape() -> None:
    """Its idea and commands, its formula, real figures, and when not to use it."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    methods = navigation.partition("- Methods:")[2].partition("- Reference:")[0]
    pages = re.findall(r": ([\w-]+\.md)", methods)
    assert len(pages) == 13
    for name in pages:
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert re.search(r"^```\nlm[_-]", text, re.MULTILINE), name
        assert any(heading.startswith("Formula") for heading in headings), name
        assert any(re.match("What it|Real runs", heading) for heading in headings), name
        assert headings[-1] == "When not to use it", name
