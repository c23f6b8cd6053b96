"""What stops an artifact from being used where it was not fitted, and what marks it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lm_eval_calibration.calibrators import Training
from lm_eval_calibration.calibrators.held_out import (
    AS_OPTIONS,
    HeldOut,
    OtherModelError,
    OtherPromptsError,
    SeenDocumentsError,
)
from lm_eval_calibration.prompt_format import PromptFormat

PLAIN = PromptFormat(0, "", "")
SHOTS = PromptFormat(2, "a" * 64, "", True)
FITTED = Training({"arc": 3}, np.array([1, 2, 3], np.uint64), "org/model", "x:y", {"arc": PLAIN})


def held_out(training: Training = FITTED, **options: Any) -> tuple[HeldOut, list[str]]:
    said: list[str] = []
    return HeldOut(training, "ts", said.append, **options), said


def test_the_weights_decide_where_both_are_known() -> None:
    found, said = held_out()
    found.check_model("another/name", "z:y")
    with pytest.raises(OtherModelError) as caught:
        found.check_model("org/model", "z:w")
    assert str(caught.value) == (
        "The calibrator `ts` was fitted for `org/model`, and the weights of `org/model` are others. "
        "Fit one for it, or pass allow_other=true, which marks the results."
    )
    assert not said and found.other == []


@pytest.mark.parametrize("fingerprint", ["", "x:y"])
def test_names_decide_where_weights_are_known_on_one_side(fingerprint: str) -> None:
    kept = "" if fingerprint else "x:y"
    training = Training(base_model="org/model", fingerprint=kept, prompts={"arc": PLAIN})
    found, said = held_out(training)
    found.check_model("org/model", fingerprint)
    assert not said
    found.check_model("/models/model", fingerprint)
    assert "only the last part of the name is compared" in said.pop()
    with pytest.raises(OtherModelError, match="`org/model`, and this is `org/other`"):
        found.check_model("org/other", fingerprint)
    with pytest.raises(OtherModelError, match="this is `org/model@step1`"):
        found.check_model("org/model@step1", fingerprint)
    assert not said


def test_a_link_and_the_hubs_cache_are_the_model_that_they_lead_to(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--org--model" / "snapshots" / "0a1b"
    snapshot.mkdir(parents=True)
    (tmp_path / "latest").symlink_to(snapshot)
    (tmp_path / "model").mkdir()
    (tmp_path / "mine").symlink_to(tmp_path / "model")
    (tmp_path / "step2").mkdir()
    (tmp_path / "next").symlink_to(tmp_path / "step2")
    training = Training(base_model="org/model", prompts={"arc": PLAIN})
    for name in (snapshot, tmp_path / "latest", tmp_path / "mine"):
        held_out(training)[0].check_model(str(name), "x:y")
    with pytest.raises(OtherModelError, match="and this is"):
        held_out(training)[0].check_model(str(tmp_path / "next"), "x:y")


def test_the_name_in_an_artifact_of_earlier_versions_is_marked() -> None:
    found, said = held_out(Training(base_model="org/model"))
    found.check_model("org/other", "x:y")
    assert found.other == ["was fitted for `org/model`, and this is `org/other`"]
    assert len(said) == 1


def test_what_is_not_known_is_said_once() -> None:
    found, said = held_out(Training())
    for _ in range(2):
        found.check_model("org/model", "x:y")
        found.check_prompts({"arc": PLAIN})
    found.check_documents({"arc": np.array([1], np.uint64)})
    *compared, documents = said
    assert [text.partition("nothing is known of ")[2] for text in compared] == [
        "the model it was fitted on, so that is not compared.",
        "the prompts it was fitted on, so that is not compared.",
    ]
    assert "it is not known whether documents of this evaluation" in documents
    assert "the artifact keeps no hashes" in documents
    found, said = held_out()
    for _ in range(2):
        found.check_documents({"arc": np.empty(0, np.uint64)})
    (documents,) = said
    assert "the logs have no hashes of documents" in documents
    found, said = held_out()
    found.check_model("", "")
    found.check_prompts({"arc": PromptFormat()})
    assert ["used on" in text for text in said] == [True, True] and found.other == []


def test_other_prompts_are_refused_in_words() -> None:
    found, _ = held_out(spelled=AS_OPTIONS)
    found.check_prompts({"arc": PLAIN, "boolq": PLAIN})
    with pytest.raises(OtherPromptsError) as caught:
        found.check_prompts({"arc": SHOTS})
    assert str(caught.value) == (
        "The calibrator `ts` was fitted zero-shot and on plain prompts; `arc` is asked with 2 shots "
        "and in a chat template. Fit one on such prompts, or pass --allow-other, which marks the "
        "results."
    )


def test_another_task_may_be_asked_as_any_that_was_fitted_on() -> None:
    found, _ = held_out(Training(prompts={"arc": PLAIN, "mmlu": SHOTS}))
    found.check_prompts({"boolq": SHOTS, "piqa": PLAIN, "": PromptFormat(None, "")})
    with pytest.raises(OtherPromptsError, match="`arc` is asked with 2 shots"):
        found.check_prompts({"arc": SHOTS})
    with pytest.raises(OtherPromptsError, match=r"`boolq` is asked with 1 shot\."):
        found.check_prompts({"boolq": PromptFormat(1, "", "")})


def test_what_is_allowed_is_marked_once() -> None:
    found, said = held_out(allow_other=True, allow_seen=True)
    for _ in range(2):
        found.check_model("org/model", "z:w")
        found.check_prompts({"arc": SHOTS})
        found.check_documents(
            {"arc": np.array([3, 4], np.uint64), "boolq": np.array([9], np.uint64)}
        )
    account = found.account()
    assert account["seen_documents"] == {"arc": 1} and len(account["other"]) == 2 == len(said) - 1
    assert account["fitted_on"] == {"arc": 3} and account["fitted_for"] == "org/model"


def test_seen_documents_are_counted_and_refused() -> None:
    documents = {"arc": np.array([2, 3, 4], np.uint64)}
    with pytest.raises(SeenDocumentsError, match=r"2 of 3 of `arc`.*or pass allow_seen=true"):
        held_out()[0].check_documents(documents)
    with pytest.raises(
        SeenDocumentsError, match=r"fit it on others \(`lm-calib fit` has --split\)\.$"
    ):
        held_out(spelled=AS_OPTIONS)[0].check_documents(documents)
