"""Templates that others wrote: they write prompts, and do nothing else."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.models.shared.prompts import Prompts

OPEN = "os.popen('touch hacked').read()"
RUNS = [
    "{{ cycler.__init__.__globals__." + OPEN + " }}",
    "{{ question.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ question|attr('__class__') }}",
    "{{ lipsum.__globals__['os'].popen('touch hacked') }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context.environment }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(question) }}",
    "{{ '{a.__class__}'.format_map({'a': question}) }}",
    "{% for x in [question] %}{{ loop._iterable.__class__ }}{% endfor %}",
    "{{ question.format.__func__ }}",
    "{% set x = doc.pop('a') %}",
    "{{ doc.update({'a': 2}) }}",
    "{{ doc.l.append(1) }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os.system('touch hacked') }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ (1).__class__.__base__ }}",
    "{{ joiner.__init__.__globals__.os }}",
]
ENDLESS = [
    "{{ 'x' * 10**10 }}",
    "{{ 10**9 * 'x' }}",
    "{{ ([1] * 10**9)|length }}",
    "{{ 9**9**9 }}",
    "{% for i in range(10**9) %}x{% endfor %}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% for i in 'x' * 99999 %}{% for j in 'x' * 99999 %}y{% endfor %}{% endfor %}",
    "{% set n = namespace(x='xx') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
    "{% set n = namespace(x='xx') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x }}",
    "{% set n = namespace(x=9) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}{{ n.x }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% set x = 'x' * 9999999 %}{% for i in range(9999) %}{{ x }}{% endfor %}",
    "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
]
WRONG = [
    "{{ nothing }}",
    "{% if %}",
    "{{ 1 / 0 }}",
    "{{ [][5].a }}",
    "{{ question() }}",
    "{{ 'a' + 1 }}",
    "{{ doc|sum }}",
]


@pytest.mark.parametrize("template", [*RUNS, *ENDLESS, *WRONG])
def test_an_error_of_ours(template: str, workspace: Path) -> None:
    doc = {"a": 1, "l": [0]}
    begin, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidInputError, match="`template` must be a jinja template of"):
        Prompts("p_true", "").render("task", template, question="q", doc=doc)
    assert doc == {"a": 1, "l": [0]} and not list(workspace.iterdir())
    assert time.process_time() - begin < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000


def test_what_prompts_need_is_there() -> None:
    template = (
        "{% for name in names %}{{ loop.index }}. {{ name|upper }}{{ ', ' if not loop.last }}{% endfor %}"
        "{% set n = namespace(k=0) %}{% for x in names recursive %}{% set n.k = n.k + x|length %}{% endfor %}"
        " {{ n.k }} {{ 'a' ~ 1 ~ names[0] }} {{ '-' * 3 }} {{ 2**5 }} {{ names|join('/') }} {{ doc.a }}"
        "{% for x in names if x != 'b' %}{{ x }}{% else %}none{% endfor %}"
    )
    found = Prompts("p_true", "").render("t", template, names=["b", "cc"], doc={"a": 7})
    assert found == "1. B, 2. CC 3 a1b --- 32 b/cc 7cc"


def test_names_of_tasks_are_no_paths(tmp_path: Path) -> None:
    (tmp_path / "outside.jinja").write_text("outside")
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "mine.jinja").write_text("inside")
    (folder / "a.jinja").mkdir()
    prompts = Prompts("p_true", str(folder))
    assert prompts.render("mine", "own") == "inside"
    for name in (
        "../outside",
        str(tmp_path / "outside"),
        "..",
        "",
        "a",
        "\0",
        "\ud800",
        "x" * 9999,
    ):
        assert prompts.render(name, "own") == "own"


def test_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "t.jinja"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInputError, match=r"t\.jinja cannot be read"):
        Prompts("p_true", str(path))
