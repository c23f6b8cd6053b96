"""A server that says something else than was asked for: nothing of it is kept, all else is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import lm_eval.models  # noqa: F401  (registers the API classes)
import pytest
from fake_api import HARMLESS, MISFIT, SILENT, FakeApi
from kinds import crossed
from lm_eval import simple_evaluate
from scripted_base import item

from lm_eval_calibration.errors import InvalidInputError

pytest.importorskip("tenacity", reason="lm-eval[api] is not installed")
BROKEN = (1, 4)
CHAT: dict[str, tuple[str, dict[str, Any]]] = {
    "verbalized": ("calib_toy_plain", {}),
    "p_true": ("calib_toy_generate", {"ask": "verbal"}),
    "self_consistency": ("calib_toy_generate", {"candidates": 3}),
    "self_correct": ("calib_toy_generate", {"candidates": 2, "permutations": 2}),
}
TEXT: dict[str, tuple[str, dict[str, Any]]] = {
    "p_true": ("calib_toy_generate", {"ask": "likelihood"}),
    "self_correct": ("calib_toy_generate", {"candidates": 2, "discriminate": "likelihood"}),
    "self_consistency": ("toy_plain", {}),  # (passed on)
}


def faulty(fault: str) -> Any:
    return lambda prompt, attempt: fault if item(prompt) in BROKEN else ""


def rows(results: Any, task: str) -> Any:
    return [
        {name: s.get(name) for name in ("doc_id", "envelopes", "stated", "filtered_resps")}
        for s in sorted(results["samples"][task], key=lambda s: s["doc_id"])
    ]


class Runs:
    """Evaluations of a wrapper over HTTP."""

    def __init__(self, tasks: Any, tiny_model: Path) -> None:
        self.tasks, self.tiny_model = tasks, tiny_model
        self.healthy: dict[str, Any] = {}

    def chat(
        self, wrapper: str, api: FakeApi, cache: Path | None = None, concurrent: int = 4
    ) -> Any:
        task, options = CHAT[wrapper]
        arguments = {
            "base": "local-chat-completions", "model": "m", "base_url": api.url,
            "num_concurrent": concurrent, "max_retries": 1, **options,
        }  # fmt: skip
        return self._rows(wrapper, arguments, task, cache, chat=True)

    def text(
        self, wrapper: str, api: FakeApi, cache: Path | None = None, concurrent: int = 4
    ) -> Any:
        task, options = TEXT[wrapper]
        arguments = {
            "base": "local-completions", "model": "m", "base_url": api.completions,
            "tokenizer": str(self.tiny_model), "tokenizer_backend": "huggingface",
            "tokenized_requests": False, "num_concurrent": concurrent, "max_retries": 1, **options,
        }  # fmt: skip
        return self._rows(wrapper, arguments, task, cache, chat=False)

    def _rows(self, wrapper: str, arguments: Any, task: str, cache: Path | None, chat: bool) -> Any:
        results = simple_evaluate(
            model=wrapper, model_args=arguments, tasks=[task], task_manager=self.tasks, limit=7,
            apply_chat_template=chat, bootstrap_iters=0, use_cache=cache and str(cache),
        )  # fmt: skip
        return rows(results, task)

    def undisturbed(self, kind: str, wrapper: str) -> Any:
        if (kind, wrapper) not in self.healthy:
            with FakeApi() as api:
                self.healthy[kind, wrapper] = getattr(self, kind)(wrapper, api)
        return self.healthy[kind, wrapper]


@pytest.fixture(scope="module")
def runs(tasks: Any, tiny_model: Path) -> Runs:
    return Runs(tasks, tiny_model)


@pytest.mark.parametrize(("wrapper", "fault", "concurrent"), crossed(CHAT, HARMLESS, [1, 4]))
def test_the_same_in_another_way_is_the_same(
    runs: Runs, wrapper: str, fault: str, concurrent: int, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeApi(faults=faulty(fault)) as api, caplog.at_level(logging.WARNING):
        found = runs.chat(wrapper, api, concurrent=concurrent)
    assert found == runs.undisturbed("chat", wrapper)
    assert caplog.text.count("several choices for a prompt") == (fault == "three choices")


@pytest.mark.parametrize(("wrapper", "fault"), crossed(CHAT, SILENT))
def test_no_text_is_no_answer_and_is_asked_for_again(
    runs: Runs, wrapper: str, fault: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    concurrent = 1 + 3 * (len(fault) % 2)
    with FakeApi(faults=faulty(fault)) as api, caplog.at_level(logging.WARNING):
        first = runs.chat(wrapper, api, tmp_path / "cache", concurrent)
    assert "requests have no answer (" in caplog.text
    expected = runs.undisturbed("chat", wrapper)
    for i, (mine, theirs) in enumerate(zip(first, expected, strict=True)):
        assert (mine == theirs) == (i not in BROKEN)
    with FakeApi() as mended:
        assert runs.chat(wrapper, mended, tmp_path / "cache", concurrent) == expected
        assert mended.documents == set(BROKEN)
        count = len(mended.payloads)
        assert runs.chat(wrapper, mended, tmp_path / "cache", concurrent) == expected
    assert len(mended.payloads) == count


@pytest.mark.parametrize(("wrapper", "fault"), crossed(TEXT, MISFIT))
def test_numbers_that_do_not_fit_are_refused_and_not_kept(
    runs: Runs, wrapper: str, fault: str, tmp_path: Path
) -> None:
    concurrent = 1 + 3 * (len(fault) % 2)
    with (
        FakeApi(faults=faulty(fault)) as api,
        pytest.raises(InvalidInputError, match=r"^Task `\w+`, document [14]: the base answered"),
    ):
        runs.text(wrapper, api, tmp_path / "cache", concurrent)
    with FakeApi() as mended:
        found = runs.text(wrapper, mended, tmp_path / "cache", concurrent)
    assert found == runs.undisturbed("text", wrapper)
    assert set(BROKEN) <= mended.documents
    if concurrent > 1:  # (all were asked, and the others kept)
        assert mended.documents == set(BROKEN)


def test_a_server_that_never_says_anything_ends_the_run(runs: Runs) -> None:
    for wrapper in CHAT:
        with (
            FakeApi(faults=lambda *_: "null") as api,
            pytest.raises(InvalidInputError, match=r"document 0: the base answered nothing"),
        ):
            runs.chat(wrapper, api)
