"""What a message tells the reader to do can be done, and helps.

Each case types a command, reads what it says, does it, and sees the trouble gone. What cannot be done here (a
download, another program) names what there is: `said` holds every option of every message against the
commands that have it.
"""

from __future__ import annotations

import ast
import gzip
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from command import RUNNER, run
from documented import ROOT
from kinds import kinds
from lm_eval._cli.harness import HarnessCLI
from logged_lines import NAME, line

import lm_eval_calibration
from lm_eval_calibration.cli.app import app
from lm_eval_calibration.errors import CalibrationError
from lm_eval_calibration.models import MODELS

FIXTURES = Path(__file__).parents[1] / "logs" / "fixtures"
RESULTS = NAME.replace("samples_toy", "results").replace("jsonl", "json")
QUICK = ("--metrics", "acc", "--replicates", 2)
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"
ELSEWHERE = {
    "inspect eval": {"--logprobs", "--top-logprobs"},
    "lighteval": {"--save-details"},
    "pip install": {"--no-deps"},
    "hf download": {"--repo-type", "--local-dir"},
    "aws s3": {"--recursive"},
}
"""Options of programs that are not ours, and are not all here."""
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z_-]+")


def _commands() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}

    def walk(command: click.Command, name: str) -> None:
        found[name] = {o for p in command.params for o in p.opts if o.startswith("--")}
        for part, sub in getattr(command, "commands", {}).items():
            walk(sub, f"{name} {part}".strip())

    walk(typer.main.get_command(app), "")
    found["fit"] |= set.union(*(options for n, options in found.items() if n.startswith("fit ")))
    return found


COMMANDS = _commands()


def _harness() -> set[str]:
    parser: Any = HarnessCLI()._parser
    runs = parser._subparsers._group_actions[0].choices["run"]
    return {option for action in runs._actions for option in action.option_strings}


HARNESS = _harness()


def named(text: str) -> set[str]:
    """The options of all programs and commands that a message names."""
    found = HARNESS if "lm_eval " in text else set()
    for name in re.findall(r"`lm-calib ([a-z][a-z-]*)", text):
        assert name in COMMANDS, text
        found = found | COMMANDS[name]
    return found.union(*(options for name, options in ELSEWHERE.items() if name in text))


def said(*arguments: object, fails: bool = True) -> str:
    """What a command says on stderr or as its error, of which every option is one that there is."""
    typed = [str(a) for a in arguments]
    name = max((n for n in COMMANDS if typed[: len(n.split())] == n.split()), key=len)
    result = RUNNER.invoke(app, typed)
    error = result.exception
    assert error is None or isinstance(error, (SystemExit, CalibrationError)), error
    assert (error is not None) is fails, result.output
    text = " ".join(f"{error or ''} {result.stderr}".split())
    assert set(OPTION.findall(text)) <= COMMANDS[name] | named(text), text
    return text


def doc(number: int, **changes: Any) -> dict[str, Any]:
    """A logged document that no other one equals."""
    return line(number, doc_hash=f"{number + 1:016x}" * 4, **changes)


GOOD = [doc(i, scores=[-1.0 - 0.1 * i, -1.5]) for i in range(12)]
GENERATED = [
    line(i, filtered_resps=["42"], arguments={"g": {"arg_0": "q", "arg_1": {"until": ["."]}}})
    for i in range(4)
]


