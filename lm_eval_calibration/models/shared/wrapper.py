"""`Wrapper`: a model of the harness that holds another one, and changes some of what it says."""

from __future__ import annotations

import os
from typing import Any

from lm_eval_calibration.arguments import parameters, refuse_unknown
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.harness.api import LM, gather_object
from lm_eval_calibration.harness.loading import loading, refuse_lost
from lm_eval_calibration.harness.naming import model_class
from lm_eval_calibration.harness.requests import LOGLIKELIHOOD, ROLLING
from lm_eval_calibration.models.shared.answers import sure
from lm_eval_calibration.models.shared.api_replies import with_checked_replies
from lm_eval_calibration.models.shared.noted_replies import with_noted_replies
from lm_eval_calibration.models.shared.processes import joined
from lm_eval_calibration.redact import hiding, secrets_in


class Wrapper(LM):
    """Forwards everything to the model it holds; subclasses override what they change.

    Args:
        base: `--model` of the one inside, or its class.
        **model_args: its arguments.

    Raises:
        InvalidInputError: no base, an argument that nobody takes, or several processes of which the
            base does not know.
    """

    def __init__(self, base: str | type, **model_args: Any) -> None:
        super().__init__()
        inside = known_model(base)
        refuse_unknown(type(self), base if isinstance(base, str) else "", inside, model_args)
        _check_address(base, inside, model_args)
        refuse_lost(model_args)
        self.secrets, self.model_args = secrets_in(model_args), model_args
        with (
            hiding(self.secrets),
            loading(model_args, [*parameters(type(self)), *parameters(inside)]),
        ):
            self.base = joined(with_noted_replies(with_checked_replies(inside))(**model_args))
        launched = int(os.environ.get("WORLD_SIZE", "1"))
        if launched > 1 and self.base.world_size == 1:
            raise InvalidInputError(
                f"`base={base}` does not share its documents with the other processes of `accelerate "
                f"launch`: each of the {launched} would ask for all of them. Start one process; a server "
                "answers many requests at a time with num_concurrent=N, vLLM and SGLang spread over "
                "devices with data_parallel_size and tensor_parallel_size."
            )

    def __getattr__(self, name: str) -> Any:
        """Whatever else the harness asks a model for (accelerator, batch sizes, configuration)."""
        if name == "base":  # not there yet
            raise AttributeError(name)
        return getattr(self.base, name)

    @property
    def device(self) -> Any:
        """The base's."""
        return self.base.device

    @property
    def rank(self) -> int:
        """The base's."""
        return int(self.base.rank)

    @property
    def world_size(self) -> int:
        """The base's."""
        return int(self.base.world_size)

    @property
    def tokenizer_name(self) -> str:
        """The base's."""
        return str(self.base.tokenizer_name)

    def loglikelihood(self, requests: list[Any], **options: Any) -> list[tuple[float, bool]]:
        """As the base has it.

        Raises:
            InvalidInputError: an answer is no log-likelihood; the message names its document.
        """
        return sure(LOGLIKELIHOOD, requests, self.base.loglikelihood(requests, **options))

    def loglikelihood_rolling(self, requests: list[Any], **options: Any) -> list[Any]:
        """As the base has it, likewise."""
        return sure(ROLLING, requests, self.base.loglikelihood_rolling(requests, **options))

    def generate_until(self, requests: list[Any], **options: Any) -> list[str]:
        """As the base has it."""
        return list(map(str, self.base.generate_until(requests, **options)))

    def apply_chat_template(self, *args: Any, **options: Any) -> Any:
        """As the base has it (a text, or what an API's class makes of the messages)."""
        return self.base.apply_chat_template(*args, **options)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """As the base has it."""
        found = self.base.chat_template(chat_template)
        return None if found is None else str(found)

    def all_gather(self, tensor: Any) -> Any:
        """As the base has it."""
        return self.base.all_gather(tensor)

    def gather_object(self, obj: Any, dst: int = 0) -> Any:
        """As the base has it."""
        return gather_object(self.base, obj, dst)

    def barrier(self) -> None:
        """As the base has it."""
        self.base.barrier()

    def get_model_info(self) -> dict[str, Any]:
        """What the base says of itself, for the results."""
        own = getattr(self.base, "get_model_info", None)
        return dict(own()) if own is not None else {}


def _check_address(base: str | type, inside: type, model_args: dict[str, Any]) -> None:
    """Stop where the class of a server's models has no address of its own, and none was given."""
    address = parameters(inside).get("base_url")
    local = isinstance(base, str) and base.startswith("local-")
    lacking = address is not None and address.default is None and not model_args.get("base_url")
    if local and lacking:
        raise invalid("base_url", f"the address of the server that `base={base}` asks", "nothing")


def known_model(base: str | type) -> type:
    """The class of a `--model`; a class is itself.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if isinstance(base, type):
        return base
    if not isinstance(base, str) or not base:
        raise invalid("base", "the `--model` of the model inside, e.g. base=hf", repr(base))
    with loading({}):
        return model_class(base, "model inside, `base`:")
