"""`BeliefWrapper`: a wrapper that says how sure it is of what its base generates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from operator import not_
from pathlib import Path
from typing import Any

from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.harness.requests import GENERATE, LOGLIKELIHOOD, ROLLING
from lm_eval_calibration.models.shared.held_out import refuse_cache
from lm_eval_calibration.models.shared.identity import identity
from lm_eval_calibration.models.shared.kept import Kept
from lm_eval_calibration.models.shared.phases import Phases
from lm_eval_calibration.models.shared.prompts import Prompts, bare_question
from lm_eval_calibration.models.shared.wrapper import Wrapper
from lm_eval_calibration.names import PREFIX, upstream_name


class BeliefWrapper(Wrapper):
    """Answers the requests of generation twins with envelopes, and all others as the base does.

    Subclasses say how an envelope is made, and have a template for the prompts of their own.

    Args:
        base: `--model` of the one inside.
        template: a jinja file for the prompts, or a folder with `<task>.jinja` for some tasks.
        **model_args: the base's.
    """

    states_confidence = True
    keeps_replies = True
    """The harness is to keep no answers of it."""
    source: str
    default_template: str

    def __init__(self, base: str = "", template: str = "", **model_args: Any) -> None:
        self._chat = False
        self._prompts = Prompts(self.source, template)
        super().__init__(base, **model_args)
        self.phases = Phases(self.base, self.source, self.secrets, model_args.get("seed"))

    def envelopes(self, requests: list[Any]) -> list[Envelope]:
        """An envelope for each request of a twin."""
        raise NotImplementedError

    def generate_until(self, requests: list[Any], **options: Any) -> list[str]:
        """Envelopes for twins, as text; plain answers for other tasks."""
        twins = [(r.task_name or "").startswith(PREFIX) for r in requests]
        plain = iter(
            self.phases.forward(GENERATE, list(compress(requests, map(not_, twins))), **options)
        )
        mine = list(compress(requests, twins))
        made = iter(self.envelopes(mine) if mine else ())
        return [next(made).to_text() if twin else str(next(plain)) for twin in twins]

    def loglikelihood(self, requests: list[Any], **options: Any) -> list[tuple[float, bool]]:
        """As the base has it, kept as it comes."""
        return self.phases.forward(LOGLIKELIHOOD, requests, **options)

    def loglikelihood_rolling(self, requests: list[Any], **options: Any) -> list[float]:
        """As the base has it, kept as it comes."""
        return self.phases.forward(ROLLING, requests, **options)

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Keep what the base says, piece by piece, in the file of the harness's cache.

        What is made of it is not kept: it depends on settings, and the harness knows an answer by
        its prompt alone.

        Raises:
            CalibrationError: the base cannot be used with a cache.
        """
        super().set_cache_hook(cache_hook)
        rows = cache_hook.dbdict
        if rows is None:
            self.phases.cache = None
            return
        if getattr(type(self.base), "keeps", ()):
            refuse_cache(cache_hook, "the base must see all requests of a document at once")
        before = self.base.cache_hook
        self.base.set_cache_hook(cache_hook)  # (which some refuse)
        self.base.set_cache_hook(before)
        self.phases.cache = Kept(Path(rows.filename), identity(self.base, self.model_args))

    def apply_chat_template(self, *args: Any, **options: Any) -> Any:
        """As the base has it; prompts of our own are put into it too from then on."""
        self._chat = True
        return super().apply_chat_template(*args, **options)

    def prompt(self, request: Any, turns: Sequence[dict[str, str]] = (), **values: Any) -> Any:
        """The template, filled in, as the base reads it.

        Args:
            request: of a twin; its task may have a template of its own.
            turns: solved examples, as chat turns before it.
            values: names that the template may use, beside `question` and `doc`.

        Raises:
            InvalidInputError: the template names something that there is not.
        """
        text = self.render(request, question(request), request.doc, **values)
        return self.as_asked([*turns, {"role": "user", "content": text}])

    def render(self, request: Any, text: str, doc: Any, **values: Any) -> str:
        """The template of the request's task for a question, filled in."""
        task = upstream_name(request.task_name or "")
        names = {"question": bare_question(text), "doc": doc, **values}
        return self._prompts.render(task, self.default_template, **names)

    def as_asked(self, turns: Sequence[dict[str, str]]) -> Any:
        """Chat turns as the base reads them: in its template, or one after another."""
        if self._chat:
            return self.base.apply_chat_template(list(turns))
        return "\n\n".join(turn["content"] for turn in turns)


def question(request: Any) -> str:
    """The bare question of a request, or the whole prompt where the task is no twin of ours."""
    return str(getattr(request, "question", request.args[0]))


def check_sampling(count: Any, temperature: Any, name: str = "candidates") -> None:
    """Raise an InvalidInputError for numbers that cannot be."""
    if not isinstance(count, int) or count < 1:
        raise invalid(name, "a whole number, at least 1", count)
    if not isinstance(temperature, (int, float)) or not temperature >= 0:
        raise invalid("temperature", "0 or more", temperature)
