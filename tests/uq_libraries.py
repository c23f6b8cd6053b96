"""What uqlm and lm-polygraph say of made samples: run where they are installed, it prints the fixture.

python tests/uq_libraries.py > tests/metrics/uq_libraries.json
"""

from __future__ import annotations

import json
import random
from importlib.metadata import version
from typing import Any


def cases() -> list[dict[str, Any]]:
    """Of each answer the likeliest tokens in its places; of each of its samples tokens and a cluster."""
    draw = random.Random(0)

    def place() -> list[float]:
        weights = [draw.random() ** 3 for _ in range(5)]
        total = sum(weights) * (1 + draw.random() / 4)
        return sorted((w / total for w in weights), reverse=True)

    def text(length: int) -> list[list[float]]:
        return [place() for _ in range(length)]

    return [
        {
            "tops": text(draw.randrange(1, 9)),
            "samples": [[draw.uniform(-3, 0) for _ in range(draw.randrange(1, 7))] for _ in range(6)],
            "clusters": [draw.randrange(1 + n % 4) for _ in range(6)],
            "confidence": draw.random(),
            "correct": int(draw.random() < 0.5),
        }
        for n in range(12)
    ]  # fmt: skip


def of_polygraph(made: list[dict[str, Any]]) -> dict[str, Any]:
    """Higher is surer: uncertainties with a minus."""
    import numpy as np
    from lm_polygraph.estimators.max_probability import MaximumSequenceProbability
    from lm_polygraph.estimators.perplexity import Perplexity
    from lm_polygraph.estimators.semantic_entropy import SemanticEntropy
    from lm_polygraph.ue_metrics.pred_rej_area import PredictionRejectionArea

    logs = [np.log([top[0] for top in case["tops"]]) for case in made]
    classes = {"class_to_sample": [], "sample_to_class": []}
    for case in made:
        names = sorted(set(case["clusters"]))
        members = [[i for i, c in enumerate(case["clusters"]) if c == n] for n in names]
        classes["class_to_sample"].append(members)
        classes["sample_to_class"].append({i: k for k, m in enumerate(members) for i in m})
    stats = {
        "greedy_log_likelihoods": logs,
        "sample_texts": [[str(i) for i in range(6)]] * len(made),
        "sample_log_probs": [[sum(s) for s in case["samples"]] for case in made],
        "semantic_classes_entail": classes,
    }
    found = {
        "log sequence": MaximumSequenceProbability()(stats),
        "log normalised": Perplexity()(stats),
        "discrete_semantic_entropy": SemanticEntropy(class_probability_estimation="frequency")(stats),
        "sequence_semantic_entropy": SemanticEntropy()(stats),
    }  # fmt: skip
    right, sure = [case["correct"] for case in made], [case["confidence"] for case in made]
    areas = {}
    for share in (1.0, 0.5):
        area = PredictionRejectionArea(share)
        areas[f"area_{share}"] = float(area([-c for c in sure], right))
        areas[f"best_area_{share}"] = float(area([-c for c in right], right))
    return {**{name: (-values).tolist() for name, values in found.items()}, **areas}


def of_uqlm(made: list[dict[str, Any]]) -> dict[str, Any]:
    """Their own directions."""
    import math

    from uqlm.nli import entropy_utils as entropies
    from uqlm.white_box.single_logprobs import SingleLogprobsScorer
    from uqlm.white_box.top_logprobs import TopLogprobsScorer

    told = [
        [
            {
                "token": "x", "logprob": math.log(top[0]),
                "top_logprobs": [{"token": str(i), "logprob": math.log(p)} for i, p in enumerate(top)],
            }
            for top in case["tops"]
        ]
        for case in made
    ]  # fmt: skip
    single = SingleLogprobsScorer()
    found: dict[str, Any] = dict(single.evaluate(told))
    found["probability_margin"] = TopLogprobsScorer().evaluate(told)["probability_margin"]
    found["sequence"] = [entropies.length_norm_sequence_prob(t, False) for t in told]
    for name, weighted in (("discrete", False), ("tokenprob", True)):
        found[name] = []
        for case in made:
            samples = [[{"logprob": p} for p in s] for s in case["samples"]]
            by_tokens, even = entropies.compute_response_probabilities(samples, len(samples))
            names = sorted(set(case["clusters"]))
            members = [[i for i, c in enumerate(case["clusters"]) if c == n] for n in names]
            masses = entropies.compute_cluster_probabilities(
                by_tokens if weighted else even, members
            )
            found[name].append(entropies.compute_semantic_entropy(masses))
    return {name: [float(v) for v in values] for name, values in found.items()}


if __name__ == "__main__":
    made = cases()
    print(
        json.dumps(
            {
                "versions": {name: version(name) for name in ("uqlm", "lm-polygraph")},
                "cases": made,
                "lm-polygraph": of_polygraph(made),
                "uqlm": of_uqlm(made),
            },
            indent=1,
        )
    )
