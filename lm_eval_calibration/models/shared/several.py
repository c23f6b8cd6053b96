"""Samples of one prompt asked of a server in one request, whose prompt is read and paid once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval_calibration.harness.api import Instance, hash_args
from lm_eval_calibration.harness.requests import GENERATE
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.shared.phases import asked, draws

log = logger(f"lm_eval.{__name__}")

COUNT = "n"
"""How many samples are wanted, among the settings of a request, as OpenAI has it."""
SEED = "seed"
DRAWS_OF_A_REQUEST = 16
"""In one request: more are lost together, and refused by some."""
REFUSES = (400, 404, 422, 501)
"""A server's answers to a setting that it does not know."""


class Several(str):
    """The texts of one request: the first, with all of them in `texts`."""

    texts: list[str]

    def __new__(cls, texts: Sequence[str]) -> Several:
        """Of one text at least."""
        found = super().__new__(cls, texts[0])
        found.texts = list(texts)
        return found


class SeveralSamples:
    """Goes before an API class of the harness: samples of a prompt are one request where the server takes `n`.

    Only those whose seeds follow on each other, as a server counts them up, so that a run that goes on
    where it was has no sample twice.
    """

    _takes_several: bool | None = None

    def generate_until(self, requests: list[Any], *arguments: Any, **options: Any) -> list[str]:
        """As the class has it."""
        runs = _runs(requests)
        if self._takes_several is None and any(len(run) > 1 for run in runs):
            self._try(requests[next(run for run in runs if len(run) > 1)[0]].args)
        if not self._takes_several:
            return list(super().generate_until(requests, *arguments, **options))  # type: ignore[misc]
        merged = [_merged([requests[i] for i in run]) for run in runs]
        hook: Any = self.cache_hook  # type: ignore[has-type]
        self.cache_hook = _Parting(hook, requests, runs, merged)
        try:
            found = super().generate_until(merged, *arguments, **options)  # type: ignore[misc]
        finally:
            self.cache_hook = hook
        answers: dict[int, str] = {}
        for run, text in zip(runs, found, strict=True):
            answers |= dict(zip(run, getattr(text, "texts", [text]), strict=False))
        left = [i for i in range(len(requests)) if i not in answers]
        if left:
            log.warning(
                "The server gave fewer samples than were asked for: it is asked for each by itself."
            )
            self._takes_several = False
            rest = super().generate_until([requests[i] for i in left], *arguments, **options)  # type: ignore[misc]
            answers |= dict(zip(left, rest, strict=True))
        return [answers[i] for i in range(len(requests))]

    def _try(self, arguments: tuple[Any, ...]) -> None:
        """Ask for two samples of one token, to see whether two come."""
        context, settings = arguments[:2]
        tokenized: bool = self.tokenized_requests  # type: ignore[attr-defined]
        prompt = self.tok_encode(context) if tokenized else context  # type: ignore[attr-defined]
        few = {**settings, "max_gen_toks": 1, COUNT: 2}
        try:
            reply = self.model_call(messages=[prompt], generate=True, gen_kwargs=few)  # type: ignore[attr-defined]
        except Exception as error:  # noqa: BLE001 - whatever else it is, the run will meet it
            response = getattr(error, "response", None)
            if getattr(response, "status_code", None) in REFUSES:
                self._takes_several = False
            return
        choices = reply.get("choices") if isinstance(reply, dict) else None
        self._takes_several = isinstance(choices, list) and len(choices) == 2


def _runs(requests: Sequence[Any]) -> list[list[int]]:
    """Numbers of the requests that are asked together: samples whose seeds follow on each other; else each by itself."""
    found: list[list[int]] = []
    open_runs: dict[str, tuple[int, list[int]]] = {}
    for i, request in enumerate(requests):
        context, settings = request.args[:2]
        seed = settings.get(SEED)
        if (
            type(seed) is not int
            or not draws(settings)
            or COUNT in settings
            or len(request.args) > 2
        ):
            found.append([i])
            continue
        key = hash_args(GENERATE, (context, _without(settings, SEED)))
        due, run = open_runs.get(key, (None, []))
        if due == seed and len(run) < DRAWS_OF_A_REQUEST:
            run.append(i)
        else:
            run = [i]
            found.append(run)
        open_runs[key] = (seed + 1, run)
    return found


def _merged(run: Sequence[Any]) -> Instance | Any:
    """One request for all."""
    if len(run) == 1:
        return run[0]
    context, settings = run[0].args
    return asked(GENERATE, (context, {**settings, COUNT: len(run)}), run[0])


def _without(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != name}


class _Parting:
    """A cache hook that is told samples asked together as if each had been asked by itself."""

    def __init__(
        self, hook: Any, requests: Sequence[Any], runs: Sequence[list[int]], merged: Sequence[Any]
    ) -> None:
        self._hook, self.dbdict = hook, getattr(hook, "dbdict", None)
        self.hears_cuts = getattr(hook, "hears_cuts", False)
        self._of: dict[str, list[list[tuple[Any, ...]]]] = {}
        for run, request in zip(runs, merged, strict=True):
            if len(run) > 1:
                parts = [requests[i].args for i in run]
                self._of.setdefault(hash_args(GENERATE, request.args), []).append(parts)

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        """Hand on an answer, or each of several."""
        waiting = self._of.get(hash_args(attr, req)) if attr == GENERATE else None
        if not waiting:
            self._hook.add_partial(attr, req, res)
            return
        for arguments, text in zip(waiting.pop(0), getattr(res, "texts", [res]), strict=False):
            self._hook.add_partial(attr, arguments, text)
