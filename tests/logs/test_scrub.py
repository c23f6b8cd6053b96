"""The copy of a run that may be published."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import pytest
from command import run
from logged_lines import NAME, line

from lm_eval_calibration.errors import CalibrationError, InvalidInputError
from lm_eval_calibration.logs.scrub import default_output, scrub

KEY = "sk-proj-Ab12Cd34Ef56Gh78"
PASSWORD = "Tr0ub4dor&3"
RESULTS = f"""{{"config": {{"model_args": {{"api_key": "{KEY}",  "temperature": 1.50E-1}},
 "metadata": {{"base_url": "http://me:{PASSWORD}@host"}}}}, "n": 12345678901234567890.0,
 "versions": {{"password": 1.0, "toy": 2}}, "é": "\\u00e9", "model_name": "org/m"}}
"""


def folder_of_a_run(folder: Path) -> Path:
    inner = folder / "org__m"
    inner.mkdir(parents=True)
    (inner / NAME.replace("samples_toy", "results").replace("jsonl", "json")).write_text(RESULTS)
    lines = [
        json.dumps(line(0)),
        json.dumps(line(1, note=1.50), ensure_ascii=True) + "   ",
        json.dumps(line(2, doc={"question": f"is {KEY} yours? é", "token": "a"}), ensure_ascii=False),
        json.dumps(line(3, arguments={"gen_args_0": {"arg_0": "x", "arg_1": {"api_key": 1.75}},
                                      "gen_args_1": {"arg_0": "sk-notours1234567890", "arg_1": " n"}})),
        json.dumps(line(4, doc={"text": f"pw={PASSWORD}"})),
        '{"cut": "' + KEY,
    ]  # fmt: skip
    (inner / NAME).write_text("\n".join(lines), encoding="utf-8")
    (inner / "report.html").write_text(KEY)
    return folder


def test_what_is_secret_goes_and_all_else_stays_to_the_bit(tmp_path: Path) -> None:
    original = folder_of_a_run(tmp_path / "run")
    before = {p: p.read_bytes() for p in original.rglob("*") if p.is_file()}
    done = scrub(original, tmp_path / "copy")
    assert {p: p.read_bytes() for p in original.rglob("*") if p.is_file()} == before
    for path, content in before.items():
        copy = done.folder / path.relative_to(original)
        if path.suffix == ".html":
            assert not copy.exists()
            continue
        expected = content.decode().replace(KEY, "[redacted]").replace(PASSWORD, "[redacted]")
        expected = expected.replace("me:[redacted]@", "[redacted]@").replace(
            ": 1.75}", ': "[redacted]"}'
        )
        assert copy.read_text(encoding="utf-8") == expected
    assert sum(map(sum, (found.values() for found in done.found.values()))) == 6
    assert done.left_out == [original / "org__m" / "report.html"]
    again = scrub(done.folder, tmp_path / "again")
    assert not any(again.found.values())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_files_in_other_encodings(encoding: str, tmp_path: Path) -> None:
    original = folder_of_a_run(tmp_path / "run")
    files = [p for p in original.rglob("*.json*") if p.is_file()]
    for path in files:
        path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    done = scrub(original, tmp_path / "copy")
    for path in files:
        copy = (done.folder / path.relative_to(original)).read_bytes()
        assert KEY not in copy.decode(encoding) and PASSWORD not in copy.decode(encoding)
        assert "[redacted]" in copy.decode(encoding) and "\ufeff" not in copy.decode(encoding)
        assert copy[:2] == path.read_bytes()[:2]
    path.write_bytes("{".encode("utf-16") + b"\x00")
    with pytest.raises(InvalidInputError, match="is no text"):
        scrub(original, tmp_path / "another")


def test_the_figures_are_the_same(group_folder: Path, tmp_path: Path) -> None:
    (results,) = group_folder.rglob("results_*.json")
    told = json.loads(results.read_text())
    told["config"]["model_args"] = {"api_key": KEY}
    copy = tmp_path / "run" / "m"
    copy.mkdir(parents=True)
    for path in results.parent.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / results.name).write_text(json.dumps(told))
    out = run("scrub", tmp_path / "run").stdout
    assert KEY not in out and f"{results.name}: 1 redacted (1 under a telling name)" in out
    scores = [
        run("score", folder, "--csv", "--metrics", "acc,ece", "--replicates", 20).stdout
        for folder in (tmp_path / "run", tmp_path / "run-scrubbed")
    ]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("output", ["run", "run/inside", "there", "link"])
def test_nothing_is_overwritten(tmp_path: Path, output: str) -> None:
    original = folder_of_a_run(tmp_path / "run")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(
        CalibrationError, match=r"--output|is there already|is not empty \(mine\.txt\)"
    ):
        scrub(original, tmp_path / output)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_no_run(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InvalidInputError, match=r"no results_|is no folder"):
            scrub(path, tmp_path / "copy")
    assert not list(tmp_path.iterdir())


def test_beside_the_run_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    assert default_output(Path()) == tmp_path / "run-scrubbed"
    assert default_output(Path("../run/")) == tmp_path / "run-scrubbed"


def test_a_folder_called_by_a_secret(tmp_path: Path) -> None:
    for name in ("http__me_Zq7x9xK2_a__m", "http__me_Zq7x9xK2_b__m"):
        inner = tmp_path / "run" / name.replace("_a_", "_").replace("_b_", "_")
        inner.mkdir(parents=True, exist_ok=True)
        told: dict[str, Any] = {"config": {"model_args": "pretrained=m,password=Zq7x9xK2"}}
        (inner / f"results_2026-01-0{len(list(inner.iterdir())) + 1}T00-00-00.json").write_text(
            json.dumps(told)
        )
    done = scrub(tmp_path / "run", tmp_path / "copy")
    assert "Zq7x9xK2" not in "".join(map(str, done.folder.rglob("*"))) and len(done.found) == 2


@pytest.mark.slow
def test_a_long_file_is_not_held(tmp_path: Path) -> None:
    original = folder_of_a_run(tmp_path / "run")
    text = (json.dumps(line(0)) + "\n").encode()
    with (original / "org__m" / NAME).open("wb") as file:
        for _ in range(200):
            file.write(text * (2_000_000 // len(text)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scrub(original, tmp_path / "copy")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
