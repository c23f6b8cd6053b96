"""What is asked is what the run says: of every wrapper, on every base, under all options, and again.

`CONVERSATIONS=3000` draws so many combinations.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinds import EXAMPLES
from lm_eval import simple_evaluate
from recording import Recorder, RecordingApi, Sent
from release import OLD

from lm_eval_calibration.conversation import joined

pytest.importorskip("tenacity", reason="lm-eval[api] is not installed")
MORE = os.environ.get("CONVERSATIONS")
WRAPPERS: dict[str, tuple[str, dict[str, Any]]] = {
    "self_consistency": ("generate", {"candidates": 2}),
    "p_true in words": ("generate", {"ask": "verbal"}),
    "p_true": ("generate", {"ask": "likelihood"}),
    "self_correct": ("generate", {"candidates": 2, "permutations": 2}),
    "self_correct with shots": ("generate", {"candidates": 2, "permutations": 1, "shots": 1}),
    "self_correct, reasoned": ("generate", {"candidates": 2, "chain_of_thought": True}),
    "self_correct by likelihood": ("generate", {"candidates": 2, "discriminate": "likelihood"}),
    "verbalized": ("choose", {}),
    "verbalized of inputs": ("inputs", {}),
    "verbalized of answers": ("generate", {}),
    "option_tokens": ("choose", {"orders": 2}),
    "option_tokens of inputs": ("inputs", {}),
}
"""With the kind of task and the arguments."""
LOCAL = ("p_true", "self_correct by likelihood", "option_tokens", "option_tokens of inputs")
"""They need log-likelihoods."""
DESCRIPTION, SYSTEM, PREFIX = "These are items.\n\n", "Be brief.", "It is"
LIMIT = 2


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    """Of a run."""
    chat = draw(st.booleans())
    given_ = {
        "max_gen_toks": draw(st.sampled_from([None, 77])),
        "temperature": draw(st.sampled_from([None, 0.5])),
        "until": draw(st.sampled_from([None, "@"])),
    }
    return {
        "chat": chat,
        "multiturn": chat and draw(st.booleans()),
        "system": draw(st.sampled_from([None, SYSTEM])),
        "shots": draw(st.sampled_from([0, 2])),
        "description": draw(st.booleans()),
        "prefix": draw(st.booleans()),
        "gen_kwargs": {name: value for name, value in given_.items() if value is not None},
        "room": draw(st.sampled_from([None, 33])),
    }


@pytest.fixture(scope="module")
def many_tasks(task_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Tasks of each kind, with and without a description and a beginning of the reply."""
    from lm_eval.tasks import TaskManager

    import lm_eval_calibration  # noqa: F401

    folder = tmp_path_factory.mktemp("conversations")
    for kind, name in (
        ("generate", "toy_generate"),
        ("choose", "toy_norm"),
        ("inputs", "toy_inputs"),
    ):
        text = (task_folder / f"{name}.yaml").read_text().replace("tag: toy_tag\n", "")
        for described in (False, True):
            for prefixed in (False, True):
                new = f"talk_{kind}_{int(described)}{int(prefixed)}"
                more = f"description: {DESCRIPTION!r}\n".replace("'", '"') if described else ""
                more += f"gen_prefix: {PREFIX}\n" if prefixed else ""
                made = text.replace(f"task: {name}", f"task: {new}\n{more}", 1)
                (folder / f"{new}.yaml").write_text(made)
    return TaskManager(include_path=str(folder), include_defaults=False)


class Runs:
    """Runs of one wrapper under one set of options."""

    def __init__(self, tasks: Any, wrapper: str, how: dict[str, Any]) -> None:
        self._tasks, self._how = tasks, how
        self._model, self._wrapper = wrapper.split(",")[0].split(" ")[0], wrapper
        self.kind, self._arguments = WRAPPERS[wrapper]
        if how["room"] is not None:
            self._arguments = {**self._arguments, "max_gen_toks": how["room"]}
        self.task = f"talk_{self.kind}_{int(how['description'])}{int(how['prefix'])}"

    def on(self, base: str, **more: Any) -> tuple[list[Sent], dict[str, Any]]:
        """What was sent, sorted, and the figures."""
        if base == "recorder":
            Recorder.sent = []
            return self._run({"base": base, **self._arguments}, lambda: Recorder.sent, **more)
        with RecordingApi() as api:
            chat = base == "local-chat-completions"
            url = api.url if chat else api.completions
            backend = {} if chat else {"tokenizer_backend": None, "tokenized_requests": False}
            arguments = {"base": base, "model": "m", "base_url": url, **backend}
            return self._run({**arguments, **self._arguments}, lambda: api.sent, **more)

    def _run(self, arguments: dict[str, Any], sent: Any, **more: Any) -> Any:
        how = self._how
        results = simple_evaluate(
            model=self._model, model_args=arguments, tasks=[f"calib_{self.task}"],
            task_manager=self._tasks, limit=LIMIT, bootstrap_iters=0, log_samples=True,
            num_fewshot=how["shots"], system_instruction=how["system"],
            apply_chat_template=how["chat"], fewshot_as_multiturn=how["multiturn"],
            gen_kwargs=dict(how["gen_kwargs"]) or None, **more,
        )  # fmt: skip
        assert results is not None
        figures = {
            name: value
            for name, value in results["results"][f"calib_{self.task}"].items()
            if value == value and name != "alias"
        }
        told = results["config"].get("questions", {})
        if own(sent()):
            assert told["system_instruction"] == system_before(how)
            assert told["examples"] == (shows(self._wrapper) and how["shots"] > 0)
            assert told["chat_template"] == how["chat"]
        return sorted(sent()), figures


