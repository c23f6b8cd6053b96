"""docs/deciding.md, its own tasks and Python included, with a small model in the place of a real one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command import lm_eval, run
from documented import ROOT

PAGE = (ROOT / "docs" / "deciding.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The page's code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def reviews(text: str) -> str:
    """The second task, as the page says how it is the first one changed."""
    changes = {
        "desk": "reviews",
        "articles": "reviews",
        r"Which desk .*? one word\.": "Did this reviewer like the film? Answer with Yes or No.",
        r"\[World.*?\]": '["No", "Yes"]',
        r"\{\{reviews\}\}": "{{liked}}",
    }
    for old, new in changes.items():
        text = re.sub(old, new, text)
    return text


@pytest.fixture
def story(workspace: Path) -> Path:
    for name, label, options in (("articles", "desk", 4), ("reviews", "liked", 2)):
        rows = [json.dumps({"text": f"{name} {i}", label: i * 7 % options}) for i in range(320)]
        Path(f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    (yaml,) = blocks("yaml")
    Path("tasks").mkdir()
    Path("tasks/desk.yaml").write_text(yaml)
    Path("tasks/reviews.yaml").write_text(reviews(yaml))
    return workspace


def test_from_nothing_to_a_decision(
    story: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parting, acting = blocks("python")
    exec(parting, {})
    counts = {p.name: len(p.read_text().splitlines()) for p in story.glob("*-*.jsonl")}
    assert counts["articles-test.jsonl"] == counts["reviews-test.jsonl"] == 20
    for split in ("validation", "test"):
        lm_eval(
            "--model", "hf-fast", "--model_args", f"pretrained={tiny_model},dtype=float32", "--device", "cpu",
            "--include_path", "tasks", "--tasks", "calib_desk,calib_reviews", "--apply_chat_template",
            "--log_samples", "--output_path", f"runs/{split}", "--metadata", json.dumps({"split": split}),
            "--limit", 20,
        )  # fmt: skip
    assert "calib_reviews" in capsys.readouterr().out
    run("fit", "temperature", "--samples", "runs/validation", "--per-task", "--output", "best")
    arguments = (
        "--fit",
        "runs/validation",
        "--test",
        "runs/test",
        "--calibrator",
        "best",
        "--json",
    )
    found = json.loads(run("thresholds", *arguments, "--precision", "0.2").stdout)["thresholds"]
    assert [row["task"] for row in found] == ["desk", "reviews"]
    assert all(row["test_of"] == 20 for row in found)
    said = run("thresholds", *arguments[:-1]).stderr
    assert "mapped crosswise, each fifth of its documents by temperature" in said
    exec(acting, {})
    assert len(capsys.readouterr().out.split()) == 2  # (whichever way: the model is random)


def test_the_other_split_is_another_run(story: Path) -> None:
    """The documents of the page's two splits are not the same ones."""
    (parting, _) = blocks("python")
    exec(parting, {})
    one, other = (
        set(Path(f"reviews-{s}.jsonl").read_text().splitlines()) for s in ("validation", "test")
    )
    assert len(one) == 300 and not one & other
