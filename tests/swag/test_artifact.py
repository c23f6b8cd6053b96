"""A member in a folder: what peft reads of it, what comes back, and what is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from lm_eval_calibration.calibrators import Training
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.scoring.packed import Packed
from lm_eval_calibration.swag import Draw, Member, Posterior, SwagSettings, artifact, load, lora
from lm_eval_calibration.swag.mixture import POSTERIORS, Mixture
from lm_eval_calibration.swag.training import train


def member(
    fresh: Any, learn: Any, judge: Any, settings: SwagSettings, work: Path, seed: int
) -> Member:
    adapted = lora.adapt(fresh(), settings, seed)
    found = train(adapted, Packed(adapted, 64), learn, judge, settings, work, seed=seed)
    config = artifact.adapter_config(adapted.peft_config[lora.ADAPTER])
    documents = np.array([7, 2**63 + 5], dtype=np.uint64)
    training = Training({"toy": 42}, documents, "tiny", "abc")
    return Member(found.moments, found.best, config, settings, training, 0.5, {"seed": seed})


@pytest.fixture(scope="module")
def trained(
    fresh: Any,
    learn: Any,
    judge: Any,
    quick: SwagSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Member]:
    work = tmp_path_factory.mktemp("work")
    return [member(fresh, learn, judge, quick, work / str(seed), seed) for seed in (0, 1)]


@pytest.fixture
def two(trained: list[Member]) -> list[Member]:
    """Two members, a test's own."""
    return copy.deepcopy(trained)


@pytest.fixture
def folder(two: list[Member], tmp_path: Path) -> Path:
    """Two members."""
    path = tmp_path / "swag"
    for number, one in enumerate(two):
        one.save(path / f"member-{number}")
    artifact.save_index(path, 2)
    return path


def test_round_trip(two: list[Member], folder: Path) -> None:
    for given, back in zip(two, load(folder), strict=True):
        for name, value in given.moments.state().items():
            assert torch.equal(value, back.moments.state()[name])
        assert all(torch.equal(given.best[name], back.best[name]) for name in given.best)
        assert back.settings == given.settings and back.scale == 0.5
        assert back.training.tasks == {"toy": 42} and back.training.fingerprint == "abc"
        assert back.training.documents.tolist() == [7, 2**63 + 5]
        a, b = (Posterior(m.moments, Draw()).sample(3, 1) for m in (given, back))
        assert all(torch.equal(a[name], b[name]) for name in a)
    assert len(load(folder / "member-1")) == 1
    assert not list(folder.rglob("*.part"))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft 0.21's
def test_peft_loads_the_mean_and_the_best(two: list[Member], folder: Path, fresh: Any) -> None:
    for path, expected in (("member-0", two[0].mean), ("member-0/map", two[0].best)):
        model = PeftModel.from_pretrained(fresh(), str(folder / path))
        found = lora.weights(model)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_scale_of_none_is_each_members_own(two: list[Member]) -> None:
    two[1].scale = 2.0
    assert Mixture(two).scales == [0.5, 2.0]
    assert Mixture(two, scale=1.0).scales == [1.0, 1.0]


@pytest.mark.parametrize(
    ("method", "samples", "shape"),
    [
        ("map", 4, (1, 1)), ("mc_dropout", 4, (1, 4)), ("ensemble", 4, (2, 1)),
        ("swa", 4, (1, 1)), ("swag", 4, (1, 4)), ("multiswag", 4, (2, 4)),
        ("swag", 0, (1, 1)), ("multiswag", 0, (2, 1)), ("", 3, (2, 3)),
    ],
)  # fmt: skip
def test_methods(two: list[Member], method: str, samples: int, shape: tuple[int, int]) -> None:
    mixture = Mixture(two, method, samples, member=1)
    sets = list(mixture.weight_sets())
    assert mixture.shape == shape and len(sets) == shape[0] * shape[1]
    assert {s.member for s in sets} == ({0, 1} if shape[0] == 2 else {1})
    for s in sets:
        source = two[s.member]
        still = source.best if method in ("map", "mc_dropout", "ensemble") else source.mean
        if method in ("swag", "multiswag", "") and samples:
            still = Posterior(source.moments, Draw(0.5)).sample(s.sample, s.member)
        assert all(torch.equal(s.weights[name], still[name]) for name in still)
    seeds = {s.dropout for s in sets}
    assert len(seeds) == 4 and None not in seeds if method == "mc_dropout" else seeds == {None}


def test_scale_0_needs_one_draw(two: list[Member]) -> None:
    assert Mixture(two, "swag", 15, scale=0.0).shape == (1, 1)
    assert set(POSTERIORS) == {"map", "mc_dropout", "ensemble", "swa", "swag", "multiswag"}


def test_mixtures_that_cannot_be(two: list[Member]) -> None:
    for options, match in (
        ({"samples": -1}, "`samples` must be a whole number, at least 0, got -1"),
        ({"samples": 2.5}, "`samples` must be a whole number"),
        ({"method": "mc_dropout", "samples": 0}, "at least 1, got 0"),
        ({"method": "swagg"}, "Did you mean `swag`"),
        ({"member": 2}, "`member` must be from 0 to 1, got 2"),
        ({"scale": -1.0}, "`scale` must be 0 or more"),
    ):
        with pytest.raises(InvalidInputError, match=match):
            Mixture(two, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["swag.json", "swag.safetensors", "adapter_model.safetensors", "adapter_config.json"]
)
def test_files_that_are_missing_or_cut_off(folder: Path, name: str) -> None:
    path = folder / "member-1" / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidInputError, match="no posterior that can be read"):
        load(folder)
    path.unlink()
    with pytest.raises(InvalidInputError, match=rf"member-1` without {name}"):
        load(folder)


def test_a_member_that_is_missing(folder: Path) -> None:
    (folder / "member-0").rename(folder / "member-5")
    with pytest.raises(InvalidInputError, match=r"member-0` without swag\.json"):
        load(folder)
    (folder / "members.json").write_text('{"members": ["../../etc"]}')
    with pytest.raises(InvalidInputError, match="no posterior that can be read"):
        load(folder)
    with pytest.raises(InvalidInputError, match=r"without swag\.json"):
        load(folder / "nothing")


def edited(path: Path, **changes: Any) -> None:
    about = json.loads((path / "swag.json").read_text())
    (path / "swag.json").write_text(json.dumps({**about, **changes}))


def test_figures_that_do_not_fit(folder: Path, two: list[Member]) -> None:
    first = folder / "member-0"
    settings = json.loads((first / "swag.json").read_text())["settings"]
    for changes in (
        {"scale": -1}, {"scale": "wide"}, {"tensors": {}}, {"tasks": []},
        {"settings": {**settings, "rank": 20}}, {"settings": {"unknown": 1}},
    ):  # fmt: skip
        edited(first, **changes)
        with pytest.raises(InvalidInputError, match="no posterior that can be read"):
            load(folder)
        two[0].save(first)
    edited(folder / "member-1", base_fingerprint="other")
    with pytest.raises(InvalidInputError, match="member 1 is of another base model"):
        load(folder)
    load_file(first / "adapter_model.safetensors")
