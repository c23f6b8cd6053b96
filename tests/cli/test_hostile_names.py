"""Names that a terminal, a spreadsheet or Markdown would obey: every command shows them, no more."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from logged_lines import line

from lm_eval_calibration.cli.app import main
from lm_eval_calibration.envelope import Envelope

EVIL = "\x1b]0;owned\x07\x9b31m\u202e\x7f\n\ttail[b] :x: "
IN_A_FILE = EVIL.replace("\n", "")
TASKS = ["=1+1" + IN_A_FILE, "@cmd|`x`" + IN_A_FILE + "\udcff", "plain"]
DATE = "2026-01-02T03-04-05.678901"
FORMATS = ["", "--json", "--csv", "--markdown"]


def write(folder: Path, model: str, first: int = 0, tasks: list[str] = TASKS) -> str:
    """A run of some tasks and their group."""
    folder.mkdir()
    for task in tasks:
        options = [f"yes{EVIL}", "no"]
        rows = [
            line(
                i,
                texts=options,
                target=str(i % 2),
                scores=[-1.0, -1.5 + 0.2 * (i % 5)],
                doc_hash=f"{first + i:016x}{0:048x}",
            )
            for i in range(24)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"samples_{task}_{DATE}.jsonl").write_text(text)
    results = {"model_name": model, "group_subtasks": {"+group" + EVIL: tasks}, "date": 1.0}
    (folder / f"results_{DATE}.json").write_text(json.dumps(results))
    return str(folder)


def write_pools(folder: Path) -> str:
    """A generation run whose candidates were chosen among."""
    folder.mkdir()
    rows = [
        line(
            i, texts=["x"], target=f"b{EVIL}", exact_match=float(i % 2), filter="f" + EVIL,
            scores=["b"], resps=[[Envelope("m", "b", 0.5, ("a", "b"), (1,)).to_text()]],
            envelopes={
                "scores": [i % 3 % 2, i % 2], "picks": [1], "orders": [[0, 1]], "chosen": 1,
                "filtered": [f"a{EVIL}", f"b{EVIL}"],
            },
        )
        for i in range(12)
    ]  # fmt: skip
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"samples_{TASKS[0]}_{DATE}.jsonl").write_text(text)
    return str(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("hostile")
    found = [write(folder / "a", "-model" + EVIL), write(folder / "b", "other" + EVIL + "\ud800")]
    found += [write(folder / "c", "-model", 100), write_pools(folder / "p")]
    return [*found, write(folder / "d", "[/x]"), write(folder / "e", "\x1b[1mm|`")]


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Run `lm-calib` as its console script does."""
    monkeypatch.setattr(sys, "argv", ["lm-calib", *arguments])
    with pytest.raises(SystemExit):
        main()


def shown(text: str) -> None:
    """A text that a terminal shows: no controls but newlines, no halves, no turns of direction."""
    assert "\u202e" not in text
    assert {unicodedata.category(c) for c in text if c != "\n"}.isdisjoint({"Cc", "Cs", "Zl", "Zp"})


COMMANDS = {
    "score": ["score", "{0}", "--metrics", "acc,ece"],
    "compare": ["compare", "{0}", "{1}", "--replicates", "50"],
    "short labels": ["compare", "{4}", "{5}", "--replicates", "50"],
    "thresholds": ["thresholds", "--fit", "{0}", "--test", "{2}", "--precision", "0.5"],
    "by option": ["thresholds", "--fit", "{0}", "--test", "{2}", "--precision", "0.5",
                  "--by-option"],
    "ood": ["ood", "--in", "{0}", "--out", "{2}", "--replicates", "50"],
    "pools": ["pools", "{3}"],
}  # fmt: skip


@pytest.mark.parametrize("how", FORMATS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_obeys_a_name(
    command: str,
    how: str,
    runs: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [a.format(*runs) for a in COMMANDS[command]]
    typed(monkeypatch, *arguments, *([how] if how else []))
    out, err = capsys.readouterr()
    assert out, err
    shown(out)
    if err:
        shown(err)
        assert all(each.startswith("lm-calib: ") for each in err.splitlines())
    if how == "--csv":
        for row in csv.DictReader(io.StringIO(out)):
            for cell in row.values():
                assert not re.match(r"[=+@]|-[^\d]|-$", cell), cell
    if how == "--markdown":
        for table in re.findall(r"(?:^\|.*\n?)+", out, re.MULTILINE):
            columns = [len(re.findall(r"(?<!\\)\|", each)) for each in table.splitlines()]
            assert len(set(columns)) == 1


def test_json_keeps_every_name(
    runs: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "score", runs[1], "--json", "--metrics", "acc")
    scores: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["scores"]
    assert {s["name"] for s in scores} == {"+group" + EVIL, *TASKS}
    # (half of a surrogate pair is what strict readers of JSON refuse)
    assert {s["run"] for s in scores} == {"other" + EVIL + "?"}


@pytest.mark.parametrize("how", FORMATS)
@pytest.mark.parametrize("encoding", ["cp437", "cp1252"])
def test_terminals_of_other_encodings(
    how: str, encoding: str, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
        typed(patched, "score", runs[0], "--metrics", "acc", *([how] if how else []))
        sys.stdout.flush()
        text = written.getvalue().decode(encoding)
    shown(text)
    if how == "--json":
        assert json.loads(text)["scores"][0]["run"] == "-model" + EVIL


@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "nowhere" + EVIL],
        ["score", "{0}", "--metrics", "acc" + EVIL],
        ["score", "{0}", "--calibrator", "nowhere" + EVIL],
        ["compare", "{0}", "{2}"],
        ["thresholds", "--fit", "{0}", "--test", "{0}"],
        ["score", "{0}", "--filter", "f" + EVIL],
        ["pools", "{0}"],
    ],
)
def test_errors_are_a_line_that_is_shown(
    arguments: list[str],
    runs: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed(monkeypatch, *(a.format(*runs) for a in arguments))
    err = capsys.readouterr().err
    shown(err)
    assert err.startswith("lm-calib: ") and err.count("\n") == len(
        re.findall("^lm-calib", err, re.M)
    )


@pytest.mark.exhaustive
def test_pages_and_pictures_obey_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts, options and names of the run stand in the page, and do nothing there."""
    run = write(tmp_path / "run", "-model" + EVIL + "\ud800", tasks=TASKS[:1])
    page, figures, one = tmp_path / "page.html", tmp_path / "figures", tmp_path / "one.svg"
    typed(monkeypatch, "report", run, "--output", str(page), "--figures", str(figures))
    typed(monkeypatch, "diagram", run, "--output", str(one))
    text = page.read_text(encoding="utf-8")
    assert "+group" in text and "=1+1" in text and "owned" in text
    assert not re.search(
        r"&#(?:0*(?:[0-8]|1[1-9]|2\d|3[01])|x0*(?:[0-8bcef]|1[0-9a-f]));", text, re.I
    )
    pictures = [one, *figures.rglob("*.svg")]
    assert len(pictures) > 2 and list(figures.rglob("*.png"))
    for source in [text, *(picture.read_text(encoding="utf-8") for picture in pictures)]:
        shown(source.replace("\t", ""))
    for picture in pictures:
        ElementTree.parse(picture)
    for name in [path.name for path in figures.rglob("*")]:
        shown(name)
