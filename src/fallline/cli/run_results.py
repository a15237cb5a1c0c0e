"""The results of a training run on screen: the loss curve, the test rows, the speed, where it was saved."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.cli import screen
from fallline.cli.flags import as_typed
from fallline.cli.progress import metric, share, speed
from fallline.cli.session import Outcome, Plan, epochs_of
from fallline.cli.training_flags import FLAGS
from fallline.data.preprocess import targets_of
from fallline.insight.picture import line_chart
from fallline.nn import members
from fallline.nn.metric import METRICS
from fallline.recipe import LOSS
from fallline.runs.events import Diverged, EpochEnded, Gauged, TrainingEnded, TrainingStarted
from fallline.typesetting import number

# A loss that falls by more than this is drawn in powers of ten.
FALLS_FAR = 30

HOW = {
    "finished": "all epochs done",
    "early_stopping": "early: no better loss for a while",
    "converged": "the gradient is as good as 0",
    "stalled": "no step lowers the loss any more",
    "interrupted": "interrupted; the same command with --out and --resume goes on from here",
    "diverged": "diverged; the last good parameters are kept",
}


def show(plan: Plan, outcome: Outcome) -> None:
    """The end of a run, whatever end it was."""
    screen.say()
    history = epochs_of(outcome.events)
    if len(history) > 1:
        screen.say(curve(history))
        screen.say()
    for event in outcome.of(Diverged):
        at = f"at step {event.step}, learning rate {number(event.learning_rate)}"
        screen.fact("diverged", f"{at}; the last finite loss was {number(event.last_loss)}")
        screen.fact("", as_typed(event.advice, FLAGS).replace("\n", "\n" + " " * 14))
    started = outcome.of(TrainingStarted)[0]
    what = started.watches.replace("_", " ").removeprefix("" if started.watches == "validation_loss" else "validation ")
    for event in outcome.of(TrainingEnded):
        searched = not outcome.resumes
        how = "interrupted" if searched and event.reason == "interrupted" else HOW.get(event.reason, event.reason)
        how = "the time is over" if searched and event.reason == "finished" else how
        screen.fact("ended", f"{how} (epoch {event.epochs}, step {event.step})")
        size = len(members(outcome.model))
        if searched or size > 1:
            screen.fact("kept", f"the average of {size} networks" if size > 1 else "the best network")
        if event.still_falling:
            trend = "rising" if started.higher_is_better else "falling"
            screen.fact("", f"the {what} was still {trend}; try: --epochs {2 * event.epochs}")
        if event.restored_best and event.best_epoch is not None:
            most = "highest" if started.higher_is_better else "lowest"
            screen.fact("kept", f"the network after epoch {event.best_epoch + 1}, whose {what} was the {most}, "
                                f"{metric(started.watches, event.best_value)}")  # fmt: skip
        if event.step:
            screen.fact("speed", f"{speed(event.steps_per_second)}, {number(event.seconds, 3)} s of training")
    if outcome.reason == "interrupted" and not outcome.of(TrainingEnded):
        last = "the last checkpoint is saved" if outcome.resumes else "nothing is saved"
        screen.fact("ended", f"interrupted twice; {last}")
    gauged(outcome)
    for name, text in zip(("test", ""), tested(plan, outcome)):
        screen.fact(name, text)
    if outcome.resumes or outcome.of(TrainingEnded):
        screen.fact("saved", str(outcome.folder), whole=True)
    if plan.flags.profile and outcome.profile is not None:
        screen.say()
        screen.say(str(outcome.profile()))


def gauged(outcome: Outcome) -> None:
    """The gauges as they stood last, where some were watched."""
    samples = outcome.of(Gauged)
    if not samples:
        return
    from fallline.gauges.gauge_words import read_out

    last = next((one for one in reversed(samples) if one.values), samples[-1])
    many = f"{len(samples)} samples" if len(samples) > 1 else "one sample"
    screen.fact("gauges", f"{many} in {number(sum(one.seconds for one in samples), 2)} s, the last at step {last.step}")
    for note in dict.fromkeys(note for one in samples for note in one.notes):
        screen.fact("", note)
    screen.say()
    screen.say(read_out(last.values, width=screen.width(), ascii_only=screen.ascii_only()))
    screen.say()


def beside(plan: Plan, outcome: Outcome) -> None:
    """The test rows as simpler models predict them, which learn from the same training rows."""
    if plan.flags.no_compare or outcome.reason in ("interrupted", "diverged") or not len(plan.test):
        return
    from fallline.cli.estimates import compared

    recipe, watch = plan.recipe, plan.recipe.choices.watch
    given: Any = {
        "by": None if watch == LOSS else watch,
        "metrics": [name for name in recipe.choices.metrics if name != watch],
        "seconds": sum(event.seconds for event in outcome.of(TrainingEnded)),
        "threads": plan.flags.threads,
    }
    screen.say()
    found = compared(outcome.model, recipe.some_rows, recipe.rows_at(plan.test), **given)
    if found is not None and outcome.folder is not None:
        from fallline.assessment.kept_comparison import keep

        keep(found, outcome.folder)


def curve(history: list[EpochEnded]) -> str:
    """The losses over the epochs."""
    epochs = np.array([event.epoch + 1 for event in history])
    series = {"training": (epochs, np.array([event.loss for event in history]))}
    if all(event.validation_loss is not None for event in history):
        series["validation"] = (epochs, np.array([event.validation_loss for event in history], dtype=np.float64))
    values = np.concatenate([y for _, y in series.values()])
    values = values[np.isfinite(values)]
    log = bool(values.size and values.min() > 0 and values.max() > FALLS_FAR * values.min())
    return line_chart(
        series,
        width=screen.width(most=72),
        height=10,
        log_y=log,
        title="loss over epochs",
        ascii_only=screen.ascii_only(),
    )


def tested(plan: Plan, outcome: Outcome) -> tuple[str, ...]:
    """How well the test rows are predicted."""
    if not len(plan.test):
        return ("there are no test rows (--test 0)",)
    recipe, data = plan.recipe, plan.recipe.data
    y, y_hat = targets_of(data, plan.test, recipe.decoder), outcome.model.predict(data.take(plan.test))
    if data.classes:
        return accuracy(y, y_hat, targets_of(data, recipe.train, recipe.decoder))
    return (quantity(y, y_hat, data.target),)


def accuracy(y: NDArray[Any], y_hat: NDArray[Any], training_y: NDArray[Any]) -> tuple[str, str]:
    """How many are right, and how many would be without looking."""
    right = int((y == y_hat).sum())
    labels, counts = np.unique(training_y, return_counts=True)
    commonest = float((y == labels[counts.argmax()]).mean())
    return (
        f"accuracy {share(right / len(y))}, {right} of {len(y)} test rows",
        f"(always the commonest class: {share(commonest)})",
    )


def quantity(y: NDArray[Any], y_hat: NDArray[Any], target: str) -> str:
    size = float(np.abs([y, y_hat]).max()) or 1.0  # squares of large numbers overflow
    r2, rmse = (METRICS[name].of(y / size, y_hat / size) for name in ("r2", "rmse"))
    fit = "R^2 not defined" if math.isnan(r2) else f"R^2 {r2:.3f}"
    return f"{fit}, root mean squared error {number(rmse * size)} of {target!r} on {len(y)} test rows"
