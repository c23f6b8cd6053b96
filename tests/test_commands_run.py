"""Every `lm_eval` and `lm-calib` command of README and docs is run.

On the real data, with a tiny model, a chat server that answers and states, and few documents in the
place of many.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from command import lm_eval, run
from documented import PAGES, ROOT, commands, words
from fake_api import FakeApi
from lettered import LettersApi, shown
from made_tables import write_tables
from release import OLD, only_0_4
from scripted_base import dice

PROGRAMS = ("lm_eval ", "lm-calib ")
SHOWN = [page for page in PAGES if any(c.startswith(PROGRAMS) for c in commands(page))]
NOT_HERE = (
    "base=sglang", "hf://", " results/details", "runs-2024/", " logits/", " results_small/", " scores.jsonl",
    " answers/", " logs/", " benchmark_output/", "Coder-1.5B=runs/C", "score=normalised", "judge=nli", "--free_form",
    "base=thermometer,", "pretrained=SMALL", "reader=SMALL", "calibrator=best", "google/flan-t5", "--export choices",
    "checkpoints lora/", "--include_path tasks", "--calibrator best",
)  # fmt: skip
"""SGLang has no stub (its class has the arguments of vLLM's); what others left is read by its formats' own tests. The
chat server here tells no tokens of answers, no model of entailment is at hand, and random weights have no right answers
to learn from, so that no calibrator may be kept, and no training that has begun: tests/models/test_pooled.py, tests/fitting/test_free_form.py
and tests/checkpoints have these commands' code, and tests/test_deciding.py the tasks of a folder."""

SERVER = "base=local-chat-completions,model=M,base_url=URL"
EVALUATE = "lm_eval --log_samples --output_path {} --apply_chat_template"
PLAIN = f"{EVALUATE} --model hf-fast --model_args pretrained=X"
CHAT = f"{EVALUATE} --model_args {SERVER}"
RECIPES = {
    "options": f"{PLAIN} --tasks calib_arc --limit 40",
    "others": f"{PLAIN} --tasks calib_arc --samples OTHERS",
    "further": f"{PLAIN} --tasks calib_arc --samples FURTHER",
    "orders": f"{EVALUATE} --model option_tokens --model_args base=hf-fast,pretrained=X,orders=4"
    " --tasks calib_mmlu_anatomy --limit 8",
    "unfamiliar": f"{PLAIN} --tasks calib_mmlu_anatomy --limit 40",
    "reviews": f"{CHAT} --model verbalized --tasks calib_sst2 --limit 40",
    "other-reviews": f"{CHAT} --model verbalized --tasks calib_sst2"
    """ --samples '{"calib_sst2": [...]}'""",
    "stated": f"{CHAT} --model verbalized --tasks calib_arc --samples ELSEWHERE",
    "solutions": f"{CHAT} --model self_correct --tasks calib_gsm8k --limit 40",
    "other-solutions": f"{CHAT} --model self_correct --tasks calib_gsm8k"
    """ --samples '{"calib_gsm8k": [...]}'""",
    "letters": "lm-calib fit temperature --model_args pretrained=X --tasks mmlu --limit 40 -o {}",
    "thermometer": "lm-calib fit thermometer --model_args pretrained=X --tasks mmlu --limit 40"
    " -o {}",
}
INPUTS = {
    "README.md": {
        "runs/smollm2": "options", "runs/qwen": "options", "runs/modelA": "other-solutions",
        "runs/arc": "options", "runs/law": "unfamiliar",
    },
    "calibrators.md": {
        "runs/model": "others", "runs/letters": "unfamiliar", "runs/orders": "orders", "runs/tuned": "others",
        "runs/base": "others",
    },
    "deciding.md": {"runs/validation": "others", "runs/test": "options", "runs/calibrated": "options"},
    "evidence.md": {f"runs/{step}": "options" for step in (0, 40, 120, 300)},
    "guarantees.md": {
        "runs/validation": "others", "runs/test": "options", "runs/one": "options",
    },
    "fractal.md": {"runs/modelA": "other-solutions", "runs/modelB": "solutions"},
    "generation.md": {"runs/": "solutions"},
    "offline.md": dict.fromkeys(("A", "B", "C", "RUN", "runs/model", "runs/boolq"), "options"),
    "reproducibility.md": {"runs/both": "options", "runs/alone": "options"},
    "scale.md": {"thermo/": "thermometer", "ts/": "letters"},
    "swag.md": {"runs/arc": "options", "runs/law": "unfamiliar"},
    "verbalized.md": {
        "runs/verbal/": "stated", "runs/further": "further", "runs/validation": "other-reviews", "runs/test": "reviews",
    },
}  # fmt: skip
"""What a page's commands find, by the recipe that makes it; all else they make themselves."""


def documents(*numbers: int) -> str:
    """These of ARC, for `--samples`."""
    return repr(json.dumps({f"calib_arc_{level}": numbers for level in ("easy", "challenge")}))


SUBJECTS = "mmlu_anatomy,mmlu_astronomy,mmlu_virology"
STAND_INS = {
    r"base=openai-chat-completions,model=M": SERVER,
    r"model=A(?=,)": "model=M",
    r"data_parallel_size=4,tensor_parallel_size=2,": "",
    r"mmlu_abstract_algebra,\.\.\.|(?<= |,)mmlu(?= |$)": SUBJECTS,
    r"calib_mmlu(?= |$)": "calib_mmlu_anatomy",
    r"calib_leaderboard": "calib_arc",  # most of its data is not at hand
    r"OTHERS": documents(*range(40, 80)),
    r"FURTHER": documents(*range(40, 60)),
    r"ELSEWHERE": documents(*range(80, 120)),
    r"\[\.\.\.\]": str(list(range(40, 60))),
    r" --gen_kwargs \S+": "",
    r"think_tokens=\d+": "think_tokens=8",
    r"think=true(?=,|$| )": "think_tokens=8",
    r"--tasks calib_(gsm8k|triviaqa)\S*": r"\g<0> --gen_kwargs max_gen_toks=8",
    r"--members 3": "--members 2",
    r"--leave-one-out": "--leave-one-out --seeds 1",
}
"""What stands in the place of what is not here, or takes long."""
if not OLD:  # (whose documents are those that are evaluated: see `_samples_of_0_5`)
    STAND_INS |= {r"scorer=frac/": r"\g<0>,allow_seen=true"}


class Server(LettersApi):
    """Knows every other answer; lettered options it answers by their texts, decisions evenly."""

    def __init__(self, known: dict[str, str]) -> None:
        super().__init__()
        self.known = known

    def serve(self, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if "questions" not in payload:
            return super().serve(payload)
        ((name, asked),) = payload["questions"].items()
        options = asked.get("criteria") or ()
        p = {option: 1 / len(options) for option in options}
        return "", {"answers": {name: {"type": asked["type"], "noul": 0.5, "probabilities": p}}}

    def answer(self, payload: dict[str, Any]) -> dict[str, Any]:
        prompt = payload["messages"][-1]["content"]
        if payload.get("logprobs") and any(shown(t["content"]) for t in payload["messages"]):
            return super().answer(payload)
        if "JSON object" in prompt:
            return FakeApi.answer(self, payload)
        chance = dice(prompt, payload.get("seed"))
        gold = next((a for question, a in self.known.items() if question in prompt), "70%")
        text = gold if chance < 0.5 else "wrong 17"
        if "Answer 1:" in prompt:
            text = "1" if chance < 0.5 else "2"
        return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}


def answers(data: Path) -> dict[str, str]:
    """Of the generation tasks' questions."""
    found = {}
    for name in ("openai/gsm8k/main/test", "mandarjoshi/trivia_qa/rc.nocontext/validation"):
        table = pd.read_parquet(data / f"{name}-00000-of-00001.parquet")
        for question, answer in zip(table["question"], table["answer"], strict=True):
            found[question] = answer["value"] if isinstance(answer, dict) else answer
    return found


def _samples_of_0_5(command: str) -> str:
    """Without `--samples`, of which 0.5.0.dev1 logs none but the first documents (`_build_logged_samples`)."""
    return command if OLD else re.sub(r"--samples ('[^']*'|\S+)", "--limit 40", command)


class Kitchen:
    """Runs commands, and keeps what recipes make."""

    def __init__(self, model: Path, url: str, folder: Path) -> None:
        self.model, self.url, self.folder = model, url, folder

    def execute(self, command: str) -> None:
        for pattern, text in STAND_INS.items():
            command = re.sub(pattern, text, command)
        command = re.sub(r"pretrained=(<[^>]*>|X|Y|\$M)", f"pretrained={self.model}", command)
        command = re.sub(r"base_url=(URL|http://\.\.\.)", f"base_url={self.url}", command)
        if command.startswith("lm-calib "):
            run(*words(command))
            return
        lm_eval("run", *words(command))

    def made(self, recipe: str) -> Path:
        folder = self.folder / recipe
        if not folder.exists():
            self.execute(_samples_of_0_5(RECIPES[recipe]).replace("{}", str(folder)))
        return folder

    def serve(self, page: str, command: str) -> None:
        """Put where the command looks for it what is not there yet."""
        for name, recipe in INPUTS.get(page, {}).items():
            if (
                re.search(rf"[ =\[]{re.escape(name)}(?=\.\.\.|[ ,\]]|$)", command)
                and not Path(name).exists()
            ):
                shutil.copytree(self.made(recipe), name)


@pytest.fixture(scope="module")
def kitchen(
    tiny_model: Path, data_folder: Path, vllm: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kitchen]:
    with Server(answers(data_folder)) as server:
        yield Kitchen(tiny_model, server.url, tmp_path_factory.mktemp("kitchen"))


def shortened(command: str) -> str:
    """Fewer documents, six to evaluate and forty to fit, and a short training."""
    if command.startswith("lm-calib fit swag "):
        command += " --epochs 1 --swag_epochs 1 --snapshots_per_epoch 2 --rank 2 --scale 1"
    few = "--limit 40" if command.startswith("lm-calib ") else "--limit 6"
    if "--limit" in command:
        return re.sub(r"--limit \d+", few, command)
    return f"{command} {few}" if "--tasks" in command and "--samples" not in command else command


def page_of(page: Path) -> Any:
    """README in every suite, and the other pages before a release."""
    name = str(page.relative_to(ROOT))
    marks = [] if name == "README.md" else [pytest.mark.exhaustive]
    if page.name in ("fractal.md", "verbalized.md"):
        marks.append(only_0_4("0.5.0.dev1 logs no `--samples` but the first documents"))
    return pytest.param(page, id=name, marks=marks)


@pytest.mark.usefixtures("toy_encoder", "one_index", "few_steps")
@pytest.mark.parametrize("page", [page_of(page) for page in SHOWN])
def test_page(page: Path, kitchen: Kitchen, data_folder: Path, workspace: Path) -> None:
    for source in data_folder.iterdir():
        (workspace / source.name).symlink_to(source)
    (workspace / "docs").mkdir()
    published = data_folder / "confidence_logs" / "confidences.parquet"
    (workspace / published.name).symlink_to(published)
    log = pd.read_parquet(published)
    log[log["model"] == log["model"].iloc[0]].to_parquet(workspace / "log.parquet")
    write_tables(workspace)
    for command in dict.fromkeys(commands(page)):
        if command.startswith(PROGRAMS) and not any(text in command for text in NOT_HERE):
            kitchen.serve(page.name, command)
            print(f"$ {command}")
            kitchen.execute(shortened(command))
