"""Fields of logged documents: what belongs together, found or named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run
from logged_lines import line

from lm_eval_calibration.clusters import FEW_CLUSTERS
from lm_eval_calibration.errors import InvalidInputError, UnknownNameError
from lm_eval_calibration.logs.fields import clustered, field_of
from lm_eval_calibration.logs.runs import read_runs

Write = Callable[..., Path]


def lines(count: int, doc: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    return [line(i, doc=doc(i), target=str(i % 2)) for i in range(count)]


def test_questions_about_one_passage_are_found(write: Write) -> None:
    path = write(
        lines(3 * FEW_CLUSTERS, lambda i: {"passage": f"text {i // 3}", "meta": {"of": i % 2}})
    )
    ((read,), _) = read_runs([str(path)])
    (samples,) = read.samples.values()
    (found,) = clustered([read], "auto")[0].samples.values()
    assert found.cluster.tolist() == [i // 3 for i in range(3 * FEW_CLUSTERS)]
    assert "one `passage`" in found.notes[-1] and "20 of them" in found.notes[-1]
    assert not len(clustered([read], "none")[0].samples[samples.task].cluster)
    by = clustered([read], "meta.of")[0].samples[samples.task]
    assert by.cluster.tolist() == [i % 2 for i in range(3 * FEW_CLUSTERS)]
    assert "too short" in by.notes[-1]
    assert field_of(samples, "meta.of").tolist() == [str(i % 2) for i in range(3 * FEW_CLUSTERS)]


def test_few_passages_and_passages_of_one_question_are_left_alone(write: Write) -> None:
    for count in (FEW_CLUSTERS - 1, 3 * FEW_CLUSTERS):
        path = write(lines(3 * FEW_CLUSTERS, lambda i, n=count: {"passage": f"text {i % n}"}))  # type: ignore[misc]
        ((read,), _) = read_runs([str(path)])
        (found,) = clustered([read], "auto")[0].samples.values()
        assert not len(found.cluster)


def test_documents_without_the_field_stand_alone(write: Write) -> None:
    path = write(lines(40, lambda i: {"source": "same"} if i % 2 else {"q": "x"}))
    ((read,), _) = read_runs([str(path)])
    (found,) = clustered([read], "source")[0].samples.values()
    assert len(np.unique(found.cluster)) == 21


def test_a_field_that_is_not_there(write: Write) -> None:
    path = write(lines(4, lambda i: {"passage": f"{i}"}))
    ((read,), _) = read_runs([str(path)])
    with pytest.raises(UnknownNameError, match="Did you mean `passage`"):
        clustered([read], "pasage")
    same = write(lines(4, lambda i: {"passage": "one"}))
    ((read,), _) = read_runs([str(same)])
    with pytest.raises(InvalidInputError, match="all documents have the same `passage`"):
        clustered([read], "passage")


def test_intervals_know_it(write: Write) -> None:
    """Four copies of each document: the interval is twice as wide as if they were independent."""

    def scored(*more: str) -> tuple[float, str]:
        import json

        done = run("score", path, "--metrics", "nll", "--json", *more)
        row = json.loads(done.stdout)["scores"][0]["metrics"]["nll"]
        return row["stderr"], done.stderr

    rng = np.random.default_rng(0)
    scores = rng.normal(-2, 1, (50, 2)).clip(max=0)
    path = write(
        [
            line(i, doc={"story": f"{i // 4}"}, scores=scores[i // 4].tolist(), target="0")
            for i in range(200)
        ]
    )
    (wide, said), (narrow, _) = scored(), scored("--cluster", "none")
    assert wide == pytest.approx(2 * narrow, rel=0.05)
    assert "documents of one `story` are drawn together, 50 of them" in said


def test_a_task_without_the_field_stands_alone_beside_one_that_has_it(tmp_path: Path) -> None:
    import json

    for name, field in (("a", "source"), ("b", "other")):
        path = tmp_path / f"samples_{name}_2026-01-02T03-04-05.678901.jsonl"
        rows = lines(40, lambda i, f=field: {f: f"text {i // 2}"})  # type: ignore[misc]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ((read,), _) = read_runs([str(tmp_path)])
    (found,) = clustered([read], "source")
    assert [len(s.cluster) for s in found.samples.values()] == [40, 0]
    for wrong in ("None", ""):
        with pytest.raises(InvalidInputError, match="`--cluster` must be a field"):
            clustered([read], wrong)
