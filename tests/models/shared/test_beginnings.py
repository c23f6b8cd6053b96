"""Where a prompt's beginning ends: behind its last blank line, or before the last question of a conversation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from lm_eval_calibration.models.shared.beginnings import beginning_for

TEMPLATES = {
    "chatml": "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "llama": "{% for m in messages %}<|h|>{{ m['role'] }}<|/h|>\n\n{{ m['content'] }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|h|>assistant<|/h|>\n\n{% endif %}",
    "mistral": "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }}</s>{% endif %}{% endfor %}",
}
SHOTS = [("one and one?", "two"), ("one and two?", "three")]


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_model)


def rest(tokenizer: Any, text: str) -> str:
    """What follows the beginning."""
    tokens = tokenizer.encode(text, add_special_tokens=False)
    return str(tokenizer.decode(tokens[beginning_for(tokenizer)(tokens) :]))


@pytest.mark.parametrize("name", TEMPLATES)
def test_of_conversations(tokenizer: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples, whatever the last question is, so that they are read once."""
    monkeypatch.setattr(tokenizer, "chat_template", TEMPLATES[name])
    turns = [
        {"role": role, "content": said}
        for shot in SHOTS
        for role, said in zip(("user", "assistant"), shot, strict=True)
    ]
    for question in ("two and two?", "and now?"):
        asked = [*turns, {"role": "user", "content": question}]
        text = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        found = rest(tokenizer, text)
        assert question in found and "three" not in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Q: a\nA: b\n\nQ: c\nA:", "Q: c\nA:"),
        ("Q: c\nA:", "Q: c\nA:"),
        ("a\n\nb\n \n\nc\n\n", "c\n\n"),
        ("", ""),
    ],
)
def test_of_paragraphs(tokenizer: Any, text: str, expected: str) -> None:
    assert rest(tokenizer, text) == expected


def test_a_template_that_cannot_be_had(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", "{{ raise_exception('no') }}")
    assert rest(tokenizer, "a\n\nb") == "b"
