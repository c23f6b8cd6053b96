"""Several machines: `accelerate launch` over two hosts, one that dies, and a server behind a cable."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from release import answers
from two_hosts import Host, two_hosts

BIN = Path(sys.executable).parent
TESTS = Path(__file__).resolve().parents[1]
MINUTE = 60
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    try:
        pair = two_hosts()
        made = pair.__enter__()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespaces can be made here ({error})")
    yield made
    pair.__exit__(None, None, None)


def launched(host: Host, number: int, first: Host, out: Path) -> subprocess.Popen[str]:
    """`accelerate launch` on one of the hosts."""
    launch = [
        BIN / "accelerate",
        "launch",
        "--multi_gpu",
        "--num_machines",
        "2",
        "--num_processes",
        "2",
    ]
    launch += ["--machine_rank", number, "--main_process_ip", first.address]
    launch += ["--main_process_port", "29517", "--mixed_precision", "no", "--dynamo_backend", "no"]
    command = [*launch, TESTS / "launched.py", out / "commands.json"]
    return host.start(command, out / f"log{number}", ACCELERATE_USE_CPU="true")


def both(hosts: tuple[Host, Host], out: Path) -> None:
    running = [launched(host, number, hosts[0], out) for number, host in enumerate(hosts)]
    codes = [each.wait(timeout=10 * MINUTE) for each in running]
    assert codes == [0, 0], (out / "log0").read_text()[-5000:]


def alone(out: Path) -> None:
    done = subprocess.run(
        [sys.executable, TESTS / "launched.py", out / "commands.json"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-5000:]


def evaluation(
    out: Path, folder: Path, name: str, arguments: str, task: str, *more: str
) -> list[str]:
    return ["lm_eval", "run", "--model", name, "--model_args", arguments, "--device", "cpu", "--tasks", task,
            "--include_path", str(folder), "--gen_kwargs", "max_gen_toks=12", "--log_samples",
            "--output_path", str(out / name), *more]  # fmt: skip


def told(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures by task, and answers by document."""
    (path,) = folder.rglob("results_*.json")
    rows = [
        json.loads(line)
        for p in folder.rglob("samples_*.jsonl")
        for line in p.read_text().splitlines()
    ]
    return json.loads(path.read_text())["results"], {row["doc_hash"]: answers(row) for row in rows}


def same(one: Path, other: Path) -> None:
    figures, theirs = (told(folder) for folder in (one, other))
    assert figures[1].keys() == theirs[1].keys()
    for task, row in figures[0].items():
        for key, value in row.items():
            if isinstance(value, float):
                np.testing.assert_allclose(
                    theirs[0][task][key], value, rtol=0, atol=1e-6, err_msg=key
                )


def test_two_hosts_give_the_figures_of_one(
    hosts: tuple[Host, Host],
    tiny_model: Path,
    task_folder: Path,
    thermometer_folder: Path,
    tmp_path: Path,
) -> None:
    """Twins of the harness's own `hf` too, which parts nothing between machines of one GPU."""
    of = f"pretrained={tiny_model},dtype=float64"
    for out in (tmp_path / "one", tmp_path / "two"):
        out.mkdir()
        commands = [
            evaluation(out, task_folder, "hf", of, "calib_toy_norm"),
            evaluation(out, task_folder, "thermometer", f"{of},thermometer={thermometer_folder}", "calib_toy_norm"),
            evaluation(out, task_folder, "self_correct", f"base=hf-fast,{of},candidates=3", "calib_toy_generate"),
            ["lm-calib", "fit", "thermometer", "--model_args", of, "--device", "cpu", "--tasks",
             "toy_norm,toy_several", "--include_path", str(task_folder), "--split", "test",
             "--output", str(out / "fit")],
        ]  # fmt: skip
        (out / "commands.json").write_text(json.dumps(commands))
    alone(tmp_path / "one")
    both(hosts, tmp_path / "two")
    for name in ("hf", "thermometer", "self_correct"):
        same(tmp_path / "one" / name, tmp_path / "two" / name)
    fits = [(tmp_path / n / "fit" / "config.json").read_bytes() for n in ("one", "two")]
    assert fits[0] == fits[1]


