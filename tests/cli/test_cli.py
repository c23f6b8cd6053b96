"""The commands as an installed stranger types them, in an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from command import lm_eval
from release import only_0_4

from lm_eval_calibration.errors import InvalidInputError

BIN = Path(sys.executable).parent


def call(*command: str, ok: bool = True, **environment: str) -> str:
    """Run an installed command; its output, stderr included."""
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert (done.returncode == 0) is ok, done.stdout
    return done.stdout


DUMMY = ("--model", "dummy", "--limit", "6")


@pytest.mark.usefixtures("workspace")
class TestHarnessCommand:
    """`lm_eval`, with this package merely installed."""

    @only_0_4("0.5's `validate` passes over names that it does not know")
    def test_validate(
        self, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        lm_eval("validate", "--tasks", "calib_arc,calib_mmlu,calib_hellaswag,calib_leaderboard")
        assert "All tasks found and valid" in capsys.readouterr().out
        with pytest.raises(SystemExit):
            lm_eval("validate", "--tasks", "calib_wikitext,calib_arcs")
        out = capsys.readouterr().out + caplog.text
        assert "`wikitext` is a loglikelihood_rolling task, which has no twin" in out
        assert "Tasks not found: calib_arcs, calib_wikitext" in out or (
            "Tasks not found: calib_wikitext, calib_arcs" in out
        )
        with pytest.raises(InvalidInputError, match=r"wrapper around it .* --model self_consis"):
            lm_eval(*DUMMY, "--tasks", "calib_gsm8k")

    @pytest.mark.exhaustive
    def test_listing_holds_the_curated_names_only(self, capsys: pytest.CaptureFixture[str]) -> None:
        lm_eval("ls", "tasks")
        out = capsys.readouterr().out
        assert "calib_arc" in out
        assert "calib_demo" in out
        assert "calib_hellaswag" not in out

    @only_0_4("0.5.0.dev1's dummy model says the same of all options")
    def test_run_with_error_bars_and_samples(self) -> None:
        out = call(
            "lm_eval", *DUMMY, "--tasks", "calib_demo", "--log_samples", "--output_path", "out"
        )
        assert "|ece " in out
        assert "|acc_norm " in out
        path = call("lm-calib", "diagram", "out", "-o", "figure.png").strip()
        assert Path(path).stat().st_size > 10_000

    def test_config_file(self) -> None:
        Path("run.yaml").write_text(
            yaml.safe_dump(
                {"model": "dummy", "tasks": ["calib_demo"], "limit": 4, "output_path": "o"}
            )
        )
        lm_eval("run", "--config", "run.yaml")
        (results,) = Path("o").rglob("results_*.json")
        assert "ece,none" in json.loads(results.read_text())["results"]["calib_demo"]


@pytest.mark.usefixtures("workspace")
class TestLauncher:
    """`lm-calib`, which needs no start-up hook."""

    def test_run_without_the_hook(self) -> None:
        off = {"LM_EVAL_CALIBRATION_AUTOLOAD": "0"}
        assert "|ece " in call("lm-calib", "run", *DUMMY, "--tasks", "calib_demo", **off)

    @pytest.mark.exhaustive
    def test_the_harness_alone_without_the_hook(self) -> None:
        off = {"LM_EVAL_CALIBRATION_AUTOLOAD": "0"}
        out = call("lm_eval", *DUMMY, "--tasks", "calib_demo", ok=False, **off)
        assert "Tasks not found" in out

    @pytest.mark.exhaustive
    def test_folder_of_tasks_serves_as_include_path(self) -> None:
        folder = call("lm-calib", "tasks", "--path").strip()
        assert (Path(folder) / "demo.yaml").is_file()
        off = {"LM_EVAL_CALIBRATION_AUTOLOAD": "0"}
        out = call("lm_eval", *DUMMY, "--tasks", "calib_demo", "--include_path", folder, **off)
        assert "|ece " in out

    def test_lists(self) -> None:
        listed = set(call("lm-calib", "tasks").split())
        assert {"calib_arc", "calib_demo", "arc_letters", "arc_easy_letters"} <= listed
        assert "debiased_ece" in call("lm-calib", "metrics")
        assert call("lm-calib", "--version").startswith("lm-eval-calibration 0.")
        assert "diagram" in call("lm-calib", "--help")
        assert "--model_args" in call("lm-calib", "run", "--help")

    def test_errors_are_one_line(self) -> None:
        out = call("lm-calib", "diagram", "nowhere", ok=False)
        assert out.strip() == "lm-calib: nowhere does not exist."