def own(sent: list[Sent]) -> list[Sent]:
    """Questions of the wrapper's own."""
    marks = ("JSON object", "Proposed answer", "Answer 1:", "letter of the right option")
    return [s for s in sent if any(mark in s.turns[-1][1] for mark in marks)]


def system_before(how: dict[str, Any]) -> str:
    """The system text before a question of a wrapper."""
    system, text = how["system"] or "", DESCRIPTION if how["description"] else ""
    return joined(system, text) if system and text else system + text


def shows(wrapper: str) -> bool:
    """Whether examples go before it: where they are solved as the question is to be."""
    return WRAPPERS[wrapper][0] != "generate" and not wrapper.startswith("option_tokens")


def check_own(sent: list[Sent], how: dict[str, Any], wrapper: str, shots: int) -> None:
    """System text, examples where the task's question is asked, and the user's settings."""
    system, examples, kind = system_before(how), shows(wrapper), WRAPPERS[wrapper][0]
    shown = "of train?" if kind != "inputs" else "train "
    for each in own(sent):
        roles = [role for role, _ in each.turns]
        text = "\n".join(content for _, content in each.turns)
        if how["chat"]:
            assert (roles[0] == "system") == bool(system)
            assert not system or each.turns[0][1] == system
            assert roles[-1] == "user"
            pairs = 2 if examples and how["multiturn"] and how["shots"] else shots
            assert roles[bool(system) :] == ["user", "assistant"] * pairs + ["user"]
        else:
            assert text.startswith(system)
        assert ("test " if kind == "inputs" else "What is item") in each.turns[-1][1]
        count = how["shots"] if examples else shots
        assert (text.count(shown) > 0) == (count > 0)
        if not each.option:
            check_settings(each, how)


def check_settings(sent: Sent, how: dict[str, Any]) -> None:
    room = how["gen_kwargs"].get("max_gen_toks") if how["room"] is None else how["room"]
    assert room is None or sent.room == room
    assert sent.temperature == how["gen_kwargs"].get("temperature", 0.0)
    assert sent.stops == (("@",) if "until" in how["gen_kwargs"] else ())


def own_shots(wrapper: str) -> int:
    return WRAPPERS[wrapper][1].get("shots", 0)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_what_is_asked_is_what_the_run_says(
    wrapper: str, many_tasks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.caching import cache

    number = iter(range(1_000_000))

    @settings(
        max_examples=int(MORE) // len(WRAPPERS) if MORE else 2 * EXAMPLES,
        derandomize=not MORE,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(options())
    def run(how: dict[str, Any]) -> None:
        place = tmp_path / str(next(number))
        place.mkdir()
        monkeypatch.setattr(cache, "PATH", str(place / "requests"))
        runs = Runs(many_tasks, wrapper, how)
        sent, figures = runs.on("recorder")
        check_own(sent, how, wrapper, own_shots(wrapper))
        for again in ("made", "read") if OLD else ():  # the harness's cache of requests
            assert runs.on("recorder", cache_requests=True) == (sent, figures), again
        kept = str(place / "answers")
        # (0.5.0.dev1 calls that cache's files by their whole key, which may be longer than names can be)
        assert runs.on("recorder", use_cache=kept, cache_requests=OLD) == (sent, figures)
        assert runs.on("recorder", use_cache=kept, cache_requests=OLD) == ([], figures)
        if wrapper in LOCAL:
            return
        base = "local-chat-completions" if how["chat"] else "local-completions"
        for again in ("made anew", "read"):
            other, others = runs.on(
                base, cache_requests=OLD, rewrite_requests_cache=OLD and again != "read"
            )
            told = {n: v for n, v in others.items() if not n.startswith("cut_rate")}
            assert (other, told) == (sent, figures), again

    run()
