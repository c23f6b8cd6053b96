"""Coverage-guided fuzzing of the parsers, by atheris.

    python tests/fuzz/guided.py replies|envelopes|samples|results -runs=100000

What follows the name goes to libFuzzer. A finding ends it with the traceback and leaves the input in a file;
`tests/fuzz` then gets it as a case.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

with atheris.instrument_imports(include=["lm_eval_calibration"]):
    from logged_lines import NAME
    from seeds import CHOICES, ENVELOPE, GENERATED, LABELS, REPLIES, RESULTS, lines

    from lm_eval_calibration.envelope import Envelope
    from lm_eval_calibration.errors import CalibrationError
    from lm_eval_calibration.logs import read_runs, read_samples
    from lm_eval_calibration.verbal.parsing import read_distribution

FILE = Path(tempfile.mkdtemp()) / NAME


def replies(content: bytes) -> None:
    """Every reply is valid, repaired with a note, or invalid."""
    found = read_distribution(content.decode(errors="replace"), LABELS)
    assert (found.probabilities is None) == (found.status == "invalid")
    if found.probabilities is not None:
        assert abs(sum(found.probabilities) - 1) < 1e-6 and min(found.probabilities) >= 0


def envelopes(content: bytes) -> None:
    """A whole envelope that survives being written, a plain answer, or our own error."""
    found = Envelope.from_text(content.decode(errors="replace"))
    assert found is None or Envelope.from_text(found.to_text()) == found


def samples(content: bytes) -> None:
    """Samples, or our own error."""
    FILE.write_bytes(content)
    read_samples(FILE)


def results(content: bytes) -> None:
    """A run with groups of its tasks, or our own error."""
    FILE.write_bytes(lines(CHOICES))
    name = FILE.name.replace("samples_toy", "results").removesuffix("l")
    FILE.with_name(name).write_bytes(content)
    (run,), _ = read_runs([FILE])
    assert all(set(tasks) <= set(run.samples) for tasks in run.groups.values())


TARGETS: dict[str, Callable[[bytes], None]] = {
    t.__name__: t for t in (replies, envelopes, samples, results)
}

SEEDS = {
    "replies": [reply.encode() for reply in REPLIES],
    "envelopes": [ENVELOPE.to_text().encode()],
    "samples": [lines(CHOICES[:2]), lines(GENERATED[:2])],
    "results": [lines([RESULTS])],
}


def corpus(name: str) -> str:
    """A folder with what a target starts from."""
    folder = Path(tempfile.mkdtemp())
    for i, seed in enumerate(SEEDS[name]):
        (folder / str(i)).write_bytes(seed)
    return str(folder)


def main() -> None:
    """Fuzz the target that is named."""
    name = sys.argv.pop(1)
    target = TARGETS[name]
    sys.argv.append(corpus(name))

    def one(content: bytes) -> None:
        try:
            target(content)
        except CalibrationError as error:
            if not str(error):
                raise AssertionError("an error without a message") from error

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
