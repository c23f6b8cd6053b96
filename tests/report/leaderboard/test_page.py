"""The leaderboard's page: what stands in it, and that nothing of it runs but its own script."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lm_eval_calibration.analysis.leaderboard import Leaderboard, leaderboard
from lm_eval_calibration.errors import OutputError
from lm_eval_calibration.logs.run import Run
from lm_eval_calibration.report.leaderboard import page
from lm_eval_calibration.report.leaderboard.by_task import DEEPEST, by_task
from lm_eval_calibration.report.leaderboard.page import write_leaderboard


class Tags(HTMLParser):
    """Tags by name, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def text(board: Leaderboard, runs: list[Run], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "new" / "leaderboard.html"
    return write_leaderboard(board, runs, path, title="5 models").read_text(encoding="utf-8")


def test_same_input_same_bytes(
    board: Leaderboard, runs: list[Run], text: str, tmp_path: Path
) -> None:
    again = write_leaderboard(board, runs, tmp_path / "again.html", title="5 models")
    assert again.read_text(encoding="utf-8") == text


def test_only_its_own_script_may_run(text: str) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert "default-src 'none'" in policy
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert re.findall(r"script-src ([^;]*);", policy) == [f"'sha256-{digest}'"]
    tags = Tags(text).found
    assert [tag for tag, _ in tags].count("script") == 1
    assert not [a for _, attrs in tags for a in attrs if a.startswith("on")]
    assert not [a for _, attrs in tags for a in ("src", "srcset") if a in attrs]


def test_every_model_has_its_figures(board: Leaderboard, text: str) -> None:
    tags = Tags(text).found
    rows = [attrs["data-model"] for tag, attrs in tags if tag == "tr" and "data-model" in attrs]
    assert len(rows) == len(board.standings) * (1 + len(board.metrics))
    best = board.standings[0]
    assert rows[0] == best.model == "org/large"
    for name in board.metrics:
        assert f'data-value="{best.figures[name].value}"' in text
    links = [attrs["href"] for tag, attrs in tags if tag == "a"]
    anchors = {attrs.get("id") for _, attrs in tags}
    assert {str(link).removeprefix("#") for link in links} <= anchors
    assert text.count('role="img"') == 2 * 5 - 1 + 5 * 3  # intervals, metrics in pairs, diagrams


def test_many_models_have_one_diagram_each(
    board: Leaderboard, runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MANY", 14)
    told: list[str] = []
    path = tmp_path / "page.html"
    write_leaderboard(board, runs, path, title="5 models", progress=told.append)
    text = path.read_text(encoding="utf-8")
    assert text.count('role="img"') == 2 * 5 - 1 + 5
    assert "One diagram of the documents of all tasks together" in text
    assert told == [s.model for s in board.standings]


def test_the_best_of_a_task_is_deepest(board: Leaderboard) -> None:
    for metric, best in (("acc", max), ("nll", min)):
        found = by_task(board, metric)
        assert [name for name, _ in found.tasks] == list(board.tasks)
        for column in zip(*found.rows, strict=True):
            values = [square.value for square in column]
            deepest = max(column, key=lambda square: square.depth)
            assert deepest.value == best(v for v in values if v is not None)
            assert deepest.depth == DEEPEST and min(s.depth for s in column) == 0


def test_one_task_or_pooled_have_no_heat_map(runs: list[Run], tmp_path: Path) -> None:
    for number, options in enumerate(({"tasks": ["mmlu_law"]}, {"pooled": True})):
        board = leaderboard(runs, ["acc", "ece"], replicates=20, **options)  # type: ignore[arg-type]
        path = write_leaderboard(board, runs, tmp_path / f"{number}.html", title="5 models")
        assert 'class="sortable heat"' not in path.read_text(encoding="utf-8")


def test_what_stands_there_stays(board: Leaderboard, runs: list[Run], tmp_path: Path) -> None:
    path = tmp_path / "mine.html"
    path.write_text("<p>mine</p>")
    with pytest.raises(OutputError, match=r"mine\.html"):
        write_leaderboard(board, runs, path, title="5 models")
    assert path.read_text() == "<p>mine</p>"
