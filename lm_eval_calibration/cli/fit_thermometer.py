"""`lm-calib fit thermometer`: features, the table of held-out tasks, the artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import typer
from rich.table import Table

from lm_eval_calibration.calibrators.thermometer import Thermometer, ThermometerSettings
from lm_eval_calibration.calibrators.thermometer.settings import PRESETS
from lm_eval_calibration.cli.fit_words import learned_nothing
from lm_eval_calibration.cli.formats import dump, number, print_tables
from lm_eval_calibration.cli.progress import counting
from lm_eval_calibration.cli.source import say
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.files import JSON, claim_folder, stamped, write_text
from lm_eval_calibration.fitting import leave_one_out as loo
from lm_eval_calibration.fitting.free_form import FreeFormAnswering, asker
from lm_eval_calibration.fitting.sources import ModelArguments, ask
from lm_eval_calibration.fitting.task_documents import ANSWERS, Selection
from lm_eval_calibration.fitting.thermometer import (
    TaskFeatures,
    collect_all,
    documents_in,
    fit,
)
from lm_eval_calibration.logs import Run

LEFT_OUT, KEPT = "leave_one_out.json", "answers.db"
METHOD, FILES = "thermometer", {**Thermometer.files(), LEFT_OUT: JSON}
FEW_TASKS = 5
TITLES = {
    "vanilla": "vanilla",
    "ts_cv": "one temperature of the other tasks (TS-CV)",
    "daca": "agreement with its pre-trained sibling (DACA)",
    "thermometer": "THERMOMETER",
    "oracle": "oracle temperature",
    "floor": "finite-sample floor",
}


def settings(preset: str, mean: str | None) -> ThermometerSettings:
    """The hyper-parameters of a preset.

    Raises:
        InvalidInputError: an unknown preset or mean.
    """
    if preset not in PRESETS:
        raise invalid("--preset", " or ".join(PRESETS), f"`{preset}`")
    if mean is None:
        return PRESETS[preset]
    if mean == "harmonic":
        return replace(PRESETS[preset], mean="harmonic")
    if mean == "arithmetic":
        return replace(PRESETS[preset], mean="arithmetic")
    raise invalid("--mean", "harmonic or arithmetic", f"`{mean}`")


@dataclass(frozen=True)
class FreeForm:
    """That answers are learnt from, graded by a task's filter of this name, or else its first."""

    filter_name: str | None = None


def run(
    model: ModelArguments,
    selection: Selection,
    output: Path,
    store: Path,
    settings: ThermometerSettings,
    seed: int,
    held_out_seeds: Sequence[int],
    overwrite: bool,
    free_form: FreeForm | None = None,
    reference: Run | None = None,
) -> None:
    """Make or read the features, hold out each task where seeds are given, fit, save and print."""
    if free_form is None:
        selection.read()
        lm = model.create()
        asked = ask(lm, selection)
        claim_folder(output, METHOD, FILES, overwrite=overwrite)
    else:
        tasks_asked, wrapper = selection.load(ANSWERS), asker(model)
        claim_folder(output, METHOD, FILES, overwrite=overwrite)
        answering = FreeFormAnswering(selection, free_form.filter_name, store / KEPT)
        lm, asked = wrapper.base, answering.ask(wrapper, tasks_asked)
    with counting("documents", documents_in(asked)) as progress:
        tasks = collect_all(lm, asked, store, model.model_args, progress)
    if held_out_seeds:
        with counting("trainings", len(tasks) * len(held_out_seeds)) as progress:
            columns = loo.OPTIONS if free_form is None else loo.ANSWERS
            results = loo.leave_one_out(
                tasks, settings, held_out_seeds, progress, columns, reference
            )
        held_out = stamped({"held_out": [asdict(result) for result in results]})
        write_text(output / LEFT_OUT, dump(held_out) + "\n", JSON, overwrite=overwrite)
        print_tables(_held_out_tables(results, len(held_out_seeds)))
    with counting("steps", settings.steps) as progress:
        thermometer = fit(lm, asked, list(tasks.values()), settings, seed, progress)
    thermometer.save_pretrained(output, overwrite=overwrite)
    found = _temperatures(thermometer, tasks)
    print_tables([_sentence(thermometer, tasks, found)])
    count = sum(len(task.learn) for task in tasks.values())
    if told := learned_nothing(int(str(thermometer.about["step"])), found, count):
        say([told])
    elif len(tasks) < FEW_TASKS:
        say(
            [
                f"{len(tasks)} task(s) teach a thermometer little of others (the paper has dozens): --leave-one-out says how "
                "it does on tasks that it has not seen."
            ]
        )
    typer.echo(output.resolve())


