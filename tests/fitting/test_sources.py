"""A model as the command line tells of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fitting.sources import ModelArguments


def test_without_a_device_the_one_that_lm_eval_takes(tiny_model: Path) -> None:
    lm = ModelArguments("hf-fast", f"pretrained={tiny_model}").create()
    assert lm.device.type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_device_among_the_models_arguments(tiny_model: Path) -> None:
    arguments = f"pretrained={tiny_model},device=cpu"
    assert ModelArguments("hf-fast", arguments).create().device.type == "cpu"
    with pytest.raises(InvalidInputError, match="multiple values"):
        ModelArguments("hf-fast", arguments, device="cpu").create()


@pytest.mark.parametrize("wrong", ["dtype=float99", "attn_implementation=none_such", "dtype=[]"])
def test_whatever_a_loader_raises_is_one_line(wrong: str, tiny_model: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"`(--model_args|dtype)` must be") as caught:
        ModelArguments("hf-fast", f"pretrained={tiny_model},{wrong},token=Zx81yt55PPq0").create()
    assert "Zx81" not in str(caught.value)
