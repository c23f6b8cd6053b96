"""What the columns of a table hold, as somebody says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.scales import SCALES


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what: one of `confidence`, `score` and `options` says the belief.

    Attributes:
        confidence: probabilities in [0, 1].
        correct: 0 and 1, or true and false; with `correct_value`, right is that value alone. With
            `options` it may stand for `gold`, or beside it, to be held against it.
        correct_value: the value of `correct` that means right, as text; or a column, to be compared.
        run: the column that names the model, if there are several.
        task: the column that names the task, if there are several.
        where: rows are kept if each of these columns has one of its values, as text.
        equal_to: the column that `correct` must be equal to, where it holds what was answered.
        score: finite numbers, higher for surer answers, which are no probabilities.
        options: a column for each option, as `logit_{A..D}` or `yes,no`; or one column of dictionaries.
        gold: the right option, by name, letter or number.
        first_gold: the number that `gold` has for the first option, 0 or 1; found by default.
        scale: of the options, see `SCALES`; found by default.
        document: the column that tells documents apart, by which runs are paired.
        run_from: where a file's path names the model, e.g. `{model}/{task}_test.csv`.
        task_from: likewise the task; either may have both places.
        others: columns to be kept beside, as texts; see `Samples.columns`.

    Raises:
        InvalidInputError: columns that do not go together.
    """

    confidence: str | None = None
    correct: str | None = None
    correct_value: str | None = None
    run: str | None = None
    task: str | None = None
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    equal_to: str | None = None
    score: str | None = None
    options: str | None = None
    gold: str | None = None
    first_gold: int | None = None
    scale: str | None = None
    document: str | None = None
    run_from: str | None = None
    task_from: str | None = None
    others: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        beliefs = {"confidence": self.confidence, "score": self.score, "options": self.options}
        given = [f"--{name}" for name, column in beliefs.items() if column is not None]
        if len(given) != 1:
            got = " and ".join(given) or "none of them"
            raise InvalidInputError(
                f"A table says its beliefs by one of --confidence, --score and --options, got {got}."
            )
        if self.options is None:
            self._check_stated(given[0])
        elif self.gold is None and self.correct is None:
            raise InvalidInputError(
                "A table with --options needs --gold, the column of the right one, or --correct."
            )
        if self.scale not in (None, *SCALES):
            raise invalid("--scale", f"one of {', '.join(SCALES)}", f"`{self.scale}`")
        if self.first_gold not in (None, 0, 1):
            raise invalid("--gold", "COLUMN, COLUMN=0 or COLUMN=1", f"`{self.first_gold}`")
        self._check_names()

    def _check_stated(self, belief: str) -> None:
        if self.correct is None:
            kind = "confidences" if self.score is None else "scores"
            raise InvalidInputError(f"A table of {kind} needs both {belief} and --correct.")
        for name, value in (("gold", self.gold), ("scale", self.scale)):
            if value is not None:
                raise InvalidInputError(f"--{name} goes with --options, and {belief} was given.")

    def _check_names(self) -> None:
        for name, column, pattern in (
            ("model", self.run, self.run_from),
            ("task", self.task, self.task_from),
        ):
            if column is not None and pattern is not None:
                raise InvalidInputError(f"Give --{name} or --{name}-from, not both.")
            if pattern is not None and f"{{{name}}}" not in pattern:
                example = "'{model}/{task}_test.csv'"
                raise invalid(f"--{name}-from", f"with {{{name}}}, e.g. {example}", f"`{pattern}`")

    @property
    def names(self) -> list[str]:
        """Columns that say whose rows they are, which to keep and of which documents, each once."""
        optional = [name for name in (self.run, self.task, self.document) if name]
        return list(dict.fromkeys([*optional, *self.where, *self.others]))
