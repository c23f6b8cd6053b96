"""`BeliefWrapper`: a wrapper that says how sure it is of what its base generates."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from itertools import compress
from operator import not_
from pathlib import Path
from typing import Any, NamedTuple

from lm_eval_calibration.arguments import parameters
from lm_eval_calibration.conversation import Conversation, Turn, as_text
from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.harness.requests import GENERATE, LOGLIKELIHOOD, ROLLING
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.shared.asking import conversation_of
from lm_eval_calibration.models.shared.held_out import refuse_cache
from lm_eval_calibration.models.shared.identity import identity
from lm_eval_calibration.models.shared.kept import Kept
from lm_eval_calibration.models.shared.likeliest import ASKED
from lm_eval_calibration.models.shared.phases import Phases, asked
from lm_eval_calibration.models.shared.prompts import Prompts, bare_question
from lm_eval_calibration.models.shared.reply import Said
from lm_eval_calibration.models.shared.room import Room
from lm_eval_calibration.models.shared.run_prompts import ROOM, announced
from lm_eval_calibration.models.shared.templates import TEMPLATES
from lm_eval_calibration.models.shared.wrapper import Wrapper, known_model
from lm_eval_calibration.names import PREFIX, upstream_name

log = logger(f"lm_eval.{__name__}")


class Question(NamedTuple):
    """One of ours: as the base reads it, the request that it is about, tokens that a reply takes."""

    prompt: Any
    about: Any
    enough: int


class BeliefWrapper(Wrapper):
    """Answers the requests of generation twins with envelopes, and all others as the base does.

    Subclasses say how an envelope is made, and have a template for the prompts of their own.

    Args:
        base: `--model` of the one inside.
        template: a jinja file for the prompts, or a folder with `<task>.jinja` for some tasks.
        max_gen_toks: the most tokens of a reply, to a task that names no number and to questions of
            our own; by default the base's, and what such a question needs.
        **model_args: the base's.
    """

    states_confidence = True
    keeps_replies = True
    """The harness is to keep no answers of it."""
    source: str
    default_template: str

    def __init__(
        self,
        base: str | type = "",
        template: str = "",
        max_gen_toks: int | None = None,
        **model_args: Any,
    ) -> None:
        self._chat = self._examples_said = self._plain_said = False
        self._asked: dict[str, Any] = {}
        self._prompts = Prompts(self.source, template)
        self.room = Room(max_gen_toks)
        if max_gen_toks is not None and "max_gen_toks" in parameters(known_model(base)):
            model_args["max_gen_toks"] = max_gen_toks
        super().__init__(base, **model_args)
        if hasattr(self.base, "_model_generate"):  # (prompt and reply share its window)
            self.room.longest = int(self.base.max_length) // 2
        self.phases = Phases(self.base, self.source, self.secrets, model_args.get("seed"))

    def envelopes(self, requests: list[Any]) -> list[Envelope]:
        """An envelope for each request of a twin."""
        raise NotImplementedError

    def generate_until(self, requests: list[Any], **options: Any) -> list[str]:
        """Envelopes for twins, as text; plain answers for other tasks."""
        requests = [self._with_room(request) for request in requests]
        twins = [(r.task_name or "").startswith(PREFIX) for r in requests]
        plain = iter(
            self.phases.forward(GENERATE, list(compress(requests, map(not_, twins))), **options)
        )
        mine = list(compress(requests, twins))
        made = iter(self.envelopes(mine) if mine else ())
        return [next(made).to_text() if twin else str(next(plain)) for twin in twins]

    def _with_room(self, request: Any) -> Any:
        """A request whose task names no number of tokens gets the user's."""
        context, settings, *rest = request.args
        if self.room.given is None or any(name in settings for name in ROOM):
            return request
        roomy = copy.copy(request)
        roomy.arguments = (context, {**settings, "max_gen_toks": self.room.given}, *rest)
        return roomy

    def loglikelihood(self, requests: list[Any], **options: Any) -> list[tuple[float, bool]]:
        """As the base has it, kept as it comes."""
        if not self._plain_said and any((r.task_name or "").startswith(PREFIX) for r in requests):
            self._plain_said = True
            log.info("%s: of multiple choice the figures are the base's own.", self.source)
        return self.phases.forward(LOGLIKELIHOOD, requests, **options)

    def loglikelihood_rolling(self, requests: list[Any], **options: Any) -> list[Any]:
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
        """As the base has it; contexts are taken to be in it from then on."""
        self._chat = True
        return super().apply_chat_template(*args, **options)

    @property
    def chat(self) -> bool:
        """Whether the run's contexts are in a chat template, those of a cache as well."""
        run = announced()
        return self._chat or bool(run and run.chat_template)

    def prompt(
        self, request: Any, turns: Sequence[Turn] = (), template: str | None = None, **values: Any
    ) -> Any:
        """The template, filled in, as the base reads it.

        Args:
            request: of a twin; its task may have a template of its own.
            turns: solved examples, as chat turns before it.
            template: another than the wrapper's, for a question that is no user's to put.
            values: names that the template may use, beside `question` and `doc`.

        Raises:
            InvalidInputError: the template names something that there is not.
        """
        conversation = conversation_of(request, self.chat)
        if template is None:
            text = self.render(request, conversation.question, request.doc, **values)
        else:
            names = {"question": bare_question(conversation.question), **values}
            text = TEMPLATES.render(template, names).strip()
        if conversation.has_examples and not self._examples_said:
            self._examples_said = True
            log.info(
                "%s: solved examples are shown where the model answers, not where it is asked about "
                "answers.", self.source,
            )  # fmt: skip
        return self.as_asked(conversation, [*turns, {"role": "user", "content": text}])

    def render(self, request: Any, text: str, doc: Any, **values: Any) -> str:
        """The template of the request's task for a question, filled in."""
        task = upstream_name(request.task_name or "")
        names = {"question": bare_question(text), "doc": doc, **values}
        return self._prompts.render(task, self.default_template, **names)

    def as_asked(
        self, conversation: Conversation, turns: Sequence[Turn], examples: bool = False
    ) -> Any:
        """Turns of ours in the run's conversation, as the base reads them.

        Args:
            conversation: about the document.
            turns: in the place of its question.
            examples: whether the run's solved examples go before them.
        """
        asked_in = conversation.asking(turns, examples)
        self._asked |= {
            "chat_template": conversation.chat,
            "system_instruction": conversation.system,
            "examples": examples and conversation.has_examples,
        }
        return self.base.apply_chat_template(asked_in) if conversation.chat else as_text(asked_in)

    def after(self, request: Any, option: str) -> str:
        """An option as what goes on after a prompt about a request."""
        return option if conversation_of(request, self.chat).chat else f" {option}"

    def ask(
        self,
        questions: Sequence[Question],
        title: str,
        settings: Mapping[str, Any] | None = None,
        **sampling: Any,
    ) -> list[list[str]]:
        """Replies to questions of our own.

        A model that is still thinking when its room is used up is asked again, with more of it,
        unless the user has said how much there is.

        Args:
            questions: what is asked.
            title: of the phase.
            settings: of these requests, beside their room and the user's.
            **sampling: `count`, `temperature` and `tolerant`, as for `Phases.samples`.
        """
        options = {"count": 1, "temperature": None, **sampling}
        if settings and ASKED in settings:  # (its first word is what counts)
            options["room"] = ""
        brief = bool(settings and ASKED in settings)
        wanted = self._own(questions, settings or {}, brief)
        said = self.phases.samples(wanted, title=title, **options)
        short = [i for i, texts in enumerate(said) if any(map(_thinking, texts))]
        if not short or self.room.thinks or (self.room.given is not None and not brief):
            return said
        self.room.thinks = True
        log.info("%s: the model thinks before it speaks: asked again with more room.", self.source)
        again = self._own([questions[i] for i in short], settings or {}, brief)
        for i, texts in zip(short, self.phases.samples(again, title=title, **options), strict=True):
            said[i] = texts
        return said

    def _own(
        self, questions: Sequence[Question], more: Mapping[str, Any], brief: bool
    ) -> list[Any]:
        """As requests; a brief reply has no more room than it takes, unless the model thinks before it."""
        settings = [{**self.room.settings(q.enough), **more} for q in questions]
        if brief and not self.room.thinks:
            settings = [
                {**own, "max_gen_toks": q.enough}
                for own, q in zip(settings, questions, strict=True)
            ]
        if settings:
            self._asked["settings"] = settings[0]
        return [
            asked(GENERATE, (q.prompt, own), q.about)
            for q, own in zip(questions, settings, strict=True)
        ]

    def share_cut(self, replies: Sequence[str]) -> float | None:
        """Of a document's replies, how many were cut; `None` where the base does not tell."""
        if not getattr(self.base, "tells_cuts", False) or not replies:
            return None
        return sum(getattr(reply, "cut", False) for reply in replies) / len(replies)

    def get_model_info(self) -> dict[str, Any]:
        """The base's, how questions of our own were asked, the last of them, and what a server took."""
        questions = {"questions": dict(self._asked)} if self._asked else {}
        spent = getattr(self.base, "spent", None)
        asked = {**self.phases.tally, "asking_seconds": round(self.phases.seconds, 3)}
        usage = {"usage": {**spent, **asked}} if spent else {}
        if spent and spent.get("completion_tokens"):
            log.info(
                "%s: %s requests, %s tokens in, %s out; `lm-calib cost` says what all documents would take.",
                self.source, *(f"{spent[name]:,}" for name in ("requests", "prompt_tokens", "completion_tokens")),
            )  # fmt: skip
        return {**super().get_model_info(), **questions, **usage}


def _thinking(reply: str) -> bool:
    return isinstance(reply, Said) and reply.cut and (reply.thinking or not reply.begun)


def check_sampling(count: Any, temperature: Any, name: str = "candidates") -> None:
    """Raise an InvalidInputError for numbers that cannot be."""
    if not isinstance(count, int) or count < 1:
        raise invalid(name, "a whole number, at least 1", count)
    if not isinstance(temperature, (int, float)) or not temperature >= 0:
        raise invalid("temperature", "0 or more", temperature)