def put(path: Path, lines: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [each if isinstance(each, str) else json.dumps(each) + "\n" for each in lines]
    path.write_text("".join(texts))
    return path


@pytest.fixture
def a(tmp_path: Path) -> Path:
    """A run."""
    return put(tmp_path / "a" / NAME, GOOD).parent


@pytest.fixture
def b(tmp_path: Path) -> Path:
    """Another model's."""
    return put(tmp_path / "b" / NAME, [doc(i, scores=[-1.2, -1.1]) for i in range(12)]).parent


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Confidences."""
    rows = "".join(f"0.{i},{'Right' if i % 2 else 'Wrong'},{i % 2},m\n" for i in range(1, 9))
    return put(tmp_path / "table.csv", ["p,grade,c,who\n" + rows])


VLLM = {"--enable-lora", "--max-lora-rank", "--lora-target-modules", "--lora-modules"}
"""Of `vllm serve`, to which `lm-calib swag export` points (tests/test_real_vllm.py starts it so)."""


def test_every_option_of_every_message_is_some_commands() -> None:
    """Also of messages that no case here provokes."""
    known = {"--help"}.union(HARNESS, VLLM, *COMMANDS.values(), *ELSEWHERE.values())
    package = Path(str(lm_eval_calibration.__file__)).parent
    extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    for room in ("logs", "cli", "analysis", "report", "exports", "files"):
        for path in (package / room).rglob("*.py"):
            for text in _texts(path):
                assert set(OPTION.findall(text)) <= known, f"{path}: {text}"
                for extra in re.findall(r"lm-eval-calibration\[(\w+)\]", text):
                    assert extra in extras
                for name in re.findall(r"`lm-calib ([a-z][a-z-]*)", text):
                    assert name in COMMANDS, f"{path}: {text}"
                assert "jq " not in text


def _texts(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


BAD: dict[str, list[Any]] = {
    "cut off": [*GOOD, json.dumps(GOOD[0])[:40]],
    "no field `arguments`, which `lm_eval --log_samples` writes": [*GOOD, line(20, arguments=None)],
    "no field `target`": [*GOOD, line(20, target=None)],
    "a JSON list among lines": [*GOOD, [line(20)]],
    "no number": [*GOOD, line(20, scores=["x", -1])],
    "overflow, and evaluate again": [*GOOD, line(20, scores=[float("nan"), -1])],
    "have one": [*GOOD, line(20, filtered_resps=[["-1", "False"]])],
    "not JSON": [json.dumps(GOOD) + "\n", line(20)],
}


@pytest.mark.parametrize("what", kinds(BAD, few=["cut off", "no field `target`", "not JSON"]))
def test_bad_lines(what: str, tmp_path: Path) -> None:
    """`--skip-bad` leaves them out."""
    path = put(tmp_path / NAME, BAD[what])
    text = said("score", path, *QUICK)
    assert what in text and "--skip-bad" in text
    out = run("score", path, *QUICK, "--skip-bad")
    assert "12 documents" in out.stdout and "1 " in out.stderr and "left out" in out.stderr


def test_a_list_is_read_where_it_is_the_whole_file(tmp_path: Path) -> None:
    path = put(tmp_path / NAME, [*GOOD, [line(20)]])
    assert "one that is the whole file is read" in said("score", path)
    put(path, [json.dumps([*GOOD, line(20)])])
    assert "13 documents" in run("score", path, *QUICK).stdout


def test_tables(table: Path, a: Path) -> None:
    """Commands that read tables say how; others say which do."""
    asked = ("--confidence", "p", "--correct", "grade=Right", *QUICK)
    assert "name its columns: --confidence and --correct" in said("score", table)
    run("score", table, *asked)
    for command in ("compare", "card"):
        text = said(command, table, *((table,) if command == "compare" else ()))
        takes = "--confidence" in COMMANDS[command]
        assert ("`lm-calib score`, with --confidence" in text) is not takes
    assert "give --confidence or --score with --correct" in said("score", table, "--model", "who")
    run("score", table, "--model", "who", *asked)
    assert "needs both" in said("score", table, "--confidence", "p")
    assert "give --confidence" in said("score", table, "--correct", "p")
    assert "Unknown column" in said("score", table, "--confidence", "q", "--correct", "c")


def test_verdicts(table: Path) -> None:
    """The value that is advised is the one that is there."""
    asked = ("score", table, "--confidence", "p", *QUICK)
    near = re.search(r"write (--correct) '?(\w+=\w+)", said(*asked, "--correct", "grade=right"))
    assert near is not None
    assert "0.5000" in run(*asked, near[1], near[2]).stdout
    far = said(*asked, "--correct", "grade=yes")
    assert "--correct 'grade=VALUE'" in far and "Right" in far
    assert "write --correct grade=VALUE" in said(*asked, "--correct", "grade")
    assert "--correct" in said(*asked, "--correct", "grade=c")


def test_folders_without_logs(tmp_path: Path, a: Path) -> None:
    (tmp_path / "empty").mkdir()
    text = said("score", tmp_path / "empty")
    assert "`lm_eval --log_samples --output_path DIR`" in text and "`lm-calib formats`" in text
    assert "lm-eval" in run("formats").stdout
    put(tmp_path / "figures" / RESULTS, ["{}"])
    text = said("score", tmp_path / "figures")
    assert RESULTS in text and "`lm_eval --log_samples`" in text
    shutil.copy(a / NAME, tmp_path / "figures")
    run("score", tmp_path / "figures", *QUICK)


def _gz(path: Path) -> Path:
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    return packed


def _zip(path: Path) -> Path:
    packed = path.with_name("all.zip")
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(path, path.name)
    return packed


@pytest.mark.parametrize("pack", kinds([Path, _gz, _zip], few=[_gz]))
def test_pointers_of_git_lfs(pack: Callable[[Path], Path], a: Path) -> None:
    """A file that was not downloaded is called that; downloaded it is read."""
    path = pack(a / NAME)
    whole = path.read_bytes()
    if path != a / NAME:
        (a / NAME).unlink()
    for named_so in (path, a):
        path.write_text(POINTER)
        for more in ((), ("--skip-bad",)):
            text = said("score", named_so, *more)
            assert f"{path} is a pointer of git LFS" in text and "--skip-bad" not in text
        path.write_bytes(whole)
        assert "12 documents" in run("score", named_so, *QUICK).stdout


@pytest.mark.parametrize(
    "name", [RESULTS, "x.csv", "details_a|b|0_2024-01-01T00-00-00.parquet", "x.eval", "x.json",
             "scenario_state.json", "arc_write_out_info.json"],
)  # fmt: skip
def test_pointers_of_other_kinds(name: str, a: Path) -> None:
    path = put(a / name, [POINTER])
    table = ("--confidence", "p", "--correct", "c") if name.endswith(".csv") else ()
    of = a if name == RESULTS else path
    assert f"{path} is a pointer of git LFS" in said("score", of, *table)


def test_what_is_damaged(a: Path) -> None:
    packed = _gz(a / NAME)
    whole = packed.read_bytes()
    (a / NAME).unlink()
    packed.write_bytes(whole[:-30])
    assert "Download or copy it again" in said("score", a)
    packed.write_bytes(whole)
    run("score", a, *QUICK)
    put(a / RESULTS, ["{"])
    assert "take the file away" in said("score", a)
    (a / RESULTS).unlink()
    run("score", a, *QUICK)


def test_runs_are_named(a: Path, b: Path, tmp_path: Path) -> None:
    text = said("compare", tmp_path, a)
    names = re.search(r"name one: (.+?)\.(?: |$)", text)
    assert names is not None
    first, second = names[1].split(", ")
    run("compare", first, second, *QUICK)
    assert "at least two runs" in said("compare", a)
    assert "at least two runs" in said("leaderboard", a)
    for date, model in (("03-04-05", "one"), ("04-04-05", "two")):
        put(tmp_path / "both" / NAME.replace("03-04-05", date), GOOD)
        said_by = json.dumps({"model_name": model})
        put(tmp_path / "both" / f"{model}_2026-01-02T{date}.678901.json", [said_by])
    text = said("compare", tmp_path / "both", a)
    one = re.search(r"(one=\S+?),", text)
    assert one is not None
    run("compare", one[1], a, *QUICK)
    assert "one model's run" in said("card", tmp_path)
    run("card", a, *QUICK)


def test_documents_that_lack(a: Path, b: Path) -> None:
    put(b / NAME, GOOD[:8])
    text = said("compare", a, b)
    assert "--allow-partial" in text
    assert "8 documents" in run("compare", a, b, *QUICK, "--allow-partial").stdout
    assert "Without --require-all" in said("leaderboard", a, b, "--require-all")
    run("leaderboard", a, b, *QUICK)


def _filtered() -> list[Any]:
    return [doc(i, filter=name, scores=[-1, -2]) for i in range(8) for name in ("one", "two")]


FILTERING = {
    "score": ("score", "a", *QUICK),
    "compare": ("compare", "a", "b", *QUICK),
    "leaderboard": ("leaderboard", "a", "b", *QUICK),
    "ood": ("ood", "--in", "a", "--out", "b", "--replicates", 2),
    "fit": ("fit", "temperature", "--samples", "a", "--folds", 2, "-o", "kept"),
}


@pytest.mark.parametrize("command", kinds(FILTERING, few=["score", "ood"]))
def test_filters(command: str, a: Path, b: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is told of `--filter` has it."""
    monkeypatch.chdir(a.parent)
    for folder in (a, b):
        put(folder / NAME, _filtered())
    typed = FILTERING[command]
    text = said(*typed, "--filter", "two", fails=False)
    assert "not those of one (8); --filter chooses" in text
    assert "a filter that the files name (`one`" in said(*typed, "--filter", "three")


def test_choices(a: Path, b: Path) -> None:
    text = said("score", a, "--json", "--csv")
    assert "Give one of --json, --csv" in text
    near = re.search(r"Did you mean `(\w+)`", said("score", a, "--metrics", "ac"))
    assert near is not None
    run("score", a, "--metrics", near[1])
    assert "one of the metrics acc, ece" in said(
        "leaderboard", a, b, "--metrics", "acc,ece", "--by", "nll"
    )
    listed = re.search(r"must be of ([\w, ]+), got", said("leaderboard", a, b, "--tasks", "none"))
    assert listed is not None
    run("leaderboard", a, b, "--tasks", listed[1], *QUICK)


def test_places(a: Path, tmp_path: Path) -> None:
    page = put(tmp_path / "page.html", ["mine"])
    assert "replace it with --overwrite" in said("diagram", a, "-o", put(tmp_path / "d.svg", ["x"]))
    run("diagram", a, "-o", tmp_path / "d.svg", "--overwrite")
    assert "--overwrite" in said("report", a, "-o", page)
    assert "--figures" in said("report", a, "-o", tmp_path / "x", "--figures", tmp_path / "x")
    assert "--overwrite" in said("leaderboard", a, a, "-o", page)
    assert "--every-eval-ever" in said("leaderboard", a, a, "--every-eval-ever", page)
    assert "lies inside the run" in said("scrub", a, "-o", a / "copy")
    run("scrub", a, "-o", tmp_path / "copy")


def test_calibrators(a: Path, b: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    assert "Make one with `lm-calib fit ... --output FOLDER`" in said(
        "score", b, "--calibrator", kept
    )
    kept.rmdir()
    run("fit", "temperature", "--samples", a, "--output", kept)
    text = said("score", a, *QUICK, "--calibrator", kept)
    assert "Evaluate on other documents" in text and "`lm-calib fit` has --split" in text
    put(b / NAME, [doc(i + 50) for i in range(8)])
    results = json.dumps({"model_name": "another"})
    put(b / RESULTS, [results])
    run("score", b, *QUICK, "--calibrator", kept, "--allow-other")
    assert "--samples" in said("fit", "temperature", "-o", tmp_path / "none")


def test_pools(a: Path) -> None:
    text = said("pools", a)
    assert "lm_eval --tasks" in text
    assert {"self_correct", "self_consistency"} <= set(MODELS)


def test_another_framework(tmp_path: Path) -> None:
    text = said("score", FIXTURES / "inspect" / "none")
    assert "run `inspect eval` with --logprobs --top-logprobs 20" in text
    said("score", FIXTURES / "inspect" / "short")


def test_what_cannot_be_reached() -> None:
    text = said("score", "http://127.0.0.1:9/logs.zip")
    assert "download it (`curl -LO ADDRESS`)" in text


def _leaderboard_v1(folder: Path) -> None:
    with zipfile.ZipFile(FIXTURES / "leaderboard.zip") as archive:
        (member,) = [name for name in archive.namelist() if "gsm8k" in name]
        archive.extract(member, folder)


def _write_out(folder: Path) -> None:
    put(folder / "gsm8k_write_out_info.json", ["[]"])
    text = json.dumps([{"doc_id": 0, "prompt_0": "q", "logit_0": "42", "truth": "x"}])
    put(folder / "gsm8k_write_out_info.json", [text])


ALONE: dict[str, Callable[[Path], object]] = {
    "lines": lambda folder: put(folder / NAME.replace("toy", "gsm8k"), GENERATED),
    "list": lambda folder: put(folder / "samples_g_2024-05-06T00-00-00.json", [json.dumps(GENERATED)]),
    "leaderboard": _leaderboard_v1,
    "write-out": _write_out,
    "inspect": lambda folder: shutil.copytree(FIXTURES / "inspect" / "none", folder),
}  # fmt: skip


@pytest.mark.parametrize("format_", kinds(ALONE, few=["lines", "write-out"]))
def test_a_model_that_only_generated(format_: str, a: Path, b: Path, tmp_path: Path) -> None:
    """It is left out, with a line, and the others are read; alone it is an error that says why."""
    ALONE[format_](tmp_path / "generated")
    for more in ((), ("--skip-bad",)):
        assert "not read: " in said("score", tmp_path, *QUICK, *more, fails=False)
        assert "not read: " in said("leaderboard", tmp_path, *QUICK, *more, fails=False)
    assert "Nothing can be read" in said("score", tmp_path / "generated")
    assert "Nothing can be read" in said("compare", a, tmp_path / "generated")
    if format_ == "list":
        page = tmp_path / "page.html"
        report = ("report", tmp_path, "-o", page, *QUICK, "--examples", 0)
        assert "not read: " in said(*report, fails=False)
        assert "not read: " in said("diagram", tmp_path, "-o", tmp_path / "d.svg", fails=False)
