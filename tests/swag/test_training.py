"""Training through packed passes: the loss, the schedule, the snapshots, and kills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from kinds import kinds

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.scoring.packed import Packed
from lm_eval_calibration.swag import PRESETS, SwagSettings, lora, training
from lm_eval_calibration.swag.questions import cross_entropy, evaluate, option_scores
from lm_eval_calibration.swag.schedule import learning_rates, optimizer_of, steps
from lm_eval_calibration.swag.training import TrainedMember, train


def rates(settings: SwagSettings, documents: int) -> list[float]:
    """The learning rate of every step."""
    plan = steps(settings, documents)
    optimizer = optimizer_of([torch.nn.Parameter(torch.zeros(2))], settings)
    schedule = learning_rates(optimizer, settings, plan)
    found = []
    for _ in range(plan.total):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_the_default_schedule() -> None:
    settings = replace(PRESETS["default"], epochs=2)
    plan, found = steps(settings, 320), rates(settings, 320)
    assert (plan.epoch, plan.start, plan.total) == (40, 80, 120)
    assert plan.snapshots == tuple(range(82, 121, 2))
    assert found[0] == 0 and max(found) == found[4] == settings.learning_rate
    assert found[79] == pytest.approx(settings.swag_learning_rate, rel=0.02)
    assert set(found[80:]) == {settings.swag_learning_rate}


def test_the_published_schedule() -> None:
    """As the authors' code was replayed: most snapshots fall while the learning rate anneals."""
    settings = PRESETS["onal2024"]
    plan, found = steps(settings, 100 * 16), rates(settings, 100 * 16)
    assert plan.snapshots == (900, 1000, 1100, 1200, 1300, 1400)
    at = [*(found[step] for step in plan.snapshots[:-1]), found[-1]]
    assert at == pytest.approx([3.0e-4, 2.5e-4, 2.0e-4, 1.5e-4, 1.0e-4, 1.0e-4], abs=5e-6)
    assert found[799] == pytest.approx(3.55e-4, abs=1e-6)
    assert max(found) == pytest.approx(6e-4, rel=1e-3)


def test_packed_scores_and_loss(fresh: Any, learn: Any) -> None:
    """Options one at a time, with the model's own forward."""
    model = fresh()
    scores = option_scores(Packed(model, 64, 200), learn)
    assert scores.shape == (30, 4) and scores.requires_grad
    torch.testing.assert_close(scores, evaluate(Packed(model, 64), learn), atol=1e-4, rtol=1e-4)
    losses = []
    for row, question in zip(scores, learn, strict=True):
        one = []
        for context, continuation in question.options:
            logits = model(torch.tensor([[*context, *continuation]])).logits[0].log_softmax(-1)
            start = len(context) - 1
            one.append(sum(logits[start + i, token] for i, token in enumerate(continuation)))
        expected = torch.stack(one)
        torch.testing.assert_close(row[: len(one)], expected, atol=1e-4, rtol=1e-4)
        assert (row[len(one) :] == -torch.inf).all()
        losses.append(-expected.softmax(0)[list(question.gold)].sum().log())
    torch.testing.assert_close(
        cross_entropy(scores, learn), torch.stack(losses), atol=1e-4, rtol=1e-4
    )


def trained(model: Any, learn: Any, judge: Any, settings: SwagSettings, folder: Path, **more: Any):
    adapted = lora.adapt(model, settings, 0)
    return adapted, train(adapted, Packed(adapted, 64), learn, judge, settings, folder, **more)


