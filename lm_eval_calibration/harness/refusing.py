"""What a model cannot answer, or is asked in a way that it cannot read, refused before it is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lm_eval.tasks._index import Entry, Kind

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness.index import TwinIndex
from lm_eval_calibration.harness.naming import model_class
from lm_eval_calibration.names import PREFIX

CHAT = ("LocalChatCompletion", "AnthropicLM", "AnthropicChat")
"""Classes of models that have no log-likelihoods, by name."""
WRAPPERS = (
    "self_consistency",
    "likelihood",
    "semantic_entropy",
    "beliefs",
    "p_true",
    "self_correct",
    "verbalized",
    "option_tokens",
)
"""Models that state how sure they are of what they generate."""


def states_confidence(model: Any) -> bool:
    """Whether a model, or its class, answers generation requests with a stated confidence."""
    return bool(getattr(model, "states_confidence", False))


def refuse_without_beliefs(names: Iterable[str], index: TwinIndex, model: Any, title: str) -> None:
    """Refuse what a model without beliefs cannot do, before it is loaded.

    Generation twins, asked for by name of a model that states no confidence; and twins that score
    options, alone or in a group, of a chat API, which has no log-likelihoods.

    Raises:
        InvalidInputError: there is one.
    """
    if states_confidence(model):
        return
    kind = model if isinstance(model, type) else type(model)
    chat = any(each.__name__ in CHAT for each in kind.__mro__)
    for name in names:
        if isinstance(name, str) and name.startswith(PREFIX) and name in index:
            entry = index[name]
            if chat and (scored := _scores_options(entry, index)):
                raise InvalidInputError(
                    f"`{scored}` scores options by their log-likelihoods, and `{title}`, a chat API, "
                    "has none. Have the model state its probabilities: --model verbalized "
                    f"--model_args base={title},... --apply_chat_template."
                )
            if entry.kind is Kind.PY_TASK and _is_generation_twin(entry):
                if not getattr(model, "generates", True):
                    raise InvalidInputError(
                        f"`{name}` wants generated answers, and `{title}` chooses among options: take a "
                        "task of multiple choice."
                    )
                raise InvalidInputError(
                    f"`{name}` judges how sure a model is of what it generates, and `{title}` does "
                    f"not say. Put a wrapper around it that does, e.g. --model {WRAPPERS[0]} "
                    f"--model_args base={title},... ({', '.join(WRAPPERS)}), or run "
                    f"`{name.removeprefix(PREFIX)}`."
                )


def refuse_plain_text(
    model: type, model_args: Mapping[str, Any], title: str, apply_chat_template: Any
) -> None:
    """Refuse a chat API inside a model of ours where prompts come as plain text.

    Raises:
        InvalidInputError: it is one, and they do.
    """
    base = model_args.get("base")
    if apply_chat_template or not states_confidence(model) or not isinstance(base, str):
        return
    kind = model_class(base, "model inside, `base`:")
    if any(each.__name__ in CHAT for each in kind.__mro__):
        raise InvalidInputError(
            f"`{title}` with `base={base}` is answered by messages, and prompts come as plain text: add "
            "--apply_chat_template to the command."
        )


def _scores_options(entry: Entry, index: TwinIndex, depth: int = 9) -> str | None:
    """The multiple-choice twin that an entry is, or that a group or tag holds, if there is one."""
    if entry.kind is Kind.PY_TASK:
        found = (entry.cfg or {}).get("class")
        of_options = getattr(found, "for_output_type", None) == "multiple_choice"
        return entry.name if of_options else None
    listed = (entry.cfg or {}).get("task") if entry.kind is Kind.GROUP else entry.tags
    names = [
        member if isinstance(member, str) else str(member.get("task") or member.get("group"))
        for member in ([listed] if isinstance(listed, str) else listed or ())
    ]
    inner = (_scores_options(index[n], index, depth - 1) for n in names if depth and n in index)
    return next((name for name in inner if name), None)


def _is_generation_twin(entry: Entry) -> bool:
    """Whether an entry is a twin of ours that judges generated answers."""
    found = (entry.cfg or {}).get("class")
    return getattr(found, "for_output_type", None) == "generate_until"
