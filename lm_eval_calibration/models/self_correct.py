"""`--model self_correct`: sample a pool of answers, then have the same model choose among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from lm_eval_calibration.arguments import checked
from lm_eval_calibration.envelope import CUT, Envelope
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.harness.api import register_model
from lm_eval_calibration.models.shared import picking
from lm_eval_calibration.models.shared.asking import conversation_of
from lm_eval_calibration.models.shared.beliefs import BeliefWrapper, Question, check_sampling
from lm_eval_calibration.models.shared.phases import asked
from lm_eval_calibration.models.shared.reply import raw, whole
from lm_eval_calibration.models.shared.room import SAMPLES, heat
from lm_eval_calibration.models.shared.unread import Unread
from lm_eval_calibration.told import told_of

DISCRIMINATE = ("index", "likelihood", "verbatim", "pairwise")
WORDS, THOUGHTS, ANSWER = 16, 512, 256
"""Most tokens of a reply: a number, a reasoned number, an answer repeated."""


@register_model("self_correct")
class SelfCorrectLM(BeliefWrapper):
    """SELF-[IN]CORRECT (Jiang et al., AAAI 2025): is a model better at choosing than at answering?

    The pool is sampled with the task's own prompt, and shown to the same model, greedily, in
    several orders. The answer is the one that most orders pick, candidates that the task's filters
    make equal being one; the confidence is the share of these orders, or with `likelihood` its
    probability, averaged over orders, or with `pairwise` the share of its pairs that
    it won.

    Args:
        base: `--model` of the one inside.
        candidates: n, how many answers are sampled.
        temperature: at which; by default that of `--gen_kwargs`, else 0.7.
        discriminate: how the model chooses: `index`, the number of the best; `likelihood`, the most
            probable number; `verbatim`, the best answer repeated; `pairwise`, every pair in both
            orders.
        permutations: in how many cyclic orders the pool is shown; 1 is the paper.
        chain_of_thought: whether it reasons before it names a number.
        shots: solved examples before the question, whose wrong answers the model samples.
        template: a jinja file with `question` and `candidates`, or a folder of them by task; it may
            also name `doc` (the document), `discriminate` and `chain_of_thought`.
        **model_args: the base's.

    Raises:
        InvalidInputError: an option that cannot be.
    """

    source = "self_correct"

    @checked
    def __init__(
        self,
        base: str = "",
        candidates: int = 4,
        temperature: float | None = None,
        discriminate: str = "index",
        permutations: int = 4,
        chain_of_thought: bool = False,
        shots: int = 0,
        template: str = "",
        **model_args: Any,
    ) -> None:
        warm = heat(temperature, SAMPLES)
        check_sampling(candidates, warm)
        if discriminate not in DISCRIMINATE:
            raise invalid("discriminate", ", ".join(DISCRIMINATE), f"`{discriminate}`")
        if not isinstance(permutations, int) or permutations < 1:
            raise invalid("permutations", "a whole number, at least 1", permutations)
        if chain_of_thought and discriminate in ("likelihood", "verbatim"):
            raise invalid("chain_of_thought", "false with this `discriminate`", chain_of_thought)
        if not isinstance(shots, int) or shots < 0:
            raise invalid("shots", "a whole number, at least 0", shots)
        self._n, self._temperature = candidates, warm
        self._how, self._permutations = discriminate, min(permutations, candidates)
        self._thinks, self._shots = bool(chain_of_thought), shots
        self._solved: dict[str, list[dict[str, str]]] = {}
        super().__init__(base, template, **model_args)

    @property
    def default_template(self) -> str:  # type: ignore[override]
        """By what is asked."""
        if self._how == "verbatim":
            return picking.VERBATIM
        return picking.REASONED if self._thinks else picking.INDEX

    def envelopes(self, requests: list[Any]) -> list[Envelope]:
        """Both phases."""
        pools = self.phases.samples(requests, self._n, self._temperature, "sampling candidates")
        if self._n == 1:
            return [self._envelope(pool, answer=pool[0]) for pool in pools]
        self._solve_examples(requests)
        if self._how == "pairwise":
            shown = [list(self._pairs()) for _ in pools]
        else:
            shown = [list(self._orders()) for _ in pools]
        if self._how == "likelihood":
            return self._by_likelihood(requests, pools, shown)
        return self._by_words(requests, pools, shown)

    def _orders(self) -> list[tuple[int, ...]]:
        """Cyclic orders of the pool, spread evenly."""
        starts = [p * self._n // self._permutations for p in range(self._permutations)]
        return [tuple((start + i) % self._n for i in range(self._n)) for start in starts]

    def _pairs(self) -> list[tuple[int, ...]]:
        return [(i, j) for i in range(self._n) for j in range(self._n) if i != j]

    def _prompt(self, request: Any, pool: Sequence[str], order: Sequence[int]) -> str:
        shots = self._solved.get(request.task_name or "", [])
        return self.prompt(request, shots, **self._names([pool[i] for i in order]))

    def _names(self, candidates: Sequence[str]) -> dict[str, Any]:
        """What a template may name, beside the question."""
        return {
            "candidates": [text.strip() for text in candidates],
            "discriminate": self._how,
            "chain_of_thought": self._thinks,
        }

    def _by_words(
        self, requests: list[Any], pools: list[list[str]], shown: list[list[tuple[int, ...]]]
    ) -> list[Envelope]:
        limit = THOUGHTS if self._thinks else ANSWER if self._how == "verbatim" else WORDS
        prompts = [
            Question(self._prompt(request, pool, order), request, limit)
            for request, pool, orders in zip(requests, pools, shown, strict=True)
            for order in orders
        ]
        said = (text for (text,) in self.ask(prompts, "choosing among the candidates"))
        found = [
            self._of_words(pool, orders, [next(said) for _ in orders])
            for pool, orders in zip(pools, shown, strict=True)
        ]
        self._say_unread(found)
        return found

    def _say_unread(self, envelopes: Sequence[Envelope]) -> None:
        words = [
            (text, pick) for e in envelopes for text, pick in zip(e.said, e.picks, strict=False)
        ]
        if self._how == "pairwise":
            return  # (a pick is what won most pairs)
        Unread(
            self.source,
            "candidate",
            [text for text, pick in words if pick is None],
            len(words),
            sum(e.flags.count(CUT) for e in envelopes),
            "none is chosen there",
            "discriminate=likelihood, where the base has log-likelihoods, or another model",
            self.chat,
        ).say()

    def _of_words(
        self, pool: list[str], orders: list[tuple[int, ...]], said: list[str]
    ) -> Envelope:
        read = picking.read_verbatim if self._how == "verbatim" else picking.read_index
        picks = [
            picking.back(read(whole(words), [pool[i] for i in order]), order)
            for words, order in zip(said, orders, strict=True)
        ]
        if self._how == "pairwise":
            return self._of_pairs(pool, orders, picks, said)
        return self._envelope(pool, said, read=picks, picks=tuple(picks), orders=tuple(orders))

    def _envelope(
        self,
        pool: list[str],
        said: Sequence[str] = (),
        answer: str | None = None,
        read: Sequence[int | None] = (),
        **parts: Any,
    ) -> Envelope:
        """Of a pool, what was said about it, and the picks that were read of it."""
        cut = [getattr(words, "cut", False) for words in said]
        return Envelope(
            self.source,
            answer,
            candidates=tuple(pool),
            said=tuple(map(raw, said)),
            flags=(CUT,) * sum(c and pick is None for c, pick in zip(cut, read, strict=False)),
            cut=self.share_cut([*pool, *said]),
            **parts,
        )

    def _of_pairs(
        self,
        pool: list[str],
        pairs: list[tuple[int, ...]],
        picks: list[int | None],
        said: list[str],
    ) -> Envelope:
        """The candidate that wins most of its pairs; a pair without a winner counts for neither."""
        wins = Counter(pick for pick in picks if pick is not None)
        best = max(range(len(pool)), key=lambda i: wins[i]) if wins else None
        confidence = None if best is None else wins[best] / (2 * (len(pool) - 1))
        return self._envelope(
            pool,
            said,
            pool[best or 0],
            confidence=confidence,
            picks=(best,),
            orders=tuple(pairs),
        )

    def _by_likelihood(
        self, requests: list[Any], pools: list[list[str]], shown: list[list[tuple[int, ...]]]
    ) -> list[Envelope]:
        options = [
            asked("loglikelihood", (prompt, self.after(request, str(k + 1))), request, k)
            for request, pool, orders in zip(requests, pools, shown, strict=True)
            for prompt in [self._prompt(request, pool, order) for order in orders]
            for k in range(len(pool))
        ]
        found = self.phases.probabilities(options, self._n, "scoring the candidates")
        table = found.reshape(len(pools), -1, self._n)
        return [
            self._of_likelihoods(pool, orders, p)
            for pool, orders, p in zip(pools, shown, table, strict=True)
        ]

    def _of_likelihoods(
        self, pool: list[str], orders: list[tuple[int, ...]], p: np.ndarray
    ) -> Envelope:
        beliefs = np.zeros(len(pool))
        for order, row in zip(orders, p, strict=True):
            beliefs[list(order)] += row / len(orders)
        picks = [order[int(row.argmax())] for order, row in zip(orders, p, strict=True)]
        return self._envelope(
            pool,
            picks=tuple(picks),
            beliefs=tuple(float(b) for b in beliefs),
            orders=tuple(orders),
        )

    def _solve_examples(self, requests: list[Any]) -> None:
        """Chat turns of solved examples for each task, whose wrong answers the model samples."""
        for request in requests:
            task = request.task_name or ""
            if not self._shots or task in self._solved:
                continue
            examples = list(told_of(request).examples)[: self._shots]
            if len(examples) < self._shots:
                raise invalid(
                    "shots",
                    f"at most the {len(examples)} solved documents of `{task}`",
                    self._shots,
                )
            turns = []
            conversation = conversation_of(request, self.chat)
            for number, (text, right, doc) in enumerate(examples):
                context = self.as_asked(conversation, [{"role": "user", "content": text}])
                one = asked("generate_until", (context, request.args[1]), request)
                (wrong,) = self.phases.samples(
                    [one], self._n - 1, self._temperature, "sampling an example's distractors"
                )
                place = number % self._n
                pool = [*wrong[:place], right, *wrong[place:]]
                shown = self.render(request, text, doc, **self._names(pool))
                turns += [
                    {"role": "user", "content": shown},
                    {"role": "assistant", "content": self._solution(place, right)},
                ]
            self._solved[task] = turns

    def _solution(self, place: int, right: str) -> str:
        if self._how == "verbatim":
            return right.strip()
        return f"{picking.MARK} {place + 1}" if self._thinks else str(place + 1)
