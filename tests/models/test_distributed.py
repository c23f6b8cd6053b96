"""Two processes, as `accelerate launch` starts them: the figures of one, for every model and fit.

In float64, where what stands beside a request in its batch changes nothing above 1e-12.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run
from kinds import kinds
from release import OLD, answers

from lm_eval_calibration.calibrators import load
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.models.self_consistency import SelfConsistencyLM

BIN = Path(sys.executable).parent
Runs = Callable[[str], dict[int, Path]]
TESTS = Path(__file__).resolve().parents[1]
OPTIONS, ANSWERS, SENTENCES = (
    # (0.5.0.dev1 scores a task of its own wrongly where processes have different numbers of documents.)
    "calib_toy_norm,toy_several" if OLD else "calib_toy_norm,calib_toy_several",
    "calib_toy_generate",
    "calib_toy_sentences",
)
MODELS = {
    "hf-fast": (OPTIONS, "pretrained={model}"),
    "hf-fast to the bit": (
        "calib_toy_norm,toy_generate" if OLD else "calib_toy_norm",
        "pretrained={model},dtype=bfloat16,reproducible=true",
    ),
    "thermometer": (OPTIONS, "pretrained={model},thermometer={thermometer}"),
    "swag": (OPTIONS, "pretrained={model},swag={swag},samples=2,scale=1.0"),
    "calibrated": (OPTIONS, "base=hf-fast,pretrained={model},calibrator={calibrator}"),
    "verbalized": ("calib_toy_norm", "base=hf-fast,pretrained={model},samples=2"),
    "p_true": (ANSWERS, "base=hf-fast,pretrained={model}"),
    "self_consistency": (ANSWERS, "base=hf-fast,pretrained={model},candidates=3"),
    "self_correct": (ANSWERS, "base=hf-fast,pretrained={model},candidates=3"),
    "fractal": (ANSWERS, "base=hf-fast,pretrained={model},scorer={scorer}"),
    "fractal-scorer": (SENTENCES, "scorer={scorer}"),
}
FITS = {"temperature": ["--device", "cpu"], "thermometer": ["--device", "cpu"]}
FEW = ("hf-fast", "hf-fast to the bit", "self_consistency", "temperature")
"""One of each kind: log-likelihoods, also such as are the same to the bit, samples, a fit."""


@pytest.fixture(scope="module")
def plain(
    tiny_model: Path, task_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The model and the tasks."""
    root = tmp_path_factory.mktemp("artifacts")
    for path in task_folder.iterdir():
        (root / path.name).symlink_to(path)
    return {"model": tiny_model, "tasks": root}