@pytest.mark.parametrize("how", ["die", "cut"])
def test_a_host_that_is_gone(
    hosts: tuple[Host, Host], tiny_model: Path, task_folder: Path, tmp_path: Path, how: str
) -> None:
    """The other one ends within a minute and says why; nothing is half written; the restart goes on."""
    for out in (tmp_path / "one", tmp_path / "two"):
        out.mkdir()
        command = evaluation(
            out, task_folder, "self_consistency",
            f"base=hf-fast,pretrained={tiny_model},dtype=float64,candidates=200",
            "calib_toy_generate", "--use_cache", str(out / "cache"),
        )  # fmt: skip
        (out / "commands.json").write_text(json.dumps([command]))
    out = tmp_path / "two"
    running = [launched(host, number, hosts[0], out) for number, host in enumerate(hosts)]
    deadline = time.monotonic() + 3 * MINUTE
    while "257 to 512 of" not in (out / "log0").read_text():
        assert time.monotonic() < deadline and running[0].poll() is None, (
            out / "log0"
        ).read_text()[-3000:]
        time.sleep(0.5)
    time.sleep(2)
    getattr(hosts[1], how)()
    assert running[0].wait(timeout=MINUTE) != 0
    hosts[1].die()
    running[1].wait(timeout=MINUTE)
    hosts[1].mend()
    log = (out / "log0").read_text()
    assert "has not been heard of for 30 seconds, so this one ends too" in log
    assert not list(out.rglob("results_*")) and not list(out.rglob("samples_*"))
    both(hosts, out)
    alone(tmp_path / "one")
    same(tmp_path / "one" / "self_consistency", out / "self_consistency")


SERVER = """
import sys, time
sys.path.insert(0, {tests!r})
from fake_api import FakeApi

class Slow(FakeApi):
    def serve(self, payload):
        time.sleep(0.2)
        return super().serve(payload)

api = Slow()
api.server.server_close()
type(api.server)(("0.0.0.0", 8099), api.server.RequestHandlerClass).serve_forever()
"""


def test_a_cable_that_is_out_for_twenty_seconds(hosts: tuple[Host, Host], tmp_path: Path) -> None:
    """A server on the other host: no document of 500 is lost, and none of its answers is another."""
    client, host = hosts
    rows = [{"question": f"What is item {i} of test?", "answer": "none"} for i in range(500)]
    (tmp_path / "many.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "many.yaml").write_text(
        f"task: many\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {tmp_path}/many.json}}}}\n"
        "output_type: generate_until\ntest_split: test\ndoc_to_text: question\ndoc_to_target: answer\n"
        "generation_kwargs: {until: ['.']}\n"
        "metric_list:\n  - {metric: exact_match, aggregation: mean, higher_is_better: true}\n"
    )
    serving = host.start(
        [sys.executable, "-c", SERVER.format(tests=str(TESTS))], tmp_path / "server.log"
    )
    time.sleep(10)
    found = {}
    for name in ("whole", "cut"):
        command = [
            BIN / "lm_eval", "run", "--model", "p_true", "--model_args",
            f"base=local-chat-completions,model=m,base_url=http://{host.address}:8099/v1/chat/completions,"
            "num_concurrent=8",
            "--tasks", "calib_many", "--include_path", tmp_path, "--apply_chat_template", "--log_samples",
            "--output_path", tmp_path / name,
        ]  # fmt: skip
        running = client.start(command, tmp_path / f"{name}.log")
        if name == "cut":
            while "p_true: answering" not in (tmp_path / "cut.log").read_text():
                assert running.poll() is None
                time.sleep(0.2)
            time.sleep(3)
            host.cut()
            time.sleep(20)
            assert running.poll() is None
            host.mend()
        assert running.wait(timeout=5 * MINUTE) == 0, (tmp_path / f"{name}.log").read_text()[-3000:]
        found[name] = told(tmp_path / name)[1]
    host.die()
    serving.wait(timeout=MINUTE)
    assert len(found["cut"]) == 500 and found["cut"] == found["whole"]
