"""Training: what it learns, what it repeats, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, roc_auc_score

from lm_eval_calibration.calibrators import Training
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fitting.fractal import CALIBRATORS, of_sentences
from lm_eval_calibration.fractal import Bags, FractalSettings, Pairs, SentenceScorer, train
from lm_eval_calibration.fractal.bags import BagMaterial, batch
from lm_eval_calibration.fractal.judging import (
    beliefs,
    log_odds,
    logistic_losses,
    most_regularised,
)
from lm_eval_calibration.fractal.losses import Weights
from lm_eval_calibration.fractal.reading import SentenceReading
from lm_eval_calibration.fractal.scorer import calibrated
from lm_eval_calibration.fractal.settings import CANDIDATES
from lm_eval_calibration.fractal.training import fit, implied

QUICK = FractalSettings(
    weights=Weights(1.0, 0.0, 0.0), hidden=32, learning_rate=1e-2, form="product"
)


def made(count: int = 300, seed: int = 0, kind: str = "min") -> Bags:
    """Sentences are right on one side of a plane."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, count)
    offsets = np.r_[0, np.cumsum(sizes)]
    x = rng.normal(size=(offsets[-1], 8)).astype(np.float32)
    right = (x[:, 0] > -0.7).astype(float)
    function = {"min": np.minimum.reduceat, "max": np.maximum.reduceat}.get(kind)
    if function is None:
        labels = np.add.reduceat(right, offsets[:-1]) / sizes
    else:
        labels = function(right, offsets[:-1])
    queries = rng.normal(size=(count, 8)).astype(np.float32)
    documents = np.arange(count, dtype=np.uint64)
    return Bags(x, queries, offsets, labels, right, documents=documents)


def auc(network: torch.nn.Module, bags: Bags) -> float:
    z = log_odds(network, bags).numpy()  # type: ignore[arg-type]
    return float(roc_auc_score(bags.sentence_labels, z))


@pytest.mark.parametrize("kind", ["min", "max", "avg"])
def test_sentences_are_learned_from_responses(kind: str) -> None:
    learn, judge, test = (BagMaterial(made(seed=seed, kind=kind)) for seed in range(3))
    found = train(learn, judge, replace(QUICK, aggregate=kind))
    assert len(found.stages) == 2
    assert all(auc(stage.network, test.bags) > 0.85 for stage in found.stages)


def test_preferences() -> None:
    learn, judge = (made(seed=seed, kind="avg") for seed in (0, 1))

    def pairs(bags: Bags) -> Pairs:
        first, second = np.arange(0, 300, 2), np.arange(1, 300, 2)
        unequal = bags.labels[first] != bags.labels[second]
        first, second = first[unequal], second[unequal]
        return Pairs(first, second, (bags.labels[second] > bags.labels[first]).astype(float))

    settings = replace(QUICK, aggregate="avg")
    unlabelled = replace(learn, labels=np.full(300, np.nan))
    found = train(BagMaterial(unlabelled, pairs(learn)), BagMaterial(judge, pairs(judge)), settings)
    assert len(found.stages) == 1, "there are no pseudo-labels of preferences"
    assert auc(found.stages[0].network, made(seed=2)) > 0.7  # of some 120 pairs


def test_the_same_seed_gives_the_same_network() -> None:
    learn, judge = BagMaterial(made(60)), BagMaterial(made(40, seed=1))
    before = torch.random.get_rng_state()
    one, two = (fit(learn, judge, QUICK, Weights(), 3).network for _ in range(2))
    other = fit(learn, judge, QUICK, Weights(), 4).network
    assert torch.equal(log_odds(one, judge.bags), log_odds(two, judge.bags))
    assert not torch.equal(log_odds(one, judge.bags), log_odds(other, judge.bags))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_weights_are_chosen_among_candidates() -> None:
    settings = replace(QUICK, weights=None, epochs=2, search_size=50)
    found = train(BagMaterial(made(80)), BagMaterial(made(40, seed=1)), settings)
    assert found.weights in CANDIDATES and set(found.tried) == set(CANDIDATES)


def test_the_one_standard_error_rule() -> None:
    plain, some, much = Weights(), Weights(0.8, 0.2, 0.0), Weights(0.5, 0.5, 0.0)
    noise = np.tile([-0.1, 0.1], 50)
    base = np.full(100, 0.6)
    assert most_regularised({plain: base, much: base + noise + 0.005}) == much
    assert most_regularised({plain: base, some: base + 0.001, much: base + 0.1}) == plain
    assert most_regularised({plain: base, some: base, much: base + 0.1 + noise}) == some


def test_a_logistic_curve_takes_the_scale_away() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=400)
    y = (rng.random(400) < 1 / (1 + np.exp(-2 * z))).astype(float)
    plain = logistic_losses(z, y, offset=True)
    moved = logistic_losses(0.01 * z + 3, y, offset=True)
    assert plain.mean() == pytest.approx(moved.mean(), rel=0.05)
    assert plain.mean() < 0.6
    assert logistic_losses(z, y * 0, offset=True).sum() == 0
    sure = logistic_losses(1e4 * z, (z > 0).astype(float), offset=True)
    assert np.isfinite(sure).all() and sure.mean() < 0.1


def test_pseudo_labels_keep_to_the_responses() -> None:
    bags = made(100)
    network = fit(BagMaterial(bags), BagMaterial(made(40, seed=1)), QUICK, Weights(), 0).network
    labels = implied(network, bags, "min")
    assert np.array_equal(np.minimum.reduceat(labels, bags.offsets[:-1]), bags.labels)