@pytest.fixture(scope="module")
def folders(plain: dict[str, Path], thermometer_folder: Path, swag_folder: Path) -> dict[str, Path]:
    """An artifact of every kind as well."""
    from toy_encoder import Toy

    from lm_eval_calibration.fractal import encoders

    root, tiny_model = plain["tasks"], plain["model"]
    rows = [
        {"question": f"Question {i}?", "response": [f"It {i} is {word}." for word in words],
         "sentences": [f"It {i} is {word}." for word in words],
         "sentence_labels": [int(word == "fine") for word in words],
         "label": int("wrong" not in words)}
        for i, words in enumerate([["fine", "wrong"], ["fine"], ["fine", "fine"]] * 20)
    ]  # fmt: skip
    (root / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tests = [{**row, "question": f"New {row['question']}"} for row in rows[:15]]
    (root / "sentences.json").write_text("".join(json.dumps(row) + "\n" for row in tests))
    (root / "toy_sentences.yaml").write_text(
        f"task: calib_toy_sentences\nclass: !function lm_eval_calibration.SentenceTask\n"
        f"dataset_path: json\ndataset_kwargs: {{data_files: {{test: {root}/sentences.json}}}}\n"
        "output_type: generate_until\ntest_split: test\ndoc_to_text: question\nmetric_list: []\n"
    )
    real = encoders._load
    encoders._load = lambda name, device: Toy()  # type: ignore[assignment,return-value]
    try:
        run("fit", "fractal", "--table", root / "train.jsonl", "--output", root / "scorer",
            "--epochs", 2, "--weights", "0.8,0.1,0.1")  # fmt: skip
    finally:
        encoders._load = real
    run("fit", "temperature", "--model_args", f"pretrained={tiny_model},dtype=float64", "--device", "cpu",
        "--tasks", "toy_norm", "--include_path", root, "--split", "train",
        "--output", root / "calibrator")  # fmt: skip
    return {**plain, "thermometer": thermometer_folder, "swag": swag_folder,
            "calibrator": root / "calibrator", "scorer": root / "scorer"}  # fmt: skip


def commands(out: Path, folders: dict[str, Path], few: bool) -> Iterator[list[str]]:
    """An evaluation by a model, and each fit that passes a model over documents: few, or the others."""
    for name, (tasks, arguments) in MODELS.items():
        if (name in FEW) is not few:
            continue
        given = arguments.format(**folders)
        given += ",dtype=float64" if "pretrained" in given and "dtype" not in given else ""
        yield ["lm_eval", "run", "--model", name.split()[0], "--model_args", given, "--device", "cpu",
               "--tasks", tasks, "--include_path", str(folders["tasks"]), "--limit", "15",
               "--batch_size", "4", "--gen_kwargs", "max_gen_toks=12", "--log_samples",
               "--output_path", str(out / name)]  # fmt: skip
    for name, more in FITS.items():
        if (name in FEW) is not few:
            continue
        yield ["lm-calib", "fit", name, "--model_args", f"pretrained={folders['model']},dtype=float64",
               "--tasks", "toy_norm,toy_several", "--include_path", str(folders["tasks"]),
               "--split", "test", "--output", str(out / "fits" / name), *more]  # fmt: skip


@pytest.fixture(scope="module")
def runs(
    plain: dict[str, Path], request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Runs:  # fmt: skip
    """What one process wrote, and what two did, of the model or fit of a name."""

    @functools.cache
    def launched(few: bool) -> dict[int, Path]:
        folders = plain if few else request.getfixturevalue("folders")
        return {n: _launched(n, folders, few, tmp_path_factory.mktemp(str(n))) for n in (1, 2)}

    return lambda name: launched(name in FEW)


def _launched(processes: int, folders: dict[str, Path], few: bool, out: Path) -> Path:
    (out / "commands.json").write_text(json.dumps(list(commands(out, folders, few))))
    # (`--cpu` starts one process, however many are asked for.)
    launch = [BIN / "accelerate", "launch", *["--multi_gpu"] * (processes > 1)]
    launch += ["--num_processes", str(processes), "--main_process_port", "0"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    done = subprocess.run(
        [*launch, TESTS / "launched.py", out / "commands.json"],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=out,
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    (out / "output.txt").write_text(done.stdout)
    assert len(list(out.glob("process-*"))) == processes
    return out


def results(folder: Path) -> dict[str, Any]:
    """Of the one results file there may be."""
    (path,) = folder.rglob("results_*.json")
    return dict(json.loads(path.read_text()))


def samples(folder: Path) -> dict[str, Any]:
    """Answers by task and document."""
    return {
        f"{path.name.rpartition('_')[0]} {row['doc_hash']}": answers(row)
        for path in folder.rglob("samples_*.jsonl")
        for row in map(json.loads, path.read_text().splitlines())
    }


@pytest.mark.parametrize("name", kinds(MODELS, FEW))
def test_two_processes_give_the_figures_of_one(runs: Runs, name: str) -> None:
    one, two = (results(runs(name)[n] / name)["results"] for n in (1, 2))
    assert one.keys() == two.keys() and one
    for task, row in one.items():
        assert row.keys() == two[task].keys()
        for key, value in row.items():
            if isinstance(value, float):
                near = 1e-6 if MODELS[name][0] == SENTENCES else 1e-9
                np.testing.assert_allclose(
                    two[task][key], value, rtol=0, atol=near, err_msg=f"{task} {key}"
                )
            else:
                assert two[task][key] == value or key == "alias", (task, key)


@pytest.mark.parametrize("name", kinds(MODELS, FEW))
def test_every_document_is_answered_once_and_alike(runs: Runs, name: str) -> None:
    one, two = (samples(runs(name)[n] / name) for n in (1, 2))
    assert one.keys() == two.keys() and len(one) in (15, 30)
    for document, mine in one.items():
        if "reproducible" in MODELS[name][1]:
            assert mine == two[document]
        elif MODELS[name][0] not in (ANSWERS, SENTENCES):
            values = [[float(a[0]) for a in found] for found in (mine, two[document])]
            np.testing.assert_allclose(*values, rtol=0, atol=1e-9)
        elif MODELS[name][0] == SENTENCES:  # (an encoder's float32, batched otherwise)
            read = [np.hstack([*json.loads(found[0]).values()]) for found in (mine, two[document])]
            np.testing.assert_allclose(*read, rtol=1e-6)
        else:
            assert mine == two[document]


def test_samples_differ(runs: Runs) -> None:
    """Else the equality above says nothing of sampling."""
    (path,) = (runs("self_consistency")[2] / "self_consistency").rglob("samples_*.jsonl")
    rows = map(json.loads, path.read_text().splitlines())
    pools = [json.loads(row["resps"][0][0])["candidates"] for row in rows]
    assert all(len(set(pool)) == 3 for pool in pools)


@pytest.mark.exhaustive
def test_temperatures_are_of_all_prompts(runs: Runs) -> None:
    a, b = (
        results(runs("thermometer")[n] / "thermometer")["config"]["thermometer"] for n in (1, 2)
    )
    for task, found in a["temperatures"].items():
        assert found["prompts"] == b["temperatures"][task]["prompts"] == 15
        assert found["temperature"] == pytest.approx(
            b["temperatures"][task]["temperature"], abs=1e-9
        )


@pytest.mark.exhaustive
def test_posterior_draws_are_shared(runs: Runs) -> None:
    one, two = (results(runs("swag")[n] / "swag")["results"]["calib_toy_norm"] for n in (1, 2))
    assert one["draws,none"] == two["draws,none"] == 4


@pytest.mark.parametrize("name", kinds(FITS, FEW))
def test_a_fit_shares_its_pass(runs: Runs, name: str) -> None:
    """Parts of documents are computed alike by whichever process: to the bit."""
    a, b = (runs(name)[n] / "fits" / name for n in (1, 2))
    load(str(b))
    assert (a / "config.json").read_bytes() == (b / "config.json").read_bytes()


@pytest.mark.parametrize("name", kinds(FITS, FEW))
def test_each_process_made_its_part(runs: Runs, name: str) -> None:
    folders = [runs(name)[n] / "fits" / name for n in (1, 2)]
    stores = [sorted(p.name for p in folder.rglob("*-*.safetensors")) for folder in folders]
    assert stores[0] == stores[1] and len(stores[0]) >= 2


def test_tables_are_printed_once(runs: Runs) -> None:
    assert (runs("temperature")[2] / "output.txt").read_text().count(
        "temperature, fitted on 80 documents"
    ) == 1


def test_a_base_that_knows_no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    import scripted_base  # noqa: F401

    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(InvalidInputError, match=r"each of the 4 would ask for all.*num_concurrent"):
        SelfConsistencyLM(base="scripted")
