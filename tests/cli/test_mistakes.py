"""Forty mistakes: each is told in one line, before a model is loaded, and says what to do instead."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from command import RUNNER, lm_eval, run
from logged_lines import NAME, line
from mistakes import MISTAKES

from lm_eval_calibration.cli.app import app
from lm_eval_calibration.harness.terminal import TRACEBACK

TABLES = {
    "ok.csv": "p,ok\n0.9,yes\n0.8,yes\n0.7,no\n",
    "percent.csv": "p,ok\n90,1\n80,0\n",
    "a.csv": "id,p,ok\n1,0.9,1\n2,0.8,0\n",
    "b.csv": "id,p,ok\n7,0.9,1\n8,0.8,0\n",
    "misspelt.yaml": """\
task: misspelt
dataset_path: json
dataset_kwargs: {data_files: {test: test.json}}
output_type: multiple_choice
test_split: test
doc_to_text: question
doc_to_choice: options
doc_to_target: answer
class: !function lm_eval_calibration.CalibrationTask
metric_list: [{metric: acc}, {metric: ecee}]
""",
    "responses.jsonl": "".join(
        json.dumps({"question": f"q{i}", "response": f"One. Two {i}.", "label": i % 2}) + "\n"
        for i in range(8)
    ),
    "letter.html": "Dear reader",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, task_folder: Path) -> Path:
    """A folder in which people make mistakes."""
    folder = tmp_path_factory.mktemp("mistakes")
    for name, text in TABLES.items():
        (folder / name).write_text(text)
    (folder / "test.json").write_text(
        json.dumps({"question": "q", "options": ["a", "b"], "answer": 0}) + "\n"
    )
    (folder / "model").symlink_to(tiny_model)
    (folder / "tasks").symlink_to(task_folder)
    (folder / "empty").mkdir()
    for task in ("toy", "law"):
        (folder / task).mkdir()
        lines = "\n".join(json.dumps(line(i)) for i in range(6))
        (folder / task / NAME.replace("toy", task)).write_text(lines + "\n")
    model = ("--model", "hf", "--model_args", f"pretrained={folder}/model", "--device", "cpu")
    run(
        "fit", "temperature", *model, "--tasks", "toy_norm", "--include_path", task_folder,
        "--split", "test", "--output", folder / "ts",
    )  # fmt: skip
    return folder


@pytest.fixture
def no_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are not read."""
    from transformers import AutoModelForCausalLM

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a model is loaded")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", refuse)


def told(command: str, capfd: pytest.CaptureFixture[str]) -> str:
    """What a command that fails says, without what the harness logs before."""
    program, *words = shlex.split(command)
    if program == "lm-calib":
        result = RUNNER.invoke(app, words)
        from lm_eval_calibration.errors import CalibrationError

        assert isinstance(result.exception, CalibrationError), (result.exception, result.output)
        return f"lm-calib: {result.exception}"
    with pytest.raises(SystemExit) as ended:
        lm_eval(*words)
    assert ended.value.code == 1
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    return "\n".join(text for text in err.splitlines() if text.startswith("lm_eval: "))


QUICK = (
    "lm-calib",
    "calib_arc_chalenge",
    "misspelt",
    "hf-fats,",
    "base=hf,pretrained=model,calibrator=ts",
    "./no",
)
"""Of the commands those that every run of the tests types."""


def _cases() -> list[Any]:
    often = [
        any(word in command for word in QUICK) and " fit t" not in command for command in MISTAKES
    ]
    marks = [() if quick else pytest.mark.exhaustive for quick in often]
    return [
        pytest.param(*case, marks=mark, id=f"{number}")
        for number, (case, mark) in enumerate(zip(MISTAKES.items(), marks, strict=True))
    ]


@pytest.mark.parametrize(("command", "said"), _cases())
def test_a_mistake(
    command: str,
    said: str,
    place: Path,
    no_model_is_loaded: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv(TRACEBACK, "0")
    assert told(command, capfd).replace(str(place), "HERE") == said


def test_there_are_enough() -> None:
    assert len(MISTAKES) >= 30
    assert all("\n" not in said and len(said) < 500 for said in MISTAKES.values())