def test_batches_and_padding() -> None:
    bags = made(20)
    network = fit(
        BagMaterial(bags), BagMaterial(bags), replace(QUICK, epochs=1), Weights(), 0
    ).network
    whole = beliefs(log_odds(network, bags), bags, QUICK)
    parts = beliefs(log_odds(network, bags), bags, QUICK, at_once=3)
    alone = [bags.take(np.array([i])) for i in range(20)]
    single = torch.cat([beliefs(log_odds(network, b), b, QUICK).log_right for b in alone])
    assert torch.allclose(whole.log_right, parts.log_right)
    assert torch.allclose(whole.log_right, single, atol=1e-5)
    some = batch(bags, [4, 2])
    assert some.mask.sum() == bags.sizes[[4, 2]].sum()
    assert torch.equal(some.padded(torch.from_numpy(bags.sentences)[some.rows])[0, 0],
                       torch.from_numpy(bags.sentences[bags.offsets[4]]))  # fmt: skip


def test_correlations_are_pearsons() -> None:
    bags = made(5)
    some = batch(bags, [int(bags.sizes.argmax())])
    rows = bags.sentences[some.rows.numpy()]
    assert np.allclose(some.correlation[0].numpy(), np.corrcoef(rows), atol=1e-5)


def test_nothing_to_learn_from() -> None:
    bags = made(10)
    unknown = replace(bags, labels=np.full(10, np.nan))
    with pytest.raises(InvalidInputError, match="`learn` must have labelled responses"):
        train(BagMaterial(unknown), BagMaterial(bags), QUICK)
    with pytest.raises(InvalidInputError, match="`judge`"):
        train(BagMaterial(bags), BagMaterial(bags.take(np.array([], dtype=int))), QUICK)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"aggregate": "median"}, "aggregate"),
        ({"form": "noisy"}, "form"),
        ({"bag_loss": "mae"}, "bag_loss"),
        ({"weights": Weights(0.5, 0.1, 0.1)}, "weights"),
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": float("nan")}, "learning_rate"),
    ],
)
def test_settings_that_cannot_be(change: dict, named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        FractalSettings(**change)


def test_bags_that_cannot_be() -> None:
    b = made(4)
    for change, named in (
        ({"offsets": np.array([0, 1])}, "offsets"),
        ({"labels": np.zeros(3)}, "labels"),
        ({"queries": np.zeros((4, 7), np.float32)}, "queries"),
        ({"sentences": np.full_like(b.sentences, np.nan)}, "sentences"),
    ):
        with pytest.raises(InvalidInputError, match=named):
            replace(b, **change)


@pytest.mark.parametrize("method", CALIBRATORS)
def test_scores_of_sentences_are_calibrated_where_labels_are_known(method: str) -> None:
    bags = made(60)
    stage = fit(BagMaterial(bags), BagMaterial(bags), QUICK, Weights(), 0)
    raw = SentenceScorer(stage.network, QUICK, SentenceReading("encoder"), Training()).scores(bags)
    found = of_sentences(stage, bags, method)
    assert found is not None and found.method == method
    mapped = calibrated(raw, found)
    assert len(np.unique(mapped)) > 1
    assert brier_score_loss(bags.sentence_labels, mapped) <= brier_score_loss(
        bags.sentence_labels, raw
    )
    order = np.argsort(raw)
    assert method == "histogram" or (np.diff(mapped[order]) >= 0).all()
    unknown = replace(bags, sentence_labels=np.full_like(bags.sentence_labels, np.nan))
    assert of_sentences(stage, unknown, method) is None
    against = replace(bags, sentence_labels=1 - bags.sentence_labels)
    assert method not in ("platt", "isotonic") or of_sentences(stage, against, method) is None


@pytest.mark.parametrize("interaction", [False, True])
@pytest.mark.parametrize("method", ["", *CALIBRATORS])
def test_a_scorer_survives_its_folder(tmp_path: Path, method: str, interaction: bool) -> None:
    bags = made(60)
    settings = replace(QUICK, epochs=1, interaction=interaction)
    stage = fit(BagMaterial(bags), BagMaterial(bags), settings, Weights(), 0)
    training = Training({"toy": 60}, bags.documents, "model")
    calibrator = of_sentences(stage, bags, method) if method else None
    scorer = SentenceScorer(
        stage.network, settings, SentenceReading("encoder"), training, calibrator
    )
    scorer.save_pretrained(tmp_path)
    read = SentenceScorer.from_pretrained(tmp_path)
    assert np.array_equal(read.scores(bags), scorer.scores(bags))
    assert np.array_equal(read.confidences(bags), scorer.confidences(bags))
    assert (read.calibrator is None) == (calibrator is None)
    assert read.settings == settings and read.reading == SentenceReading("encoder")
    assert read.training.seen(bags.documents).all()
    assert ((read.scores(bags) >= 0) & (read.scores(bags) <= 1)).all()
    with pytest.raises(InvalidInputError, match="embeddings of 16 numbers"):
        read.scores(replace(bags, preceding=bags.sentences))


def test_damaged_scorers(tmp_path: Path) -> None:
    bags = made(30)
    network = fit(BagMaterial(bags), BagMaterial(bags), QUICK, Weights(), 0).network
    scorer = SentenceScorer(network, QUICK, SentenceReading("encoder"), Training())
    scorer.save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text()
    for old, new, named in (
        ('"hidden": 32', '"hidden": 64', "do not fit"),
        ('"method": "fractal"', '"method": "platt"', "a platt's"),
        ('"encoder"', '"decoder"', "cannot be read|can be read"),
    ):
        (tmp_path / "config.json").write_text(config.replace(old, new))
        with pytest.raises(InvalidInputError, match=named):
            SentenceScorer.from_pretrained(tmp_path)
