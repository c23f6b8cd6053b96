"""`BeliefWrapper`: a wrapper that says how sure it is of what its base generates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lm_eval_calibration.envelope import Envelope, is_envelope
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.models.phases import Phases
from lm_eval_calibration.models.prompts import Prompts, bare_question
from lm_eval_calibration.models.wrapper import Wrapper
from lm_eval_calibration.names import PREFIX, upstream_name
from lm_eval_calibration.stated import StatedAnswer


class BeliefWrapper(Wrapper):
    """Answers the requests of generation twins with envelopes, and all others as the base does.

    Subclasses say how an envelope is made, and have a template for the prompts of their own.

    Args:
        base: `--model` of the one inside.
        template: a jinja file for the prompts, or a folder with `<task>.jinja` for some tasks.
        **model_args: the base's.
    """

    states_confidence = True
    source: str
    default_template: str

    def __init__(self, base: str = "", template: str = "", **model_args: Any) -> None:
        self._chat = False
        self._prompts = Prompts(self.source, template)
        super().__init__(base, **model_args)
        self.phases = Phases(self.base, self.source, self.secrets)

    def envelopes(self, requests: list[Any]) -> list[Envelope]:
        """An envelope for each request of a twin."""
        raise NotImplementedError

    def generate_until(self, requests: list[Any], **options: Any) -> list[str]:
        """Envelopes for twins, as text; plain answers for other tasks."""
        mine = [i for i, r in enumerate(requests) if (r.task_name or "").startswith(PREFIX)]
        others = [i for i in range(len(requests)) if i not in set(mine)]
        self.phases.cache = self.cache_hook.dbdict
        found: dict[int, str] = {}
        if others:
            plain = super().generate_until([requests[i] for i in others], **options)
            found |= dict(zip(others, plain, strict=True))
        if mine:
            made = self.envelopes([requests[i] for i in mine])
            found |= {i: e.to_text() for i, e in zip(mine, made, strict=True)}
        return [found[i] for i in range(len(requests))]

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Use the harness's cache for phases; what was made of them in another run is dropped.

        The harness knows an answer by its prompt alone, whatever the settings were.
        """
        super().set_cache_hook(cache_hook)
        known = cache_hook.dbdict
        made = [
            k for k, v in (known or {}).items() if is_envelope(v) or isinstance(v, StatedAnswer)
        ]
        for key in made:
            del known[key]

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
