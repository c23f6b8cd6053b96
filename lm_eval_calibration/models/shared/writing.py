"""Generation of `hf-fast`: the harness's requests as texts that are asked for, and these as its answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import (
    handle_stop_sequences,
    normalize_gen_kwargs,
    postprocess_generated_text,
)

from lm_eval_calibration.generating.decoding import Decoding, UnusualError, prepared
from lm_eval_calibration.generating.rows import AskedText
from lm_eval_calibration.generating.stops import Stops


class Texts:
    """What requests of one model ask for, as the harness encodes and cuts them.

    Args:
        lm: whose tokenizer, limits and settings hold.
        told: the setting by which a request asks for its tokens' scores.
    """

    def __init__(self, lm: HFLM, told: str = "") -> None:
        self.lm, self.told = lm, told
        self._prompts: dict[tuple[str, int], list[int]] = {}
        self._stops: dict[tuple[str, ...], Stops] = {}
        self._decodings: dict[Any, Decoding] = {}
        self._end = lm.tok_decode(lm.eot_token_id, skip_special_tokens=False)

    def asked(self, request: Any, seed: int) -> AskedText:
        """What a request asks for.

        Args:
            request: `Instance` of a prompt and its settings.
            seed: of what is drawn.

        Raises:
            UnusualError: settings that are left to transformers' own loops.
        """
        context, given = request.args[0], dict(request.args[1])
        told = bool(given.pop(self.told, False)) if self.told else False
        settings = normalize_gen_kwargs(given, self.lm.max_gen_toks)
        until = tuple(handle_stop_sequences(settings.pop("until", None), eos=self._end))
        room = int(settings.pop("max_gen_toks"))
        if "max_length" in settings:
            raise UnusualError("`max_length` counts the prompt")
        prompt = self._prompt(context, room)
        decoding = self._decoding(settings, prompt, room)
        if until not in self._stops:
            self._stops[until] = Stops(self.lm.tokenizer, until)
        return AskedText(prompt, decoding, self._stops[until], room, seed, told)

    def text(self, asked: AskedText, tokens: Sequence[int]) -> str:
        """What the harness makes of a text's tokens."""
        kept, mark = list(tokens), self.lm.think_end_token
        if isinstance(mark, int):
            kept = kept[len(kept) - kept[::-1].index(mark) :] if mark in kept else kept
        found = self.lm.tok_decode(kept)
        if isinstance(mark, int):
            found = found.lstrip()
        mark = mark if isinstance(mark, str) else None
        return postprocess_generated_text(found, list(asked.stops.reach), mark)

    def _prompt(self, context: str, room: int) -> list[int]:
        """One list for each: prompts are told apart by it."""
        longest = self.lm.max_length - room
        if longest <= 0:
            raise UnusualError("there is no room for a prompt")  # (which `hf` says)
        key = (context, longest)
        if key not in self._prompts:
            tokens, _ = HFLM.tok_batch_encode(
                self.lm, [context], left_truncate_len=longest, truncation=self.lm.truncation
            )
            self._prompts[key] = tokens[0].tolist()
        return self._prompts[key]

    def _decoding(self, settings: dict[str, Any], prompt: list[int], room: int) -> Decoding:
        name = repr(sorted(settings.items()))
        for key in (name, (name, tuple(prompt), room)):
            if key in self._decodings:
                return self._decodings[key]
        tokens = torch.tensor([prompt], device=self.lm.device)

        def generate(context: torch.Tensor, **more: Any) -> Any:
            everything = {**settings, "attention_mask": torch.ones_like(context), **more}
            return HFLM._model_generate(self.lm, context, len(prompt) + room, [], **everything)

        found = prepared(generate, tokens)
        self._decodings[name if found.alone else (name, tuple(prompt), room)] = found
        return found