def test_it_learns_and_takes_its_snapshots(
    fresh: Any, learn: Any, judge: Any, quick: SwagSettings, tmp_path: Path, monkeypatch: Any
) -> None:
    snapshots = []
    collect = training.Moments.collect
    monkeypatch.setattr(
        training.Moments,
        "collect",
        lambda self, weights: snapshots.append(weights) or collect(self, weights),
    )
    model = fresh()
    before = {n: p.clone() for n, p in model.named_parameters()}
    first = float(cross_entropy(evaluate(Packed(model, 64), learn), learn).mean())
    done: list[int] = []
    adapted, found = trained(model, learn, judge, quick, tmp_path, progress=done.append)
    last = float(cross_entropy(evaluate(Packed(adapted, 64), learn), learn).mean())
    assert last < 0.7 * first
    assert sum(done) == 40 and found.moments.count == len(snapshots) == 9
    flat = torch.stack([found.moments.flatten(s) for s in snapshots])
    torch.testing.assert_close(found.moments.mean, flat.mean(0), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(
        found.moments.variance, flat.var(0, correction=0), atol=1e-7, rtol=1e-3
    )
    validation = [entry["eval_loss"] for entry in found.log if "eval_loss" in entry]
    assert len(validation) == 5 and found.best_loss == min(validation)
    assert any(entry.get("learning_rate") == quick.swag_learning_rate for entry in found.log)
    lora.put(adapted, found.best)
    scores = evaluate(Packed(adapted, 64), judge)
    assert float(cross_entropy(scores, judge).mean()) == pytest.approx(found.best_loss, abs=1e-5)
    for name, parameter in adapted.unload().named_parameters():
        assert torch.equal(parameter, before[name])  # the base is as it was


def test_bfloat16_bases_have_float32_posteriors(
    fresh: Any, learn: Any, judge: Any, quick: SwagSettings, tmp_path: Path
) -> None:
    adapted, found = trained(fresh(torch.bfloat16), learn, judge, quick, tmp_path)
    assert {p.dtype for p in lora.parameters(adapted).values()} == {torch.float32}
    assert found.moments.mean.dtype == torch.float32 and (found.moments.variance > 0).any()


class KilledError(Exception):
    """In the place of SIGKILL."""


@pytest.mark.parametrize("reload_best", kinds([False, True], [True]))
def test_a_training_that_was_killed_ends_at_the_same_posterior(
    fresh: Any, learn: Any, judge: Any, quick: SwagSettings, tmp_path: Path, monkeypatch: Any,
    reload_best: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(training, "SAVE_STEPS", 3)
    settings = replace(quick, reload_best=reload_best)
    whole = trained(fresh(), learn, judge, settings, tmp_path / "whole")[1]

    def until(step: int) -> Callable[[int], None]:
        done = [0]

        def progress(count: int) -> None:
            done[0] += count
            if done[0] == step:
                raise KilledError

        return progress

    for step in (5, 14, 17, 29, 39):
        with pytest.raises(KilledError):
            trained(fresh(), learn, judge, settings, tmp_path / "cut", progress=until(step))
    again = trained(fresh(), learn, judge, settings, tmp_path / "cut")[1]
    same_posterior(whole, again)


def same_posterior(a: TrainedMember, b: TrainedMember) -> None:
    for name, value in a.moments.state().items():
        assert torch.equal(value, b.moments.state()[name]), name
    assert a.best_loss == b.best_loss
    assert all(torch.equal(a.best[name], b.best[name]) for name in a.best)


def test_half_a_checkpoint_is_passed_over(
    fresh: Any, learn: Any, judge: Any, quick: SwagSettings, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(training, "SAVE_STEPS", 3)
    trained(fresh(), learn, judge, quick, tmp_path)
    newest = training.last_checkpoint(tmp_path)
    assert newest is not None and newest.endswith("checkpoint-40")
    (Path(newest) / training.STATE).unlink()
    other = training.last_checkpoint(tmp_path)
    assert other is not None and other.endswith("checkpoint-39")


@pytest.mark.exhaustive
def test_seeds_differ_and_repeat(
    fresh: Any, learn: Any, judge: Any, quick: SwagSettings, tmp_path: Path
) -> None:
    runs = [
        trained(fresh(), learn, judge, quick, tmp_path / str(i), seed=seed)[1]
        for i, seed in enumerate((4, 4, 5))
    ]
    same_posterior(runs[0], runs[1])
    assert not torch.equal(runs[0].moments.mean, runs[2].moments.mean)


def test_dropout_is_on_where_it_is_wanted_only(fresh: Any, judge: Any, quick: SwagSettings) -> None:
    adapted = lora.adapt(fresh(), replace(quick, lora_dropout=0.5), 0)
    adapted.eval()
    with torch.no_grad():
        for parameter in lora.parameters(adapted).values():
            parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(0))
    engine = Packed(adapted, 64)
    plain = evaluate(engine, judge)
    with lora.dropout(adapted, 1):
        a = evaluate(engine, judge)
    with lora.dropout(adapted, 1):
        b = evaluate(engine, judge)
    with lora.dropout(adapted, 2):
        c = evaluate(engine, judge)
    assert torch.equal(a, b) and not torch.equal(a, c) and not torch.equal(a, plain)
    assert torch.equal(evaluate(engine, judge), plain)


def test_what_is_refused(
    fresh: Any, learn: Any, judge: Any, quick: SwagSettings, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError, match="`rank` must be at most the number of snapshots"):
        steps(replace(quick, rank=10), 30)
    with pytest.raises(InvalidInputError, match="got 10 for 3 of them"):
        steps(replace(quick, rank=10, swag_epochs=1, snapshots_per_epoch=12, batch_size=4), 10)
    for name, value in (
        ("epochs", 0), ("rank", 1), ("learning_rate", -1.0), ("learning_rate", float("nan")),
        ("scale", -0.5), ("lora_dropout", 1.0), ("batch_size", 0), ("warmup_epochs", -1),
    ):  # fmt: skip
        with pytest.raises(InvalidInputError, match=f"`{name}` must be"):
            replace(quick, **{name: value})
    with pytest.raises(InvalidInputError, match="`--target_modules` must be names"):
        lora.adapt(fresh(), replace(quick, target_modules="no_such_layer"), 0)
    with pytest.raises(InvalidInputError, match="`judge` must be at least one document"):
        trained(fresh(), learn, [], quick, tmp_path)
    adapted = lora.adapt(fresh(), quick, 0)
    right = lora.weights(adapted)
    with pytest.raises(InvalidInputError, match="of the layers that are adapted"):
        lora.put(adapted, {**right, "other": torch.zeros(1)})
    name = next(iter(right))
    with pytest.raises(InvalidInputError, match="must be of shape"):
        lora.put(adapted, {**right, name: torch.zeros(1, 1)})
