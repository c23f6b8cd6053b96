"""What the harness's `vllm` class calls of vLLM, by the same names and signatures, on transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypedDict

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lm_eval_calibration.scoring.head import arguments_of


class TokensPrompt(TypedDict):
    """A prompt as token numbers."""

    prompt_token_ids: list[int]


@dataclass
class SamplingParams:
    """How to go on; an argument that vLLM does not know is refused, as there."""

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: list[str] = field(default_factory=list)
    max_tokens: int = 16
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    detokenize: bool = True
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True


class LLM:
    """An engine on one device.

    Attributes:
        asked: the sampling parameters of every prompt so far.
    """

    def __init__(
        self,
        model: str,
        *,
        tokenizer: str | None = None,
        tokenizer_mode: str = "auto",
        trust_remote_code: bool = False,
        tensor_parallel_size: int = 1,
        dtype: str = "auto",
        quantization: str | None = None,
        tokenizer_revision: str | None = None,
        revision: str | None = None,
        seed: int | None = None,
        max_model_len: int | None = None,
        max_num_seqs: int | None = None,
        enable_lora: bool = False,
        max_lora_rank: int = 16,
        lora_target_modules: list[str] | None = None,
        gpu_memory_utilization: float = 0.9,
        swap_space: int = 4,
    ) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype, None))
        self.tokenizer = AutoTokenizer.from_pretrained(tokenizer or model)
        longest = max_model_len or self.model.config.max_position_embeddings
        self.llm_engine = SimpleNamespace(model_config=SimpleNamespace(max_model_len=longest))
        self._base, self._adapted = self.model, {}
        self._lora = enable_lora
        self.asked: list[SamplingParams] = []
        self.full = False

    def generate(
        self,
        prompts: Sequence[TokensPrompt],
        sampling_params: Sequence[SamplingParams],
        *,
        use_tqdm: bool = True,
        lora_request: Any = None,
    ) -> list[Any]:
        """Outputs with `.prompt_logprobs` and `.outputs[0].text`."""
        if lora_request is not None:
            self.model = self._with(lora_request)
        pairs = zip(prompts, sampling_params, strict=True)
        return [self._one(prompt["prompt_token_ids"], how) for prompt, how in pairs]

    def _with(self, request: Any) -> Any:
        """The model with an adapter, read once."""
        if not self._lora:
            raise ValueError("Got lora_request but LoRA is not enabled!")
        from peft import PeftModel

        if not self._adapted:
            adapted = PeftModel.from_pretrained(self._base, request.lora_path, request.lora_name)
        else:
            adapted = self.model
        if request.lora_name not in self._adapted:
            if self._adapted:
                adapted.load_adapter(request.lora_path, request.lora_name)
            self._adapted[request.lora_name] = True
        adapted.set_adapter(request.lora_name)
        return adapted

    @torch.no_grad()
    def _one(self, tokens: list[int], how: SamplingParams) -> Any:
        longest = self.llm_engine.model_config.max_model_len
        if len(tokens) + how.max_tokens > longest:
            raise ValueError(f"The prompt is longer than {longest} tokens.")
        self.asked.append(how)
        logprobs = None
        if how.prompt_logprobs is not None:
            logprobs = self._prompt_logprobs(tokens, how.prompt_logprobs)
        text, new = self._text(tokens, how) if how.detokenize else ("", [])
        reply = SimpleNamespace(
            text=text, token_ids=new, finish_reason="length" if self.full else "stop", logprobs=None
        )
        if how.logprobs is not None:
            reply.logprobs = self._prompt_logprobs(tokens + new, how.logprobs)[len(tokens) :]
        return SimpleNamespace(prompt_logprobs=logprobs, outputs=[reply])

    def _prompt_logprobs(self, tokens: list[int], best: int) -> list[dict[int, Any] | None]:
        """Of each token, and of the `best` most likely in its place; none of the first."""
        scores = self.model(torch.tensor([tokens])).logits[0].float().log_softmax(dim=-1)
        found: list[dict[int, Any] | None] = [None]
        for row, token in zip(scores[:-1], tokens[1:], strict=True):
            named = {*row.topk(best).indices.tolist(), token}
            found.append({t: SimpleNamespace(logprob=float(row[t])) for t in named})
        return found

    def _text(self, tokens: list[int], how: SamplingParams) -> tuple[str, list[int]]:
        generator = torch.Generator().manual_seed(how.seed or 0)
        new: list[int] = []
        self.full = True
        name = "cache" if "cache" in arguments_of(self.model) else "past_key_values"
        fed, cache = tokens, None
        for _ in range(how.max_tokens):
            out = self.model(torch.tensor([fed]), use_cache=True, **{name: cache})
            scores, cache = out.logits[0, -1].float(), out.past_key_values
            if how.temperature == 0:
                new.append(int(scores.argmax()))
            else:
                p = (scores / how.temperature).softmax(dim=-1)
                new.append(int(torch.multinomial(p, 1, generator=generator)))
            fed = new[-1:]
            text = self.tokenizer.decode(new, skip_special_tokens=how.skip_special_tokens)
            stops = [text.index(stop) for stop in how.stop if stop in text]
            if stops:
                self.full = False
                return str(text[: min(stops)]), new
        return str(text), new
