"""Fixtures: a tiny language model, a scripted one, and a folder of upstream-like tasks."""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import importlib
import importlib.util
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from release import OLD, with_all_splits

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
START_UP = HERE / "start_up"

# No test reaches a hub, and none leaves or finds a stale data set in the user's cache; workers share one.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["HF_DATASETS_CACHE"] = tempfile.mkdtemp(prefix="calib-datasets-")
    atexit.register(shutil.rmtree, os.environ["HF_DATASETS_CACHE"], ignore_errors=True)
    # Processes that tests start find the harness's index made: `start_up` is on their path.
    paths = [str(START_UP), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
else:  # one thread for each of the workers
    os.environ["OMP_NUM_THREADS"] = "1"
os.environ.update(
    HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TQDM_DISABLE="1"
)
sys.path.insert(0, str(START_UP))
hypothesis.settings.register_profile("suite", deadline=None)  # (machines are shared)
hypothesis.settings.load_profile("suite")
importlib.import_module("quick_index").install()


LONGEST = (
    "test_commands_run.py", "test_secrets.py", "test_cli.py", "test_distributed.py", "test_page.py",
    "test_odd_replies.py", "test_shared_data.py", "test_long_inputs.py", "test_thermometer.py",
    "test_recalibrate.py", "test_resources.py", "test_p_true.py", "test_vllm.py", "test_thresholds.py",
)  # fmt: skip
"""Files that take longest, which workers begin with so that none is left with one at the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def described_once() -> None:
    """The harness describes the machine after each evaluation, which takes `pip` two seconds."""
    if importlib.util.find_spec("torch") is not None:
        from torch.utils import collect_env

        collect_env.get_pretty_env_info = functools.cache(collect_env.get_pretty_env_info)


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of real evaluation data, laid out like the hub."""
    folder = Path(os.environ.get("LM_EVAL_CALIBRATION_DATA", HERE.parents[1] / "shared" / "data"))
    if not (folder / "allenai" / "ai2_arc").is_dir():
        pytest.skip(f"no evaluation data at {folder} (set LM_EVAL_CALIBRATION_DATA)")
    return folder if OLD else with_all_splits(folder, tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def task_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Upstream-like tasks over a small JSON data set: every shape of multiple choice."""
    folder = tmp_path_factory.mktemp("toy_tasks")
    for split, count in (("train", 12), ("test", 40)):
        rows = "\n".join(json.dumps(_document(i, split)) for i in range(count))
        (folder / f"{split}.json").write_text(rows)
    for name, text in _tasks(folder).items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def _document(i: int, split: str) -> dict[str, Any]:
    options = [f"{split} answer {'x' * (7 * (i + k) % 11)} {k}" for k in range(3 + i % 3)]
    return {
        "question": f"What is item {i} of {split}?",
        "options": options,
        "answer": i * 7 % len(options),
        "answers": [0, 2] if i % 2 else [1],
        "far": 9 if i % 5 == 4 else 0,
        "contexts": [f"{split} {i} has {o} and" for o in options],
    }


FILTERS = """
filter_list:
  - name: strict
    filter: [{function: regex, regex_pattern: "(test answer.*)"}, {function: take_first}]
  - name: plain
    filter: [{function: take_first}]
"""


def _tasks(folder: Path) -> dict[str, str]:
    base = f"""
dataset_path: json
dataset_kwargs:
  data_files: {{train: {folder}/train.json, test: {folder}/test.json}}
output_type: multiple_choice
training_split: train
test_split: test
fewshot_split: train
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_choice: options
doc_to_target: answer
metadata: {{version: 1.0}}
"""
    metrics = """
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
"""
    norm = metrics + "  - {metric: acc_norm, aggregation: mean, higher_is_better: true}\n"
    mutual = metrics + "  - {metric: acc_mutual_info, aggregation: mean, higher_is_better: true}\n"
    without = "\n".join(line for line in base.splitlines() if not line.startswith("doc_to_"))
    if OLD:
        shape = "doc_to_text: answer\ndoc_to_choice: contexts\ndoc_to_target: so on\n"
    else:
        shape = "doc_to_text: contexts\ndoc_to_choice: [so on]\ndoc_to_target: answer\nmultiple_inputs: true\n"
    inputs = f"{without}\n{shape}"
    several = "" if OLD else "multiple_targets: true\n"
    generation = f"""
task: toy_generate
dataset_path: json
dataset_kwargs: {{data_files: {{train: {folder}/train.json, test: {folder}/test.json}}}}
output_type: generate_until
training_split: train
test_split: test
doc_to_text: question
doc_to_target: "{{{{options[answer]}}}}"
generation_kwargs: {{until: ["."]}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
"""
    return {
        "toy_norm": f"task: toy_norm\ntag: toy_tag\ntask_alias: norm{base}{norm}",
        "toy_plain": f"task: toy_plain\ntag: toy_tag{base}{metrics}",
        "toy_default": f"task: toy_default{base}",
        "toy_several": f"task: toy_several{base}{several}{norm}".replace(
            "doc_to_target: answer",
            'doc_to_target: answers\nfewshot_config: {doc_to_target: "{{options[0]}}"}',
        ),
        "toy_outside": f"task: toy_outside{base}{metrics}".replace(
            "doc_to_target: answer",
            "doc_to_target: far\nfewshot_config: {doc_to_target: answer}",
        ),
        # (0.5.0.dev1 drops the delimiter where there is no context, and then asserts that it did not)
        "toy_mutual": f"task: toy_mutual{base}{mutual}" + ("" if OLD else 'target_delimiter: ""\n'),
        "toy_inputs": f"task: toy_inputs{inputs}{metrics}",
        "toy_generate": generation,
        "toy_filters": generation.replace("toy_generate", "toy_filters") + FILTERS,
        "toy_own": f"""
task: toy_own
class: !function lm_eval_calibration.CalibrationTask{base}
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: ece, num_bins: 3}}
  - {{metric: acc_at_coverage_0.5}}
  - {{metric: classwise_ece}}
  - {{metric: tl_ece_norm, num_bins: 4}}
""",
        "toy_group": """
group: toy_group
group_alias: toys
task:
  - toy_norm
  - task: toy_plain
    task_alias: plain
    num_fewshot: 1
  - group: toy_inner
    task: [toy_several]
    aggregate_metric_list: [{metric: acc}]
aggregate_metric_list: [{metric: acc, weight_by_size: true}]
""",
        "toy_mixed": "group: toy_mixed\ntask: [toy_norm, toy_generate]\n",
    }


@pytest.fixture(scope="session")
def tasks(task_folder: Path) -> Any:
    """A task manager over the toy tasks and our own, without the harness's 14,000."""
    from lm_eval.tasks import TaskManager

    import lm_eval_calibration  # noqa: F401

    return TaskManager(include_path=str(task_folder), include_defaults=False)


@functools.cache
def _manager(include_path: str | None) -> Any:
    from lm_eval.tasks.manager import TaskManager

    return TaskManager(include_path=include_path)


@pytest.fixture
def one_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness's 14,000 tasks are read once for each folder beside them, not by every command."""
    import lm_eval.tasks

    from lm_eval_calibration.fitting import task_documents

    for module in (lm_eval.tasks, task_documents):
        monkeypatch.setattr(
            module, "TaskManager", lambda include_path=None, **_: _manager(include_path)
        )


@pytest.fixture(scope="session")
def scripted() -> Callable[..., Any]:
    """A model whose log-likelihoods are a fixed function of the request, or what `answer` says."""
    from lm_eval.api.model import LM

    class Scripted(LM):
        def __init__(self, answer: Callable[[str, str], float] | None = None) -> None:
            super().__init__()
            self.answer = answer or pseudo_loglikelihood

        def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
            return [(self.answer(*request.args[:2]), False) for request in requests]

        def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
            raise NotImplementedError

        def generate_until(self, requests: list[Any]) -> list[str]:
            return ["so it is" for _ in requests]

    return Scripted


def pseudo_loglikelihood(context: str, continuation: str) -> float:
    """A deterministic stand-in for a model, spread like log-likelihoods."""
    digest = hashlib.sha256(f"{context}|{continuation}".encode()).digest()
    u = (int.from_bytes(digest[:6], "big") + 1) / 2**48
    return 2.5 * math.log(u) - 0.05 * len(continuation)


@pytest.fixture(scope="session")
def generated_folder(tmp_path_factory: pytest.TempPathFactory, tasks: Any) -> Path:
    """A generation run of two filters whose candidates were chosen among, by an unsure model."""
    from lm_eval import simple_evaluate
    from logged_lines import save_run
    from scripted_base import Scripted  # noqa: F401

    from lm_eval_calibration.models.self_correct import SelfCorrectLM

    lm = SelfCorrectLM(base="scripted", picker="unsure", wrong="test answer xxxxx")
    results = simple_evaluate(
        model=lm, tasks=["calib_toy_filters"], task_manager=tasks, bootstrap_iters=100
    )
    return save_run(tmp_path_factory.mktemp("generated"), results)


def once(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], object]) -> Path:
    """A folder that the first of the workers fills."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    from filelock import FileLock

    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            partial = factory.mktemp(name) / name
            fill(partial)
            partial.rename(folder)
    return folder


@pytest.fixture
def few_steps() -> Iterator[None]:
    """Thermometers are trained for a tenth of their steps."""
    with a_tenth_of_the_steps():
        yield


@contextlib.contextmanager
def a_tenth_of_the_steps() -> Iterator[None]:
    from lm_eval_calibration.calibrators.thermometer import PRESETS

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "default", replace(PRESETS["default"], steps=500))
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama with a byte tokenizer and a chat template, saved in a folder."""
    return once(tmp_path_factory, "tiny_model", save_tiny_model)


