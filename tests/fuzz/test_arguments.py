"""Arguments of models, filters and metrics, as `--model_args` and YAML bring them."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import scripted_base  # noqa: F401
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.api.registry import get_model
from mutations import SCALARS, VALUES, fuzzing, ours

from lm_eval_calibration.arguments import parameters, refuse_unknown
from lm_eval_calibration.errors import InvalidInputError, UnknownNameError
from lm_eval_calibration.metrics import METRICS
from lm_eval_calibration.models import MODELS
from lm_eval_calibration.models.self_consistency import SelfConsistencyLM
from lm_eval_calibration.tasks.base import split_metrics
from lm_eval_calibration.tasks.verbal_filters import (
    RecalibrationFilter,
    ResoftmaxFilter,
    VerbalizedFilter,
)

ODD = SCALARS | st.sampled_from(["{{", "{% x %}", "json", "/", ".", "~", [], {}, [1], {"a": 1}])


def own(model: type) -> list[str]:
    """A constructor's own arguments."""
    kinds = inspect.signature(model.__init__).parameters.values()  # type: ignore[misc]
    return [p.name for p in kinds if p.name != "self" and p.kind == p.POSITIONAL_OR_KEYWORD]


@pytest.mark.parametrize("name", [n for n in MODELS if n not in ("hf-fast", "swag")])
def test_model_arguments(name: str) -> None:
    model = get_model(name)
    arguments = st.dictionaries(st.sampled_from(own(model)), ODD, min_size=1, max_size=3)
    known = (
        st.fixed_dictionaries({"base": st.just("scripted")})
        if name != "fractal-scorer"
        else st.just({})
    )

    @given(known, arguments)
    @fuzzing
    def run(first: dict[str, Any], more: dict[str, Any]) -> None:
        with ours():
            model(**{**first, **more})

    run()


@pytest.mark.parametrize("name", ["hf-fast", "swag"])
def test_arguments_of_models_that_load_weights(name: str, tiny_model: Path) -> None:
    model = get_model(name)
    mine = [n for n in own(model) if n in inspect.signature(model.__init__).parameters]  # type: ignore[misc]
    keywords = {p.name for p in inspect.signature(model.__init__).parameters.values()  # type: ignore[misc]
                if p.kind == p.KEYWORD_ONLY}  # fmt: skip

    @given(
        st.dictionaries(st.sampled_from(sorted({*mine, *keywords})), ODD, min_size=1, max_size=3)
    )
    @fuzzing
    def run(more: dict[str, Any]) -> None:
        with ours():
            model(pretrained=str(tiny_model), device="cpu", dtype="float32", **more)

    run()


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["metric", "num_bins", "coverage", "x"]), ODD) | VALUES,
        max_size=3,
    )
    | VALUES
)
@fuzzing
def test_metric_lists(entries: Any) -> None:
    with ours():
        split_metrics(entries)


@given(st.sampled_from(sorted(METRICS)), st.data())
@fuzzing
def test_metric_options(name: str, data: st.DataObject) -> None:
    options = data.draw(
        st.dictionaries(st.sampled_from([*METRICS[name].options, "x"]), ODD, max_size=2)
    )
    with ours():
        split_metrics([{"metric": name, **options}])


@pytest.mark.parametrize("kind", [VerbalizedFilter, RecalibrationFilter, ResoftmaxFilter])
def test_filter_arguments(kind: type) -> None:
    @given(st.dictionaries(st.sampled_from(own(kind)), ODD, max_size=3))
    @fuzzing
    def run(arguments: dict[str, Any]) -> None:
        with ours():
            kind(**arguments)

    run()


def test_a_misspelt_argument_is_not_handed_on(tiny_model: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean `candidates`"):
        get_model("self_consistency")(base="hf", pretrained=str(tiny_model), candidats=3)
    with pytest.raises(InvalidInputError, match="Unknown model inside, `base`: `nothing`"):
        get_model("p_true")(base="nothing")


def test_an_argument_that_nobody_takes() -> None:
    class Strict:
        def __init__(self, width: int = 1) -> None:
            self.width = width

    refuse_unknown(SelfConsistencyLM, "strict", Strict, {"width": 2})
    with pytest.raises(
        UnknownNameError, match="argument of `SelfConsistencyLM` with base=`strict`: `no`"
    ):
        refuse_unknown(SelfConsistencyLM, "strict", Strict, {"width": 2, "no": 3})


@pytest.mark.parametrize(("value", "meant"), [("no", None), (0, False), (True, True), ("1", None)])
def test_truth_is_not_guessed(value: Any, meant: bool | None) -> None:
    if meant is None:
        with pytest.raises(InvalidInputError, match="`allow_seen` must be true or false"):
            get_model("verbalized")(base="scripted", allow_seen=value)
    else:
        get_model("verbalized")(base="scripted", allow_seen=value)


def test_every_model_has_parameters() -> None:
    for name in MODELS:
        assert set(own(get_model(name))) <= parameters(get_model(name)).keys()
