"""Gauges over the steps of a training: numbers by layer, and the sizes of gradients by their histograms."""

import math
from typing import Any

import numpy as np

from fallline.arrays import Array
from fallline.errors import ArgumentError, unknown
from fallline.gauges.gauge_table import GAUGES
from fallline.gauges.gradient_gauges import edges
from fallline.plots.chart import DECADES, LOWEST, Axis, Chart, Heat, Line, Mark, Panel, Rule
from fallline.plots.layer_plots import MOST_PANELS
from fallline.plots.plot_table import plot
from fallline.training.run import Run

STEP = Axis("step", "updates", whole=True)
# Gauges of several numbers a step that are their quantiles, and the names of these.
QUANTILES = {"row_gradient_norms": ("least", "lower quarter", "middle", "upper quarter", "largest")}


def no_gauges(run: Run) -> str:
    return "" if run.gauges else "none were watched\n  try: gauges=True in fl.fit"


def drawable(run: Run) -> list[str]:
    """The gauges of a run that are a number a step, or a few."""
    return [
        name
        for name, paths in run.gauges.items()
        if name in QUANTILES or ("" in paths and paths[""].ndim == 1) or (
            "" not in paths and name not in ("hardest_rows",) and all(one.ndim == 1 for one in paths.values())
        )
    ]  # fmt: skip


@plot("gauges", of=Run, doc="the gauges by step, a panel for each", lacks=no_gauges)
def gauges(run: Run, *, names: Any = None) -> Chart:
    """One panel for each gauge, one line for each layer or array, with the ends of the range of healthy networks.

    names: a gauge, or several; None draws the usual ones.
    """
    known = drawable(run)
    wanted = [names] if isinstance(names, str) else list(names) if names is not None else _usual(known)
    for name in wanted:
        if name not in known:
            raise unknown("gauge of this run that is a number a step", name, known)
    if not wanted:
        raise ArgumentError("the gauges of this run are no numbers\n  try: run.plot.gradient_sizes()")
    shown = wanted[:MOST_PANELS]
    panels = [_panel(run, name, several=len(wanted) > 1) for name in shown]
    left = len(wanted) - len(shown)
    note = f"{left} more gauges are not shown: {', '.join(wanted[MOST_PANELS:])}." if left else ""
    title = "Gauges" if len(wanted) > 1 else _said(wanted[0]).capitalize()
    return Chart(title, tuple(panels), columns=min(2, len(panels)), note=note)


def _usual(known: list[str]) -> list[str]:
    usual = [name for name in known if name not in GAUGES or GAUGES[name].usual]
    return usual or known


def _said(name: str) -> str:
    return name.replace("_", " ")


def _panel(run: Run, name: str, several: bool) -> Panel:
    paths, steps = run.gauges[name], run.gauges.steps
    gauge = GAUGES.get(name)
    marks: list[Mark] = []
    if name in QUANTILES:
        values = paths[""]
        marks.append(Line(steps, values[:, 2], "middle, quarters", 0, low=values[:, 1], high=values[:, 3]))
        marks += [Line(steps, values[:, 4], "largest", 1), Line(steps, values[:, 0], "least", 2)]
    elif "" in paths:
        marks.append(Line(steps, paths[""], "", 0, dots=len(steps) < 20))
    else:
        marks += [Line(steps, values, path) for path, values in paths.items()]
    y = np.concatenate([np.ravel(mark.y) for mark in marks if isinstance(mark, Line)])
    finite = y[np.isfinite(y)]
    log = bool(finite.size and finite.min() > 0 and finite.max() > DECADES * finite.min())
    if gauge is not None and gauge.healthy is not None and finite.size:
        marks += _healthy(gauge.healthy, float(finite.min()), float(finite.max()), log)
    unit = "1" if gauge is None else gauge.unit
    return Panel(STEP, Axis(_said(name), unit, log), tuple(marks))


def _healthy(ends: tuple[float, float], low: float, high: float, log: bool) -> list[Mark]:
    """The ends of the healthy range that are near enough to be seen with the values."""
    found: list[Mark] = []
    for end, said in zip(ends, ("healthy from", "healthy to"), strict=True):
        near = low / 30 <= end <= high * 30 if log else low - 1.5 * (high - low) <= end <= high + 1.5 * (high - low)
        if math.isfinite(end) and near and not (end == 0 and said.endswith("from")):
            found.append(Rule(end, "y", f"{said} {end:g}"))
    return found


def no_histograms(run: Run) -> str:
    has = "gradient_histogram" in run.gauges
    return "" if has else 'no histograms were watched\n  try: gauges=["gradient_histogram"] in fl.fit'


