"""Verdict `standing`: where descent stands at its end, one finding for each network: at a minimum, at a saddle, stuck,
on a plateau, still on its way down, level, stopped early, interrupted, unfinished or diverged.
"""

import math
from collections.abc import Iterator

from fallline.diagnosis.bouncing import stuck
from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.lying import converged, plateau, saddle
from fallline.diagnosis.settings_to_try import as_typed, resumed
from fallline.diagnosis.standpoint import BROUGHT_DOWN
from fallline.diagnosis.step_length import SEEN, shortness
from fallline.diagnosis.trend import Trend, trend
from fallline.diagnosis.verdict_table import verdict
from fallline.runs.events import TrainingEnded

# A fall below this share of the loss over the last epochs is as good as none; training stops early at the same.
LITTLE = 1e-3


@verdict("standing", "where descent stands at its end", needs=("events",), order=0)
def standing(case: Case) -> Iterator[Finding]:
    """One finding: diverged and unfinished runs first, then what is wrong with the place, then what it is."""
    run = case.part.run or case.opened.run
    ended = run.ended
    if ended is None:
        yield _unfinished(case)
        return
    if ended.reason == "diverged":
        # Only this verdict replays a training.
        from fallline.diagnosis.divergence import diverged

        yield diverged(case)
        return
    moved = trend([one.loss for one in case.epochs])
    found = None
    if case.has("rows"):
        found = stuck(case) or saddle(case, moved) or plateau(case, moved)
    yield found or _calm(case, ended, moved)


def _calm(case: Case, ended: TrainingEnded, moved: Trend | None) -> Finding:
    if ended.reason == "interrupted":
        return _interrupted(case, ended, moved)
    if ended.restored_best and ended.best_epoch is not None:
        last = case.epochs[-1].epoch
        if ended.reason == "early_stopping" or ended.best_epoch < last:
            return _stopped_early(case, ended, moved)
    if case.has("rows") and (found := converged(case, moved)) is not None:
        return found
    if case.has("rows") and shortness(case) is not None:
        return _slow(case, moved)
    if moved is not None and falls(moved) and not _brought_down(case):
        return _descending(case, moved)
    return _level(case, moved)


def falls(moved: Trend) -> bool:
    """Whether a loss falls by more than chance, and by more than little."""
    return moved.is_falling and moved.whole_fall > LITTLE * abs(moved.level)


def trend_evidence(moved: Trend | None) -> tuple[Evidence, ...]:
    if moved is None:
        return ()
    name = f"fall of the loss an epoch, last {moved.epochs}"
    error = "" if math.isinf(moved.error) else f"standard error {moved.error:.2g}"
    return (Evidence(name, moved.fall, threshold=error),)


def _unfinished(case: Case) -> Finding:
    done = len(case.epochs)
    started = case.opened.run.started
    of = "" if started is None or started.open_ended else f" of {started.epochs}"
    return Finding(
        "unfinished",
        f"The training has not ended: it runs still, or was killed after {done}{of} epochs.",
        tuple(Evidence("training loss", one.loss, threshold=f"epoch {one.epoch}") for one in case.epochs[-1:]),
        warns=False,
        tries=(resumed(case),),
        part=case.part.name,
    )


def _interrupted(case: Case, ended: TrainingEnded, moved: Trend | None) -> Finding:
    run = case.part.run or case.opened.run
    of = "" if run.started is None or run.started.open_ended else f" of {run.started.epochs}"
    return Finding(
        "interrupted",
        f"The training was interrupted after {ended.epochs}{of} epochs"
        + (", while its loss was falling." if moved is not None and falls(moved) else "."),
        trend_evidence(moved),
        warns=False,
        tries=(resumed(case),),
        part=case.part.name,
    )