def _temperatures(thermometer: Thermometer, tasks: Mapping[str, TaskFeatures]) -> dict[str, float]:
    return {
        name: thermometer.temperature(thermometer.inverse_temperatures(task.judge.hidden))
        for name, task in tasks.items()
    }


def _sentence(
    thermometer: Thermometer, tasks: Mapping[str, TaskFeatures], found: Mapping[str, float]
) -> str:
    low, high = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
    before = sum(_mean_nll(task, 1.0) for task in tasks.values()) / len(tasks)
    after = float(thermometer.about["validation_nll"]) / len(tasks)
    count = sum(len(task.learn) for task in tasks.values())
    return (
        f"Trained on {count:,} documents of {len(tasks)} task(s); best at step "
        f"{thermometer.about['step']:,}: validation NLL {before:.3f} -> {after:.3f}. Temperatures "
        f"from {found[low]:.2f} ({low}) to {found[high]:.2f} ({high})."
    )


def _mean_nll(task: TaskFeatures, temperature: float) -> float:
    return loo.mean_nll(loo.scaled(task.judge.predictions, temperature))


def _held_out_tables(results: Sequence[loo.HeldOutTask], seeds: int) -> list[Table | str]:
    summary = loo.summarise(results)
    documents = sum(r.documents for r in results)
    means = _by_metric({TITLES[method]: row for method, row in summary.items()})
    paired = _by_metric(
        {f"THERMOMETER - {TITLES[rival]}": row for rival, row in loo.differences(results).items()}
    )
    single = Table(box=None, pad_edge=False)
    methods = loo.methods_of(results)
    fitted = [m for m in methods if m not in ("vanilla", "floor")]
    short = {"ts_cv": "TS-CV", "daca": "DACA", "thermometer": "THERMOMETER", "oracle": "oracle"}
    heads = ("held-out task", "documents", "acc", *(f"T ({short[m]})" for m in fitted),
             "ece", *(f"of {short[m]}" for m in fitted), "floor")  # fmt: skip
    for i, title in enumerate(heads):
        single.add_column(title, justify="right" if i else "left")
    for r in results:
        t, ece = r.temperatures, {m: _mean(r.scores[m]["ece"]) for m in methods}
        single.add_row(
            r.task, f"{r.documents:,}", number(r.acc, 3),
            *(number(_mean(t[m]), 2) for m in fitted),
            *(number(ece[m], 3) for m in methods),
        )  # fmt: skip
    return [
        f"Each task held out once: means over {len(results)} tasks, {documents:,} documents, "
        f"{loo.BINS} bins",
        means,
        f"± standard error over tasks; thermometers: mean of {seeds} seed(s), in brackets the "
        "standard deviation over seeds of the mean. brier from 0 to 2.",
        "The same tasks, paired: what THERMOMETER adds to each",
        paired,
        "Task by task",
        single,
    ]


def _by_metric(rows: Mapping[str, Mapping[str, loo.Summary]]) -> Table:
    table = Table(box=None, pad_edge=False)
    metrics = list(next(iter(rows.values())))
    for i, title in enumerate(("", *metrics)):
        table.add_column(title, justify="right" if i else "left")
    for title, by_metric in rows.items():
        table.add_row(title, *(_cell(by_metric[metric]) for metric in metrics))
    return table


def _cell(summary: loo.Summary) -> str:
    spread = f" [{summary.over_seeds:.4f}]" if summary.over_seeds else ""
    return f"{summary.mean:.4f} ± {summary.over_tasks:.4f}{spread}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