@plot("gradient_sizes", of=Run, doc="how large the gradient's elements are, by step", lacks=no_histograms)
def gradient_sizes(run: Run) -> Chart:
    """The middle of the absolute elements of each array, and the range that holds 80 % of them, to a factor of two."""
    paths, steps = run.gauges["gradient_histogram"], run.gauges.steps
    panels = []
    for path, counts in list(paths.items())[:MOST_PANELS]:
        low, middle, high = (_quantile(counts, share) for share in (0.1, 0.5, 0.9))
        line = Line(steps, middle, "middle, and 10 to 90 %", 0, low=low, high=high)
        unit = Axis("absolute element", "loss per unit", True)
        panels.append(Panel(STEP, unit, (line,), title=path or "theta"))
    return Chart("Sizes of the gradient's elements", tuple(panels), columns=2)


def _quantile(counts: Array, share: float) -> Array:
    """The size below which a share of the elements lies, by histograms (steps, bins) over both signs."""
    half = counts.shape[1] // 2
    sizes = counts[:, half:].copy()  # the zeros, then positive ones by size
    sizes[:, 1:] += counts[:, :half][:, ::-1]
    below = np.cumsum(sizes, axis=1)
    total = below[:, -1:]
    place = (below < share * total).sum(axis=1)
    up = edges()[half:]
    found = np.where(place == 0, np.nan, up[np.clip(place - 1, 0, len(up) - 1)] * math.sqrt(2))
    return np.where(total[:, 0] > 0, found, np.nan)


def no_pairs(run: Run) -> str:
    has = "gradient_parameter_histogram" in run.gauges
    return "" if has else 'these were not watched\n  try: gauges=["gradient_parameter_histogram"] in fl.fit'


@plot("gradient_against_parameter", of=Run, doc="sizes of gradient elements by those of parameters", lacks=no_pairs)
def gradient_against_parameter(run: Run, *, sample: int = -1) -> Chart:
    """How many elements have a parameter and a gradient of these sizes. sample: which one, by its place."""
    every, steps = run.gauges["gradient_parameter_histogram"][""], run.gauges.steps
    if not isinstance(sample, int) or not -len(steps) <= sample < len(steps):
        raise ArgumentError(f"sample is a place among {len(steps)} samples, got {sample!r:.30}")
    counts = every[sample]
    rows, columns = (np.flatnonzero(counts.sum(axis)) for axis in (1, 0))
    if not len(rows):
        raise ArgumentError(f"sample {sample} holds no finite numbers\n  try: another one")
    part, names = counts[np.ix_(rows, columns)][::-1], _bins(counts.shape[0])
    across = Axis("parameter", "from here to 16 times", names=tuple(names[i] for i in columns))
    down = Axis("gradient", "from here to 16 times", names=tuple(names[i] for i in rows[::-1]))
    heat = Heat(part, "elements", written=part.size <= 200)
    note = "Sizes that no element has are left out."
    return Chart(f"Gradient against parameter, step {steps[sample]}", (Panel(across, down, (heat,)),), note=note)


def _bins(count: int) -> tuple[str, ...]:
    """The end of each bin that is nearer to zero, in words."""
    positive = [f"{one:.0e}" for one in edges(4)[count // 2 :]]
    return (*(f"-{one}" for one in reversed(positive)), "0", *positive)


def no_spectra(run: Run) -> str:
    has = "spectral_density" in run.gauges
    return (
        "" if has else 'no spectra were watched\n  try: gauges=["spectral_density"] in fl.fit, or run.plot.spectrum()'
    )


@plot("spectra", of=Run, doc="the density of the Hessian's eigenvalues as training went on", lacks=no_spectra)
def spectra(run: Run) -> Chart:
    """The spectral density of the first, a middle and the last sample, with its standard error over the probes."""
    paths, steps = run.gauges["spectral_density"], run.gauges.steps
    known = np.flatnonzero(np.isfinite(paths[""]).all(axis=1))
    if not len(known):
        raise ArgumentError("no sample of the spectrum is finite")
    floor = LOWEST * float(paths[""][known].max())
    marks: list[Mark] = []
    for tone, i in enumerate(dict.fromkeys(known[[0, len(known) // 2, -1]].tolist())):
        at, each, error = (paths[name][i] for name in ("at", "", "error"))
        low, high = (np.maximum(each + sign * error, floor) for sign in (-1, 1))
        y = np.where(each > floor, each, np.nan)
        marks.append(Line(at, y, f"step {steps[i]}", tone, low=low, high=high))
    across, up = Axis("curvature", "loss per unit of theta^2"), Axis("density of eigenvalues", "1 / curvature", True)
    return Chart("Spectrum of the Hessian by step", (Panel(across, up, tuple(marks)),))
