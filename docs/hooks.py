"""mkdocs: the benchmarks' page joins the documentation, under the links that the repository has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

PAGE = "benchmarks.md"


def on_files(files: Files, config: Any) -> Files:
    """Add the page of `benchmarks/`."""
    source = Path(config.config_file_path).parent / "benchmarks" / "README.md"
    text = source.read_text(encoding="utf-8").replace("](../docs/", "](")
    files.append(File.generated(config, PAGE, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Point to it by its place on the site."""
    return markdown.replace("](../benchmarks/README.md", f"]({PAGE}")
