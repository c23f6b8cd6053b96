"""Names that data bring never lead out of the folder that is meant."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from kinds import kinds

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.features import Features, FeatureStore, Key
from lm_eval_calibration.fractal.encoders import Encoder
from lm_eval_calibration.logs import read_runs
from lm_eval_calibration.names import file_name
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.report.figures import Artist
from lm_eval_calibration.swag import load

HOSTILE = [
    "../../x", "..", ".", "", "/etc/passwd", "a/../../b", "C:\\x\\y", "\\\\host\\share", "a\0b", "x" * 9999,
    "é" * 500, "\ud800", "con", "NUL.txt", "lpt1", "a.", "b ", ".hidden", "a\nb", "\x1b[31m", "~/x", "-rf", "$(id)",
    "x.safetensors/../y", "%2e%2e%2f", "\u202egnp.exe", "👍" * 200, "*", "?", "a:b", "~", "...", "--",
]  # fmt: skip


@pytest.mark.parametrize("number", kinds(range(len(HOSTILE)), range(0, len(HOSTILE), 4)))
def test_every_name_stays_inside(number: int, tmp_path: Path) -> None:
    name = HOSTILE[number]
    inside = tmp_path / "in" / "deep"
    inside.mkdir(parents=True)
    assert (inside / file_name(name)).resolve().parent == inside.resolve()
    features = Features(
        "t", np.zeros((1, 2), np.float32), np.zeros((1, 2)), np.array([2]),
        np.array([[True, False]]), np.array([1], np.uint64),
    )  # fmt: skip
    key = Key("m", "", "float32", name, name, "p")
    store = FeatureStore(inside)
    store.put(key, features)
    assert store.get(key) is not None
    artist = Artist(inside / "figures", ["svg"])
    artist.scope(name, Predictions.from_confidences([0.5, 0.9], [1, 0]), {})
    encoder = Encoder(name, inside)
    folder = encoder._folder
    assert folder is not None
    folder.mkdir()
    assert folder.resolve().parent == inside.resolve()
    made = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(made) >= 4 and all(path.resolve().is_relative_to(inside) for path in made)
    assert all(len(path.name.encode()) < 256 for path in tmp_path.rglob("*"))


def test_names_that_differ_stay_apart() -> None:
    names = [name for name in HOSTILE if file_name(name) != name]
    cut = ["x" * 500, "x" * 501, "..", "."]
    assert len({file_name(name) for name in cut}) == len(cut)
    assert len({file_name(name).lower() for name in names}) > len(names) - 6


@pytest.mark.parametrize("names", [["../member-0"], ["/etc"], ["member-1"], [None], "member-0", {}])
def test_members_are_called_as_we_call_them(names: object, tmp_path: Path) -> None:
    (tmp_path / "members.json").write_text(json.dumps({"members": names}))
    with pytest.raises(InvalidInputError, match="no posterior that can be read"):
        load(tmp_path)


def test_dates_lead_to_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    for date in ("2026-01-01T../secret", "2026-01-01T..", "2026-01-01T00:00:00\0"):
        with pytest.raises((InvalidInputError, ValueError)):
            read_runs([str(tmp_path / f"samples_t_{date}.jsonl")])


@pytest.mark.parametrize(
    "kind", ["os.system", "mine.Module", "", "sentence_transformersx.A", "subprocess.Popen"]
)
def test_an_encoders_own_code_is_not_run(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1", "type": kind},
    ]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "mine.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(InvalidInputError, match="own code is not run"):
        Encoder(str(tmp_path)).encode(["x"])
