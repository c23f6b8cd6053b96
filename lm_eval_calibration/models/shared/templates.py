"""Templates that others wrote, rendered so that they can do nothing but write a text, and not for ever."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_context

from lm_eval_calibration.errors import invalid

LONGEST = 10_000_000
"""Characters of a rendered text, or of one on the way to it; and the largest whole number."""
STEPS = 1_000_000
"""Rounds of all loops together."""
_COUNTED, _SHORT, _LEFT = "counted", "short", "steps_left"


class Templates(ImmutableSandboxedEnvironment):
    """jinja's sandbox, with bounds on loops, texts and numbers.

    What is not bounded: the time of a single filter (`wordwrap` of a long text), the width that a
    format asks for (`"%99999999d"`), and recursive loops over long lists.
    """

    intercepted_binops = frozenset(["*", "**", "+", "<<"])

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, trim_blocks=True, autoescape=False)
        self.filters |= {_COUNTED: _counted, _SHORT: _short}

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operation whose result is not too long, nor too large."""
        if operator == "**" and (abs(left) > LONGEST or abs(right) > 64):
            raise SecurityError("a power that is too large")
        if operator == "*":
            for one, other in ((left, right), (right, left)):
                if isinstance(one, Sized) and isinstance(other, int) and len(one) * other > LONGEST:
                    raise SecurityError("a repetition that is too long")
        return _short(super().call_binop(context, operator, left, right))

    def render(self, source: str, values: dict[str, Any]) -> str:
        """A template, filled in.

        Raises:
            InvalidInputError: it is none, names something that there is not, asks for what a prompt
                has no use for, or has no end.
        """
        try:
            tree = self.parse(source)
            for loop in list(tree.find_all(nodes.For)):
                loop.iter = nodes.Filter(loop.iter, _COUNTED, [], [], None, None)
            for join in list(tree.find_all(nodes.Concat)):
                join.nodes = [nodes.Filter(n, _SHORT, [], [], None, None) for n in join.nodes]
            pieces, length = [], 0
            for piece in self.from_string(tree).generate({**values, _LEFT: [STEPS]}):
                length += len(piece)
                if length > LONGEST:
                    raise SecurityError(f"more than {LONGEST:,} characters")
                pieces.append(piece)
            return "".join(pieces)
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError,
                RecursionError, MemoryError) as error:  # fmt: skip
            why = str(error) or type(error).__name__
            raise invalid(
                "template", f"a jinja template of {', '.join(sorted(values))}", why
            ) from None


@pass_context
def _counted(context: Context, items: Iterable[Any]) -> Iterator[Any]:
    left = context.parent[_LEFT]
    for item in items:
        left[0] -= 1
        if left[0] < 0:
            raise SecurityError(f"loops of more than {STEPS:,} rounds")
        yield item


def _short(value: Any) -> Any:
    """A value that is no longer, and no larger, than anything in a prompt."""
    if isinstance(value, int) and abs(value) > LONGEST**2:
        raise SecurityError("a number that is too large")
    if isinstance(value, Sized) and len(value) > LONGEST:
        raise SecurityError(f"a text of more than {LONGEST:,} characters")
    return value


TEMPLATES = Templates()
