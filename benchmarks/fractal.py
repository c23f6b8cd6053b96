"""Scores of sentences from labels of responses: each loss, pseudo-labels, and what labels of sentences give.

    python benchmarks/fractal.py                      # made data, whose sentence labels are known
    python benchmarks/fractal.py --data FOLDER        # real sets, laid out like the hub
    python benchmarks/fractal.py --data FOLDER --preceding    # each sentence with those before it
    python benchmarks/fractal.py --data FOLDER --encoder LM --in_context  # a language model's states
    python benchmarks/fractal.py --cost               # training on 10,000 responses

Documents are parted anew for each seed: 30 % are scored, 15 % judge the training, 55 % are
learned from. Figures are means over seeds with 95 % t-intervals; AUC is pooled over sentences, and
"within" is that among responses that hold a wrong sentence (MIN) or an answer (MAX) alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import machine_facts, markdown_table
from fractal_data import REAL, Set, made, real
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from lm_eval_calibration.fractal.bags import BagMaterial, Bags
from lm_eval_calibration.fractal.encoders import DEFAULT, Encoder
from lm_eval_calibration.fractal.judging import log_odds
from lm_eval_calibration.fractal.losses import Weights
from lm_eval_calibration.fractal.reading import SentenceReading
from lm_eval_calibration.fractal.settings import FractalSettings
from lm_eval_calibration.fractal.training import fit, train
from lm_eval_calibration.predictions import Bools, Floats

BAG = "bag loss, hard"
BASELINE, OURS, SUPERVISED = BAG, "FRACTAL", "labels of sentences"
Scores = dict[str, Floats]


def methods(s: Set, learn: BagMaterial, judge: BagMaterial, test: Bags, seed: int) -> Scores:
    """Log-odds (or a score of that order) of the test sentences, by method."""
    found: Scores = {"cosine to the question": test.cosine.double().numpy()}

    def settings(form: str, weights: Weights | None = None) -> FractalSettings:
        return FractalSettings(aggregate=s.aggregate, form=form, weights=weights, interaction=True)

    def scores(network: torch.nn.Module) -> Floats:
        return log_odds(network, test).double().numpy()  # type: ignore[arg-type]

    def by_sentences(part: BagMaterial, copied: bool) -> BagMaterial:
        labels = part.bags.labels[part.bags.owner] if copied else part.bags.sentence_labels
        return BagMaterial(part.bags, sentence_labels=labels)

    if s.pairs is None:
        copies = fit(by_sentences(learn, True), judge, settings("hard"), Weights(), seed)
        found["response's label copied"] = scores(copies.network)
    for name, form, weights in (
        (BAG, "hard", Weights()),
        ("bag loss, product", "product", Weights()),
        ("+ cosine prior", "product", Weights(0.8, 0.2, 0.0)),
        ("+ correlation prior", "product", Weights(0.8, 0.0, 0.2)),
    ):
        if s.aggregate != "avg" or form == "hard" or weights != Weights():
            found[name] = scores(fit(learn, judge, settings(form, weights), weights, seed).network)
    trained = train(learn, judge, settings("product"), seed=seed)
    found["priors, weights chosen"] = scores(trained.stages[0].network)
    if len(trained.stages) > 1:
        found["+ pseudo-labels"] = scores(trained.stages[1].network)
    kept = min(trained.stages, key=lambda stage: stage.loss)
    found[OURS] = scores(kept.network)
    bound = fit(
        by_sentences(learn, False), by_sentences(judge, False), settings("hard"), Weights(), seed
    )
    found[SUPERVISED] = scores(bound.network)
    return found


def parted(s: Set, seed: int) -> tuple[BagMaterial, BagMaterial, Bags]:
    """To learn from, to judge by, and to score."""
    documents, number = np.unique(s.bags.documents, return_inverse=True)
    place = np.random.default_rng(seed).permutation(len(documents))[number] / len(documents)
    whole = BagMaterial(s.bags, s.pairs)
    learn, judge, test = (
        np.flatnonzero(rows)
        for rows in (place >= 0.45, (place >= 0.3) & (place < 0.45), place < 0.3)
    )
    return whole.part(learn), whole.part(judge), s.bags.take(test)


def auc(scores: Floats, test: Bags, rows: Bools | None = None) -> float:
    """Of sentences with known labels."""
    known = ~np.isnan(test.sentence_labels)
    if rows is not None:
        known &= rows
    return float(roc_auc_score(test.sentence_labels[known] > 0.5, scores[known]))


def table(make: Callable[[int], Set], seeds: int) -> str:
    """A row for each method, and the share of the gap that FRACTAL closes."""
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(seeds):
        s = make(seed)
        learn, judge, test = parted(s, seed)
        mixed = {"min": 0.0, "max": 1.0}.get(s.aggregate)
        inside = None if mixed is None else (test.labels == mixed)[test.owner]
        for name, scores in methods(s, learn, judge, test, seed).items():
            within = np.nan if inside is None else auc(scores, test, inside)
            found.setdefault(name, []).append((auc(scores, test), within))
    rows = [
        (name, *(mean_and_interval(np.array(values)[:, k]) for k in (0, 1)))
        for name, values in found.items()
    ]
    text = markdown_table(["trained on", f"AUC, {seeds} seeds", "within"], rows)
    first, ours, bound = (np.array(found[n])[:, 0] for n in (BASELINE, OURS, SUPERVISED))
    share = (ours.mean() - first.mean()) / (bound.mean() - first.mean())
    gain = mean_and_interval(ours - first)
    return f"{text}\n\nFRACTAL less bag loss: {gain}; share of the gap to sentence labels: {share:.0%}."


def mean_and_interval(values: Floats) -> str:
    """A mean with its 95 % t-interval."""
    if np.isnan(values).all():
        return "-"
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ± {half:.3f}"


def cost() -> str:
    """Wall time of a whole `train` on 10,000 responses of 384 dimensions."""
    s = made(0, count=10_000, size=384)
    judging = np.arange(len(s.bags)) % 7 == 0  # as `lm-calib fit fractal` parts them
    whole = BagMaterial(s.bags)
    learn, judge = (whole.part(np.flatnonzero(rows)) for rows in (~judging, judging))
    started = time.perf_counter()
    trained = train(learn, judge, FractalSettings(interaction=True, form="product"))
    took = time.perf_counter() - started
    epochs = ", ".join(str(stage.epochs) for stage in trained.stages)
    sentences = len(s.bags.sentences)
    return (
        f"10,000 responses of {sentences:,} sentences, {len(trained.tried)} weights tried on "
        f"{FractalSettings().search_size:,}, then {epochs} epochs: {took:.0f} s on "
        f"{torch.get_num_threads()} threads."
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", default=",".join(REAL))
    parser.add_argument("--encoder", default=DEFAULT)
    parser.add_argument("--preceding", action="store_true")
    parser.add_argument("--in_context", action="store_true")
    parser.add_argument("--store", type=Path, default=Path("out/embeddings"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--limit", type=int, help="documents of each set, drawn at random")
    parser.add_argument("--cost", action="store_true")
    given = parser.parse_args()
    print(machine_facts("torch", "scikit-learn"), end="\n\n")
    if given.cost:
        print(cost())
    elif given.data is None:
        print(table(made, given.seeds))
    else:
        encoder = Encoder(given.encoder, given.store)
        reading = SentenceReading(
            given.encoder, preceding=given.preceding, in_context=given.in_context
        )
        for name in given.sets.split(","):
            loaded = real(name, given.data, encoder, reading, given.limit)
            bags = loaded.bags
            known = bags.sentence_labels[~np.isnan(bags.sentence_labels)]
            print(
                f"\n### {name} ({loaded.aggregate})\n\n{len(bags):,} responses, "
                f"{len(bags.sentences):,} sentences, {known.mean():.1%} of the {len(known):,} "
                "labelled ones right.\n"
            )
            print(table(lambda _, s=loaded: s, given.seeds), flush=True)


if __name__ == "__main__":
    main()
