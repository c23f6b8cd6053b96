"""How likely a base found the tokens of its answers: as it tells with them, or by reading them again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness.requests import LOGLIKELIHOOD
from lm_eval_calibration.messages import logger
from lm_eval_calibration.metrics.token_scores import TokenScores
from lm_eval_calibration.models.shared.beliefs import BeliefWrapper
from lm_eval_calibration.models.shared.likeliest import ASKED
from lm_eval_calibration.models.shared.phases import asked
from lm_eval_calibration.models.shared.reply import Said, raw
from lm_eval_calibration.verbal.letters import FOLLOWS, Token
from lm_eval_calibration.verbal.thinking import spoken

log = logger(f"lm_eval.{__name__}")

SPECIAL = re.compile(r"</?s>|<\|[^<>]*\|>|<[a-z_]+>|")
"""Tokens at the end of a reply that are no text of it."""
WITHOUT = (
    "Without: --model semantic_entropy, self_consistency or verbalized; --model beliefs with "
    "beliefs=consistency+semantic_entropy+verbalized,weights=false."
)
Read = TokenScores | None
"""Of an answer; `None` where it has no tokens, or nothing was told of them."""


class TokenReader:
    """Reads the token scores of a wrapper's base.

    An OpenAI-compatible server, vLLM and `hf-fast` tell them with the answer; of another transformers model they are
    read in one more pass over prompt and answer; of what else has log-likelihoods there is the sum over the
    answer's tokens alone, shared among them evenly.

    Args:
        wrapper: whose base is asked.

    Raises:
        InvalidInputError: the base has no log-probabilities of any kind.
    """

    def __init__(self, wrapper: BeliefWrapper) -> None:
        self._wrapper, self._base = wrapper, wrapper.base
        self._told = any(
            getattr(self._base, n, False) for n in ("tells_tokens", "tells_own_tokens")
        )
        self._model = all(hasattr(self._base, name) for name in ("_model_call", "_encode_pair"))

    def request(self, request: Any) -> Any:
        """A generation request, as it is to be asked for its answer to be read."""
        if not self._told:
            return request
        context, settings, *rest = request.args
        return asked("generate_until", (context, {**settings, ASKED: True}, *rest), request)

    def read(self, requests: Sequence[Any], pools: Sequence[Sequence[str]]) -> list[list[Read]]:
        """The token scores of each request's answers.

        Args:
            requests: what was asked.
            pools: answers to each, as `Phases` has them.
        """
        pairs = [(r, text) for r, pool in zip(requests, pools, strict=True) for text in pool]
        if self._told:
            found = [told_with(text) for _, text in pairs]
            if self._model:  # (`hf-fast` tells of texts of its own, and leaves some to `hf`)
                found = self._completed(pairs, found)
            self._refuse_silence([text for _, text in pairs], found)
        elif self._model:
            found = self._passes(pairs)
        else:
            found = self._by_loglikelihood(pairs)
        rest = iter(found)
        return [[next(rest) for _ in pool] for pool in pools]

    def _completed(self, pairs: Sequence[tuple[Any, str]], found: Sequence[Read]) -> list[Read]:
        """With passes over the answers of which nothing was told."""
        silent = [i for i, (_, text) in enumerate(pairs) if found[i] is None and text.strip()]
        read = dict(zip(silent, self._passes([pairs[i] for i in silent]), strict=True))
        return [read.get(i, each) for i, each in enumerate(found)]

    def _refuse_silence(self, texts: Sequence[str], found: Sequence[Read]) -> None:
        """Stop where a server tells nothing of any answer; say of how many it told nothing."""
        spoken = [read for text, read in zip(texts, found, strict=True) if text.strip()]
        silent = sum(read is None for read in spoken)
        if silent and silent == len(spoken):
            raise InvalidInputError(
                f"`{self._wrapper.source}` needs log-probabilities of an answer's tokens, and the server "
                f"gives none with its answers. {WITHOUT}"
            )
        if silent:
            log.warning(
                "%s: %d of %d answers came without log-probabilities: what is read of tokens is the least for them.",
                self._wrapper.source, silent, len(spoken),
            )  # fmt: skip

    def _passes(self, pairs: Sequence[tuple[Any, str]]) -> list[Read]:
        """Of each answer; equal ones to one prompt are read once."""
        if not pairs:
            return []
        keys = [(str(request.args[0]), str(raw(text)), str(text)) for request, text in pairs]
        different = dict(zip(reversed(keys), reversed(pairs), strict=True))
        log.info("%s: reading the tokens of %d answers.", self._wrapper.source, len(different))
        known = {key: self._pass(*pair) for key, pair in different.items()}
        return [known[key] for key in keys]

    def _pass(self, request: Any, answer: str) -> Read:
        """One pass of a transformers model over prompt and answer."""
        before, text = _parts(answer)
        if not text.strip():
            return None
        prompt, tokens = self._encoded(str(request.args[0]) + before, text)
        if not tokens:
            return None
        room = request.args[1].get("max_gen_toks") or self._base.max_gen_toks
        prompt = prompt[-max(int(self._base.max_length) - int(room), 1) :]  # (as it was generated)
        logits = self._logits(prompt or [self._base.prefix_token_id], tokens)
        logs = torch.log_softmax(logits.float(), dim=-1)
        said = torch.tensor(tokens[-len(logs) :], device=logs.device)[:, None]
        best = logs.topk(2, dim=-1).values.exp()
        entropy = -(logs.exp() * logs.clamp(min=torch.finfo(logs.dtype).min)).sum(dim=-1)
        columns = (logs.gather(1, said)[:, 0], best[:, 0] - best[:, 1], entropy)
        return TokenScores(*(column.double().cpu().numpy() for column in columns))

    def _encoded(self, prompt: str, text: str) -> tuple[list[int], list[int]]:
        """Tokens of a prompt, and of what goes on after it: as they were generated.

        (The harness moves white space at a prompt's end to what follows, where a chat template has some.)
        """
        base = self._base
        if base.backend != "causal":
            before, after = base._encode_pair(prompt, text)
            return list(before), list(after)
        first, whole = list(base.tok_encode(prompt)), list(base.tok_encode(prompt + text))
        if whole[: len(first)] == first:
            return first, whole[len(first) :]
        before, after = base._encode_pair(prompt, text)
        return list(before), list(after)

    def _logits(self, prompt: list[int], tokens: list[int]) -> torch.Tensor:
        """(T, V) at the places that say `tokens`."""
        base = self._base
        if base.backend == "causal":
            kept = (prompt + tokens)[-(base.max_length + 1) :]
            inputs = torch.tensor([kept[:-1]], device=base.device)
            found: torch.Tensor = base._model_call(inputs)[0, -len(tokens) :]
            return found
        inputs = torch.tensor([prompt[-base.max_length :]], device=base.device)
        labels = torch.tensor([tokens[: base.max_length]], device=base.device)
        whole = torch.ones_like(inputs)
        found = base._model_call(inputs, attn_mask=whole, labels=labels)[0, : labels.shape[1]]
        return found

    def _by_loglikelihood(self, pairs: Sequence[tuple[Any, str]]) -> list[Read]:
        """By the log-likelihood of the whole answer."""
        parts = [_parts(answer) for _, answer in pairs]
        spoken = [i for i, (_, text) in enumerate(parts) if text.strip()]
        asked_for = []
        for i in spoken:
            request, (before, text) = pairs[i][0], parts[i]
            pair = (str(request.args[0]) + before, text)
            asked_for.append(asked(LOGLIKELIHOOD, pair, request))
        try:
            values = self._wrapper.phases.loglikelihood(asked_for, "how likely the answers are")
        except NotImplementedError:
            raise InvalidInputError(
                f"`{self._wrapper.source}` needs a base with log-probabilities, and this one has none. {WITHOUT}"
            ) from None
        found: list[Read] = [None] * len(pairs)
        for i, (value, _) in zip(spoken, values, strict=True):
            count = max(self._count(parts[i][1]), 1)
            found[i] = TokenScores(np.full(count, value / count))
        return found

    def _count(self, text: str) -> int:
        encode = getattr(self._base, "tok_encode", None)
        try:
            return len(encode(text)) if encode is not None else len(text.split())
        except NotImplementedError:
            return len(text.split())


def told_with(answer: str) -> Read:
    """The scores of the tokens that an answer, without its thinking, consists of."""
    if not isinstance(answer, Said) or not answer.strip():
        return None
    scores = np.array([t.scores for t in of_answer(answer.tokens, answer) if t.scores])
    if not scores.size:
        return None
    values, gaps, entropies = scores.T
    alone = bool(np.isnan(gaps).all())  # (a server that tells of the tokens that were said alone)
    return TokenScores(values, None if alone else gaps, None if alone else entropies)


def of_answer(tokens: Sequence[Token], answer: str) -> Sequence[Token]:
    """The tokens in which an answer stands; where it cannot be found, those after the thinking.

    >>> words = [Token(each) for each in ("<think>", "42", "</think>", "It", " is", " 42", "<|end|>")]
    >>> [t.text for t in of_answer(words, "It is 42")]
    ['It', ' is', ' 42']
    """
    kept = list(tokens)
    while kept and SPECIAL.fullmatch(kept[-1].text):
        kept.pop()
    texts = ["" if token.text == FOLLOWS else token.text for token in kept]
    text, words = "".join(texts), answer.strip()
    begin = text.rfind(words)
    if begin < 0:
        words = spoken(text).text.strip()
        begin = text.rfind(words)
    ends = np.cumsum([len(each) for each in texts])
    last = begin + len(words)
    return [
        token
        for token, each, end in zip(kept, texts, ends, strict=True)
        if token.text and begin < end and (end - len(each) < last or (not each and end <= last))
    ]


def _parts(answer: str) -> tuple[str, str]:
    """What stands before an answer in its reply (thinking), and the answer."""
    reply = str(answer.reply) if isinstance(answer, Said) else str(answer)
    place = reply.rfind(answer.strip())
    if place <= 0:
        return "", str(answer).rstrip()
    before = reply[:place]
    kept = before.rstrip(" ")  # (spaces go with the word that follows, as they are tokenized)
    return kept, before[len(kept) :] + answer.strip()
