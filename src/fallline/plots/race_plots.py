"""Races: standings over time, and the final loss against the learning rate with the border of stability."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fallline.errors import unknown
from fallline.experiments.contest import Race
from fallline.plots.chart import DECADES, Axis, Chart, Line, Mark, Panel, Points, Rule
from fallline.plots.curvature_plots import border_of
from fallline.plots.plot_table import plot
from fallline.plots.run_curves import EPOCHS, loss_axis, said, unit_of
from fallline.runs.events import RaceResult
from fallline.training.run import Run
from fallline.typesetting import number

TIMES = ("seconds", "epoch")
MOST_BORDERS = 3
# Variants that are named; of more, the best ones are, and the others stand behind them.
MOST_NAMED = 10
# Settings in which runs of one race may differ without being told apart in a picture.
NOT_SHOWN = ("theta", "seed", "data", "threads", "versions", "extra", "checkpoints", "validation", "fallline", "init")


def score_axis(race: Race) -> tuple[str, Axis]:
    """The column of a history that results are sorted by, and its axis."""
    first = race.results[0]
    if first.watches in first.metrics:
        return first.watches, Axis(f"validation {said(first.watches)}", unit_of(first.watches), None)
    run = race.runs[first.name]
    axis = loss_axis(run)
    if first.validation_loss is None:
        return "loss", Axis("training loss", axis.unit, None)
    return "validation_loss", Axis("validation loss", axis.unit, None)


def no_results(race: Race) -> str:
    return "" if any(run.epochs for run in race.runs.values()) else "no variant has ended an epoch"


@plot("standings", of=Race, doc="the loss of every variant over time", lacks=no_results)
def standings(race: Race, *, by: str | None = None) -> Chart:
    """One line a variant, the best first.

    by: "seconds" of its own training and validation, or "epoch"; None: seconds where they took longer than one.
    """
    if by is not None and by not in TIMES:
        raise unknown("by", by, TIMES)
    by = by or TIMES[max(one.seconds for one in race.results) < 1]
    column, axis = score_axis(race)
    rates, alone = rates_of(race), len(groups_of(race)) == 1
    ordered = alone and len({*rates.values()}) == len(rates) > 3
    scaled = ordered and len(rates) > MOST_NAMED
    marks: list[Mark] = []
    for place, one in enumerate(race.results):
        run = race.runs[one.name]
        history = run.history
        if column not in history or not len(history["epoch"]):
            continue
        x = np.cumsum(history["seconds"]) if by == "seconds" else history["epoch"]
        behind = place >= MOST_NAMED and not ordered
        named = "" if behind or scaled else f"{one.place}  {one.name}" + _ending(one)
        shade = _share(rates[one.name], rates) if ordered else None
        marks.append(Line(x, history[column], named, 4 if behind else None, shade=shade, faint=behind))
    time = Axis("training time", "s") if by == "seconds" else EPOCHS
    left = 0 if ordered else len(race.results) - MOST_NAMED
    note = f"{left} variants behind these are drawn faintly." if left > 0 else ""
    axis = replace(axis, span=_in_view(race, column))
    values = [*rates.values()]
    colours = ("learning rate (per step)", min(values), max(values)) if scaled else None
    return Chart("Standings of the race", (Panel(time, axis, tuple(marks)),), note=note, shade=colours)


def _in_view(race: Race, column: str) -> tuple[float, float] | None:
    """The ends of the axis where some variant went off to infinity: those of all others, its own start included."""
    wild = [one.name for one in race.results if one.state in ("diverged", "failed")]
    if not wild:
        return None
    calm = [race.runs[one.name].history for one in race.results if one.name not in wild]
    values = np.concatenate([one[column] for one in calm if column in one] or [np.zeros(0)])
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    low, high = float(values.min()), float(values.max())
    room = 0.05 * (high - low) or abs(high) * 0.05 or 1.0
    return (low / 1.2 if low > 0 and high > DECADES * low else low - room), high + room


def _ending(one: RaceResult) -> str:
    return f", {one.state.replace('_', ' ')}" if one.state in ("diverged", "failed", "interrupted") else ""


def _share(rate: float, rates: Mapping[str, float]) -> float:
    low, high = min(rates.values()), max(rates.values())
    if low > 0 and high > 10 * low:
        low, high, rate = math.log(low), math.log(high), math.log(rate)
    return (rate - low) / (high - low) if high > low else 0.5


def rates_of(race: Race) -> dict[str, float]:
    """The learning rate of each variant that has one: of a schedule, its full rate."""
    found = {name: rate_of(run) for name, run in race.runs.items()}
    return {name: rate for name, rate in found.items() if rate is not None}


def rate_of(run: Run) -> float | None:
    given = (run.config.get("optimizer") or {}).get("learning_rate")
    given = given.get("learning_rate") if isinstance(given, Mapping) else given
    return float(given) if isinstance(given, int | float) else None


def settings_of(run: Run) -> dict[str, str]:
    """The settings of a run in which it may differ from others, but for its learning rate, as text."""
    found: dict[str, str] = {}
    for name, value in run.config.items():
        if name in NOT_SHOWN:
            continue
        if name == "optimizer" and isinstance(value, Mapping):
            found["optimizer"] = str(value.get("type", value))
            rest = {key: one for key, one in value.items() if key not in ("type", "learning_rate")}
            rate = value.get("learning_rate")
            found["schedule"] = str(rate.get("type")) if isinstance(rate, Mapping) else "constant rate"
            found["optimizer settings"] = json.dumps(rest, sort_keys=True, default=str)
        elif name == "model" and isinstance(value, Mapping):
            found["network"] = json.dumps(value.get("network", value), sort_keys=True, default=str)
        else:
            found[name.replace("_", " ")] = json.dumps(value, sort_keys=True, default=str)
    return found


def groups_of(race: Race) -> dict[str, list[RaceResult]]:
    """Results of variants that differ in nothing but learning rate and seed, by words that tell the groups apart."""
    settings = {one.name: settings_of(race.runs[one.name]) for one in race.results}
    keys = list(dict.fromkeys(key for one in settings.values() for key in one))
    differ: list[str] = []
    for key in keys:  # those that tell more of them apart than the ones before
        wider = [*differ, key]
        if _told_apart(settings, wider) > _told_apart(settings, differ):
            differ = wider
    numbers: dict[tuple[str, str], int] = {}
    found: dict[str, list[RaceResult]] = {}
    for one in race.results:
        parts = []
        for key in differ:
            text = settings[one.name].get(key, "none")
            if key in ("network", "optimizer settings") or len(text) > 24:
                text = f"{numbers.setdefault((key, text), len([k for k, _ in numbers if k == key]) + 1)}"
            parts.append(text if key in ("optimizer", "schedule") else f"{key} {text}")
        found.setdefault(", ".join(parts), []).append(one)
    return found


def _told_apart(settings: Mapping[str, Mapping[str, str]], keys: list[str]) -> int:
    return len({tuple(one.get(key) for key in keys) for one in settings.values()})


def no_rates(race: Race) -> str:
    rates = rates_of(race)
    return no_results(race) or ("" if len({*rates.values()}) > 1 else "its variants have one learning rate")


@plot("rates", of=Race, doc="the result by learning rate, with the border of stability", lacks=no_rates)
def rates(race: Race, *, border: bool = True, data: Any = None) -> Chart:
    """The result of each variant by its learning rate, one line for each group of the other settings.

    border: the largest stable learning rate, 2 / lambda_max for gradient descent and the optimizer's own form of it for
    others, measured where the best run ended. data: the rows, for runs that have lost them.
    """
    column, axis = score_axis(race)
    known = rates_of(race)
    marks: list[Mark] = []
    bad: list[float] = []
    for name, members in groups_of(race).items():
        by_rate: dict[float, list[float]] = {}
        for one in members:
            if one.name not in known:
                continue
            value = one.metrics.get(column, math.nan) if column in one.metrics else one.score
            if one.state in ("diverged", "failed") or not math.isfinite(value):
                bad.append(known[one.name])
            else:
                by_rate.setdefault(known[one.name], []).append(value)
        x = np.array(sorted(by_rate))
        values = [np.array(by_rate[rate]) for rate in x]
        several = any(len(one) > 1 for one in values)
        mean = np.array([one.mean() for one in values])
        low, high = ([f(one) for one in values] for f in (np.min, np.max))
        label = name or ("mean, lowest and highest of the seeds" if several else "")
        if len(x):
            marks.append(Line(x, mean, label, dots=True, low=np.array(low) if several else None,
                              high=np.array(high) if several else None))  # fmt: skip
    heights = [float(one.y.max()) for one in marks if isinstance(one, Line)]
    if bad:
        top = max(heights, default=1.0)
        marks.append(Points(np.array(sorted(bad)), np.full(len(bad), top), "diverged, at no height", 3, "x"))
    note = ""
    if border:
        rules, note = _borders(race, data)
        marks += rules
    x_axis = Axis(
        "learning rate", "per step", min(known.values()) > 0 and max(known.values()) > 8 * min(known.values())
    )
    return Chart("Result by learning rate", (Panel(x_axis, axis, tuple(marks)),), note=note)


def _borders(race: Race, data: Any) -> tuple[list[Mark], str]:
    """The border of stability where the best run of each group ended, and what is to be said of it."""
    found: list[Mark] = []
    notes: dict[str, None] = {}
    groups = groups_of(race)
    for name, members in list(groups.items())[:MOST_BORDERS]:
        best = next((one for one in members if one.state not in ("diverged", "failed")), None)
        if best is None:
            continue
        border, why = border_of(race.runs[best.name], data)
        if border is None or border.border is None:
            notes[f"no border of stability: {why}"] = None
            continue
        whose = f"{name}: " if len(groups) > 1 else ""
        found.append(Rule(border.border, "x", f"{whose}stable below {number(border.border, 3)} = {border.formula}"))
        notes["lambda: curvature where the best run ended, for steps on all rows"] = None
    told = "; ".join(notes)
    return found, told[:1].upper() + told[1:] + "." * bool(told)