def _stopped_early(case: Case, ended: TrainingEnded, moved: Trend | None) -> Finding:
    run = case.part.run or case.opened.run
    watched = "" if run.started is None else run.started.watches
    validated = case.epochs[-1].validation_loss is not None
    number = (watched or ("validation loss" if validated else "loss")).replace("_", " ")
    last = case.epochs[-1].epoch
    goes_on = " The training loss was falling still." if moved is not None and falls(moved) and validated else ""
    why = (
        "Training stopped early, as asked" if ended.reason == "early_stopping" else "The best epoch was kept, as asked"
    )
    return Finding(
        "stopped_early",
        f"{why}: the {number} did not get better after epoch {ended.best_epoch}, whose parameters are "
        f"those of the network.{goes_on}",
        (
            Evidence(f"best {number}", ended.best_value if math.isfinite(ended.best_value) else ended.best_loss,
                     threshold=f"epoch {ended.best_epoch} of 0 to {last}"),
            *trend_evidence(moved),
        ),
        warns=False,
        part=case.part.name,
    )  # fmt: skip


def _descending(case: Case, moved: Trend) -> Finding:
    count = len(case.epochs)
    goes_on = as_typed(case, "epochs", 2 * count) or f"fl.fit(None, (x, y), init=run, epochs={count}), which goes on"
    return Finding(
        "descending",
        f"The training loss was still falling at the end, by {100 * moved.fall / max(abs(moved.level), 1e-300):.2g} % "
        "an epoch.",
        (Evidence("training loss", case.epochs[-1].loss, threshold="mean over the last epoch"), *trend_evidence(moved)),
        warns=False,
        tries=(goes_on,),
        part=case.part.name,
    )


def _brought_down(case: Case) -> bool:
    rates = [one.learning_rate for one in case.epochs if math.isfinite(one.learning_rate)]
    return bool(rates) and rates[-1] <= BROUGHT_DOWN * max(rates)


def _slow(case: Case, moved: Trend | None) -> Finding:
    return Finding(
        "descending",
        "Descent was still on its way down at the end, in steps so short that little of it is seen.",
        (*[Evidence("training loss", one.loss) for one in case.epochs[-1:]], *trend_evidence(moved)),
        warns=False,
        part=case.part.name,
    )


def _level(case: Case, moved: Trend | None) -> Finding:
    evidence = [Evidence("training loss", one.loss, threshold="mean over the last epoch") for one in case.epochs[-1:]]
    evidence += trend_evidence(moved)
    says = "The training loss has come to rest."
    if len(case.epochs) > 1 and case.epochs[-1].loss >= case.epochs[0].loss:
        says = "The training loss does not fall any more, and is no lower than in the first epoch."
        evidence.append(Evidence("training loss then", case.epochs[0].loss, threshold="mean over the first epoch"))
    if moved is None:
        many = "s" * (len(case.epochs) != 1)
        says = f"The training was {len(case.epochs)} epoch{many} long, which shows no trend of its loss."
    unchecked: tuple[str, ...] = ()
    rates = [one.learning_rate for one in case.epochs if math.isfinite(one.learning_rate)]
    if _brought_down(case):
        says = "The learning rate was brought down to its end, and the training loss came to rest with it."
        evidence.append(Evidence("learning rate at the end", rates[-1], threshold=f"{max(rates):.3g} at most before"))
    if case.has("rows"):
        here = case.standpoint
        noise = here.batch_noise
        if here.trial_steps and here.factor_to(SEEN) > 1:
            says = f"Steps are too short to be seen: one moves the parameters by less than {SEEN:g} of their length."
        elif noise > 0 and here.gradient_norm < noise and moved is not None and not _brought_down(case):
            # Noise moves parameters only where steps do.
            says = (
                "The training loss has come to rest: the gradient of all rows is smaller than its noise from batch to "
                "batch, which keeps the steps moving about."
            )
        evidence += gradient_evidence(case)
    else:
        unchecked = ("gradient and curvature, as the training rows are not there",)
    return Finding("level", says, tuple(evidence), warns=False, unchecked=unchecked, part=case.part.name)


def gradient_evidence(case: Case) -> list[Evidence]:
    here = case.standpoint
    rows = f"{here.loss.rows} of {here.training_rows} rows"
    found = [Evidence("gradient norm", here.gradient_norm, threshold=rows)]
    if here.batch_noise:
        found.append(Evidence("its noise in a batch", here.batch_noise, threshold=f"{here.batch} rows"))
    return found


__all__ = ["standing"]
