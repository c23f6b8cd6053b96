"""Beliefs in generated answers beside uqlm and lm-polygraph: the same samples, time and AUROC.

    lm_eval --model beliefs --model_args base=hf,pretrained=X --tasks calib_triviaqa --log_samples --output_path runs/all
    python benchmarks/uncertainty.py runs/all        # where uqlm and lm-polygraph are installed

The libraries are given the clusters that the run logged, so that what is compared is what they make of them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from common import machine_facts, markdown_table
from sklearn.metrics import roc_auc_score

from lm_eval_calibration.metrics.agreement import agreement

REPEATS = 5
Pool = tuple[list[int], list[tuple[float, float]], bool]
"""Clusters of the answer and its samples, (log-likelihood, tokens) of each sample, and the verdict."""


def pools(folder: Path) -> list[Pool]:
    """Of every logged answer."""
    found = []
    for path in sorted(folder.rglob("samples_*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            sample = json.loads(line)
            said = sample["envelopes"]
            if not said["answered"] or not said["weights"]:
                continue
            answer, *_ = [sample["filtered_resps"][0]]
            texts = [str(answer), *said["filtered"]]
            names = {text: i for i, text in enumerate(dict.fromkeys(texts))}
            clusters = said["clusters"] or [names[text] for text in texts]
            weights = [(float(total), float(count) or 1.0) for total, count in said["weights"]]
            found.append((clusters, weights, bool(sample["auroc"][1])))
    return found


def members(clusters: Sequence[int]) -> list[list[int]]:
    """The samples of each cluster."""
    return [[i for i, c in enumerate(clusters) if c == name] for name in sorted(set(clusters))]


def ours(found: Sequence[Pool]) -> dict[str, list[float]]:
    """All beliefs of all pools."""
    made = [agreement(clusters, weights) for clusters, weights, _ in found]
    return {name: [each[name] for each in made] for name in made[0]}


def polygraph(found: Sequence[Pool]) -> dict[str, list[float]]:
    """lm-polygraph's semantic entropies, with a minus."""
    from lm_polygraph.estimators.semantic_entropy import SemanticEntropy

    parts = [members(clusters[1:]) for clusters, *_ in found]
    stats = {
        "sample_texts": [[str(i) for i, _ in enumerate(w)] for _, w, _ in found],
        "sample_log_probs": [[total for total, _ in w] for _, w, _ in found],
        "semantic_classes_entail": {
            "class_to_sample": parts,
            "sample_to_class": [{i: k for k, m in enumerate(p) for i in m} for p in parts],
        },
    }
    return {
        "discrete_semantic_entropy": list(-SemanticEntropy(class_probability_estimation="frequency")(stats)),
        "sequence_semantic_entropy": list(-SemanticEntropy()(stats)),
    }  # fmt: skip


def uqlm(found: Sequence[Pool]) -> dict[str, list[float]]:
    """Uqlm's semantic entropies, with a minus."""
    from uqlm.nli import entropy_utils as entropies

    made: dict[str, list[float]] = {"discrete_semantic_entropy": [], "semantic_entropy": []}
    for clusters, weights, _ in found:
        parts = members(clusters[1:])
        even = [1 / len(weights)] * len(weights)
        by_tokens = [float(np.exp(total / count)) for total, count in weights]
        for name, shares in (("discrete_semantic_entropy", even), ("semantic_entropy", by_tokens)):
            masses = entropies.compute_cluster_probabilities(shares, parts)
            made[name].append(-entropies.compute_semantic_entropy(masses))
    return made


def rows(found: Sequence[Pool]) -> Iterator[list[str]]:
    """A line for each library's belief."""
    right = [verdict for *_, verdict in found]
    known: dict[str, list[float]] = {}
    contests: dict[str, Callable[[Any], dict[str, list[float]]]] = {
        "ours": ours, "lm-polygraph": polygraph, "uqlm": uqlm,
    }  # fmt: skip
    for library, compute in contests.items():
        try:
            values = compute(found)
        except ImportError:
            continue
        took = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            compute(found)
            took.append(time.perf_counter() - started)
        for name, column in values.items():
            apart = np.abs(np.array(column) - known[name]).max() if name in known else 0.0
            known.setdefault(name, column)
            auroc = f"{roc_auc_score(right, column):.4f}"
            yield [library, name, auroc, f"{apart:.0e}", f"{1e6 * median(took) / len(found):.0f}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    found = pools(parser.parse_args().run)
    print(machine_facts("uqlm", "lm-polygraph"), end="\n\n")
    print(f"{len(found):,} answers, {len(found[0][1])} samples each.\n")
    heads = ["library", "belief", "AUROC", "largest difference", "µs an answer, all its beliefs"]
    print(markdown_table(heads, list(rows(found))))


if __name__ == "__main__":
    main()
