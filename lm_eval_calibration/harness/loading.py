"""What loaders of models say, as one line that names the argument."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from lm_eval_calibration.errors import CalibrationError, MissingExtraError, invalid

FROM_HUB = ("huggingface.co", "model identifier", "Repo id", "local folder", "Unrecognized model")
"""Parts of what transformers says of a name that it finds nothing under."""
WEIGHTS = ("config.json", "adapter_config.json", "params.json")
NAMES = ("pretrained", "tokenizer", "peft", "model")


@contextlib.contextmanager
def loading(model_args: Mapping[str, Any], known: Collection[str] = ()) -> Iterator[None]:
    """Around the making of a model: a name that means nothing, and packages that are missing, in a line.

    Args:
        model_args: that it is made of.
        known: names of arguments, to suggest one instead of one that is not taken.

    Raises:
        InvalidInputError: a model or tokenizer of this name is neither here nor on the hub, or an argument
            is not taken.
        MissingExtraError: a package is missing.
    """
    try:
        yield
    except CalibrationError:
        raise
    except ModuleNotFoundError as error:
        if "install" not in str(error):
            raise
        raise MissingExtraError(_without_lines(str(error))) from error
    except TypeError as error:
        _refuse_missing(str(error), model_args)
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown is None or unknown[1] not in model_args:
            raise
        near = difflib.get_close_matches(unknown[1], known, n=3)
        hint = f"Did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else ""
        got = f"`{unknown[1]}`"
        raise invalid("--model_args", "arguments that the model takes", got, hint) from error
    except AttributeError as error:
        if "module 'torch' has no attribute" not in str(error):
            raise
        got = f"`{model_args.get('dtype')}`"
        raise invalid("dtype", "float32, bfloat16, float16 or auto", got) from error
    except AssertionError as error:
        if "not compiled with CUDA" in str(error):
            raise invalid(
                "--device", "cpu here", "a GPU, for which this torch was not made"
            ) from error
        if "max tokens to generate" not in str(error):
            raise
        hint = "Give a larger max_length, or fewer tokens: max_gen_toks=N, --gen_kwargs max_gen_toks=N."
        raise invalid("max_length", "more than a reply's tokens", _in_words(error), hint) from error
    except (OSError, ValueError) as error:
        said = str(error)
        if getattr(error, "errno", None) is not None or not any(p in said for p in FROM_HUB):
            raise
        raise _nothing_there(model_args, said) from error


def _refuse_missing(said: str, model_args: Mapping[str, Any]) -> None:
    """Raises `InvalidInputError` for an argument that a model's class must be given, and was not."""
    lacking = re.search(r"missing \d+ required \w+ arguments?: '(\w+)'", said)
    if lacking is None or lacking[1] in model_args:
        return
    near = difflib.get_close_matches(lacking[1], list(model_args), n=1, cutoff=0.7)
    hint = f"There is `{near[0]}`: did you mean `{lacking[1]}`?" if near else ""
    raise invalid(lacking[1], "given in --model_args", "nothing", hint)


def refuse_lost(model_args: Mapping[str, Any]) -> None:
    """Stop where `pretrained` is a path that leads nowhere, or a folder without a model.

    Raises:
        InvalidInputError: it is.
    """
    name = model_args.get("pretrained")
    if not isinstance(name, str) or not name:
        return
    path, expected = os.path.expanduser(name), "the name of a model on the hub, or its folder"
    if os.path.isdir(path):
        there = [*WEIGHTS, str(model_args.get("gguf_file") or WEIGHTS[0])]
        if not any(os.path.exists(os.path.join(path, file)) for file in there):
            raise invalid("pretrained", expected, f"`{name}`, a folder without a config.json")
    elif not os.path.exists(path) and (name.startswith((".", "/", "~")) or name.count("/") > 1):
        raise invalid("pretrained", expected, f"`{name}`, which does not exist")


def _nothing_there(model_args: Mapping[str, Any], said: str) -> CalibrationError:
    given = {name: str(model_args[name]) for name in NAMES if model_args.get(name)}
    found = [name for name, value in given.items() if value in said] or list(given)[:1]
    name = found[0] if found else "pretrained"
    reached = "cannot be reached" if "connect" in said or "offline" in said.lower() else "has none"
    got = f"`{given.get(name, '')}`: there is no such folder, and the hub {reached}"
    if name == "model":
        hint = (
            "A server's model needs its tokenizer's name: tokenizer=NAME; or tokenizer_backend=None where "
            "no log-likelihoods are asked for."
        )
        return invalid("tokenizer", "a tokenizer on the hub, or its folder", got, hint)
    return invalid(name, "the name of a model on the hub, or its folder", got)


def _without_lines(text: str) -> str:
    return " ".join(text.split())


def _in_words(error: AssertionError) -> str:
    """The harness's two numbers of tokens, longest window and reply."""
    reply, window, *_ = [*re.findall(r"\((\d+)\)", str(error)), "?", "?"]
    return f"{window} for replies of up to {reply}"