def save_tiny_model(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<s>", "</s>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    fast.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, max_position_embeddings=2048, bos_token_id=0, eos_token_id=1,
            initializer_range=0.3,
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    fast.save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_lm(tiny_model: Path) -> Any:
    """The tiny model as the harness's `hf`."""
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=str(tiny_model), device="cpu", batch_size=8, dtype="float32")


@pytest.fixture(scope="session")
def thermometer_folder(
    tiny_model: Path, task_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Trained on the toy tasks' training documents."""
    from command import run

    arguments = [
        "fit", "thermometer", "--model_args", f"pretrained={tiny_model},dtype=float32",
        "--device", "cpu", "--tasks", "toy_norm,toy_several", "--include_path", task_folder,
        "--split", "train", "--output",
    ]  # fmt: skip
    with a_tenth_of_the_steps():
        return once(tmp_path_factory, "thermometer", lambda folder: run(*arguments, folder))


@pytest.fixture(scope="session")
def swag_folder(
    tiny_model: Path, task_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Two members, trained on a toy task's training documents."""
    from command import run

    arguments = [
        "fit", "swag", "--model_args", f"pretrained={tiny_model},dtype=float32",
        "--device", "cpu", "--tasks", "toy_norm", "--include_path", task_folder,
        "--members", "2", "--train_batch_size", "2", "--rank", "3", "--learning_rate", "0.01",
        "--swag_learning_rate", "0.01", "--output",
    ]  # fmt: skip
    return once(tmp_path_factory, "swag", lambda folder: run(*arguments, folder))


@pytest.fixture(scope="module")
def vllm() -> Iterator[Any]:
    """A stub with vLLM's signatures in its place."""
    sys.path.insert(0, str(HERE / "stubs"))
    importlib.invalidate_caches()
    yield importlib.import_module("vllm")
    sys.path.remove(str(HERE / "stubs"))
    for name in [
        n for n in sys.modules if n.partition(".")[0] == "vllm" or n.endswith(".vllm_causallms")
    ]:
        del sys.modules[name]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory away from the checkout."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def toy_encoder(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An encoder that sees whether a sentence says `wrong`; counts the texts it has encoded."""
    from toy_encoder import Toy

    from lm_eval_calibration.fractal import encoders

    Toy.count = 0
    monkeypatch.setattr(encoders, "_load", lambda name, device: Toy())
    return Toy


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A samples file of the given lines: dictionaries, or text as it is."""
    from logged_lines import NAME

    def write_lines(lines: Sequence[Any], name: str = NAME) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = [text if isinstance(text, str) else json.dumps(text) + "\n" for text in lines]
        path.write_text("".join(texts), encoding="utf-8")
        return path

    return write_lines
