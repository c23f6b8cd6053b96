"""The `model-index` of a card: the hub's own classes read it, and a card keeps all else that it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration.analysis.scores import score_all
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.exports.model_card import KEY, add_to_card, as_yaml, model_index
from lm_eval_calibration.logs import scopes
from lm_eval_calibration.logs.run import Run

METRICS = ["acc", "nll", "ece"]


@pytest.fixture(scope="module")
def index(runs: list[Run]) -> list[dict[str, Any]]:
    return model_index(runs[0], score_all(list(scopes(runs[0])), METRICS, replicates=50))


def test_the_hub_reads_what_was_scored(index: list[dict[str, Any]], runs: list[Run]) -> None:
    card = ModelCard(f"---\n{as_yaml(index)}---\n# Mine\n")
    assert card.data.model_name == "model"
    scored = {
        (s.scope.name, name): e
        for s in score_all(list(scopes(runs[0])), METRICS, replicates=50)
        for name, e in s.estimates.items()
    }
    assert len(card.data.eval_results) == len(scored) == 6
    for result in card.data.eval_results:
        e = scored[result.dataset_name, result.metric_name]
        assert result.metric_value == e.value
        assert result.metric_args == {"documents": 40, "interval_95": [e.low, e.high]}
    first = card.data.eval_results[0]
    assert (first.dataset_type, first.dataset_split) == ("allenai/ai2_arc", "test")
    assert first.metric_type == "accuracy"


HEADS = st.dictionaries(
    st.sampled_from(["license", "tags", "language", "base_model", "datasets", "model_name"]),
    st.one_of(st.text(max_size=20), st.lists(st.text(max_size=8), max_size=3), st.none()),
)


@given(HEADS, st.text(st.characters(codec="utf-8"), max_size=60), st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=60, deadline=None)
def test_all_else_stays(
    index: list[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
    head: dict[str, Any],
    body: str,
    newline: str,
) -> None:
    path = tmp_path_factory.mktemp("card") / "README.md"
    top = yaml.safe_dump(head).replace("\n", newline) if head else ""
    text = f"---{newline}# a remark{newline}{top}---{newline}{body}"
    path.write_bytes(text.encode())
    add_to_card(path, index)
    once = path.read_bytes().decode()
    assert once.endswith(f"---{newline}{body}") and once.startswith(f"---{newline}# a remark")
    found = yaml.safe_load(once[len("---") : once.rindex(f"---{newline}{body}")])
    assert found.pop(KEY) == index and found == head
    add_to_card(path, index)
    assert path.read_bytes().decode() == once


def test_a_card_is_made_or_begun(index: list[dict[str, Any]], tmp_path: Path) -> None:
    for name, text in (("new.md", None), ("plain.md", "# Mine\n\n---\nruled\n---\n")):
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
        add_to_card(path, index)
        assert path.read_text().endswith(text or "---\n")
        assert ModelCard.load(path).data.model_name == "model"


def test_figures_of_others_stay(index: list[dict[str, Any]], tmp_path: Path) -> None:
    theirs = {
        "task": {"type": "text-generation"},
        "dataset": {"name": "arc_easy", "type": "allenai/ai2_arc", "split": "test"},
        "metrics": [
            {"type": "accuracy", "value": 0.1, "name": "acc"},
            {"type": "bleu", "value": 3},
        ],
    }
    path = tmp_path / "README.md"
    old = [{"name": "model", "results": [theirs]}, {"name": "other", "results": [dict(theirs)]}]
    path.write_text(f"---\nlicense: mit\n{yaml.safe_dump({KEY: old})}tags: [a]\n---\nbody")
    add_to_card(path, index)
    found = yaml.safe_load(path.read_text().split("---")[1])
    assert found["license"] == "mit" and found["tags"] == ["a"]
    mine, other = found[KEY]
    assert [r["metrics"] for r in mine["results"]] == [
        theirs["metrics"][1:], *(r["metrics"] for r in index[0]["results"])
    ]  # fmt: skip
    assert other["results"] == [theirs]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("---\na: [\n---\n", "not YAML"),
        ("---\n- a\n---\n", "no names with values"),
        ("---\nmodel-index: 3\n---\n", "not as the hub has it"),
        ("---\n{license: mit}\n---\n", "add it by hand"),
    ],
)
def test_a_head_that_cannot_be_added_to(
    index: list[dict[str, Any]], tmp_path: Path, text: str, what: str
) -> None:
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=what):
        add_to_card(path, index)
    assert path.read_text() == text
