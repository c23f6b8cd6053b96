"""Runs compared with the first of them, on the same documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lm_eval_calibration.analysis.scores import readable
from lm_eval_calibration.logs.run import Run, Scope, scopes
from lm_eval_calibration.metrics.paired import Difference, McNemar, compare, holm, mcnemar

COMPARED_METRICS = ("acc", "nll", "brier", "ece", "ace", "auroc", "aurc")
"""What a comparison tests unless it is told: each further test costs the others power."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """One run against the first one, on one task or group.

    Attributes:
        first, second: the two scopes, with the same documents in the same rows.
        differences: by metric name, second less first. For `acc` and `acc_norm` the p-value is
            McNemar's exact one, unless documents belong together.
        adjusted: (same keys) Holm's adjusted p-values, over the metrics of this comparison.
        discordant: by `acc` name, how many documents only one of the two has right.
    """

    first: Scope
    second: Scope
    differences: dict[str, Difference]
    adjusted: dict[str, float]
    discordant: dict[str, McNemar]


def compare_runs(
    runs: Sequence[Run],
    metrics: Sequence[str] | None = None,
    *,
    replicates: int,
    progress: Callable[[str], None] | None = None,
) -> list[Comparison]:
    """Compare each further run with the first, on every group and task.

    Args:
        runs: matched, see `pairing.match`.
        metrics: names, `_norm` ones included; by default `COMPARED_METRICS`.
        replicates: paired bootstrap replicates.
        progress: called with each metric's name when it is done.
    """
    first, *others = [list(scopes(run)) for run in runs]
    return [
        _compare(baseline, scope, metrics or COMPARED_METRICS, replicates, progress)
        for other in others
        for baseline, scope in zip(first, other, strict=True)
    ]


def _compare(
    first: Scope,
    second: Scope,
    names: Sequence[str],
    replicates: int,
    progress: Callable[[str], None] | None,
) -> Comparison:
    differences: dict[str, Difference] = {}
    discordant: dict[str, McNemar] = {}
    pairs = zip(readable(first, names), readable(second, names), strict=False)
    for (suffix, a, stems), (_, b, others) in pairs:
        both = [stem for stem in stems if stem in others]
        found = compare(
            a, b, both, replicates=replicates, clusters=first.clusters, progress=progress
        )
        differences |= {n + suffix: replace(d, name=n + suffix) for n, d in found.items()}
        if "acc" in found:
            exact = mcnemar(a.correct, b.correct)
            discordant["acc" + suffix] = exact
            if first.clusters is None:  # (the exact test takes documents for independent)
                differences["acc" + suffix] = replace(
                    differences["acc" + suffix], p_value=exact.p_value
                )
    ordered = {name: differences[name] for name in names if name in differences}
    adjusted = holm([d.p_value for d in ordered.values()])
    return Comparison(
        first, second, ordered, dict(zip(ordered, adjusted.tolist(), strict=True)), discordant
    )
