"""Layer by layer: weights, their gradients, activations, and the measures of a training."""

from typing import Any

import numpy as np

from fallline import transforms, tree
from fallline.arrays import Array, in_float64
from fallline.insight.microscope import as_double
from fallline.nn.model import Model
from fallline.plots.chart import Axis, Chart, Line, Panel, Steps
from fallline.plots.plot_table import plot
from fallline.plots.rows_seen import no_rows, seen
from fallline.ranges import short
from fallline.training.run import Run

MOST_PANELS, BINS = 12, 40
LEAST_BINS = 8


def histogram(values: Array) -> tuple[Array, Array]:
    """Edges and counts of finite numbers in a fitting number of equal cells."""
    finite = np.asarray(values, np.float64).ravel()
    finite = finite[np.isfinite(finite)]
    cells = int(np.clip(2 * len(finite) ** (1 / 3), LEAST_BINS, BINS))
    if not finite.size or finite.min() == finite.max():
        centre = float(finite[0]) if finite.size else 0.0
        room = abs(centre) * 0.1 or 1.0
        return np.histogram(finite, cells, (centre - room, centre + room))[::-1]
    counts, edges = np.histogram(finite, cells)
    return edges, counts


def _panels(arrays: dict[str, Array], name: str, unit: str) -> tuple[Panel, ...]:
    panels = []
    for path, values in list(arrays.items())[:MOST_PANELS]:
        edges, counts = histogram(values)
        log = bool(counts.max(initial=0) > 200)
        across, up = Axis(name, unit), Axis("elements", "count, powers of ten" if log else "count", log, whole=not log)
        panels.append(Panel(across, up, (Steps(edges, counts, "", 0),), title=f"{path}, {values.size:,}"))
    return tuple(panels)


def _left(arrays: dict[str, Array]) -> str:
    more = len(arrays) - MOST_PANELS
    return f"{more} more {'is' if more == 1 else 'are'} not shown." if more > 0 else ""


@plot("weights", of=Model, doc="the distribution of each parameter array")
def weights(model: Model) -> Chart:
    """A histogram of the elements of each parameter array."""
    arrays = {path: np.asarray(leaf) for path, leaf in tree.items(model.params)}
    return Chart("Parameters", _panels(arrays, "element", "1"), columns=2, note=_left(arrays))


@plot("weights", of=Run, doc="the distribution of each parameter array, as the run ended")
def weights_of_run(run: Run) -> Chart:
    """A histogram of the elements of each parameter array."""
    return weights(run.model)


def gradients_of(run: Run, data: Any, rows: str | None) -> tuple[dict[str, Array], str]:
    """The gradient of the mean loss over rows by the path of its parameter, of the first network, and which rows."""
    one = seen(run, data, rows or "training")[0]
    model = as_double(one.model)
    found = transforms.grad(model.objective)(model.theta, tree.map(in_float64, one.x), in_float64(one.y))
    return {path: slot.of(np.asarray(found)) for path, slot in model.layout.items()}, one.said


@plot("gradients", of=Run, doc="the distribution of the gradient, by parameter array", lacks=no_rows)
def gradients(run: Run, *, data: Any = None, rows: str | None = None) -> Chart:
    """Of the mean loss over the run's training rows (rows="validation": those), where the run ended.

    data: the rows as they were given to the training, for a run that has lost them.
    """
    arrays, said = gradients_of(run, data, rows)
    panels = _panels(arrays, "element", "loss per unit")
    return Chart(f"Gradient over {said}", panels, columns=2, note=_left(arrays))


@plot("activations", of=Run, doc="the distribution of the outputs of each layer", lacks=no_rows)
def activations(run: Run, *, data: Any = None, rows: str | None = None) -> Chart:
    """Histograms over the run's rows and all units. data, rows: as for `gradients`."""
    one = seen(run, data, rows)[0]
    found = activations_of(one.model, one.x)
    return Chart(f"Outputs of the layers, {one.said}", _panels(found, "output", "1"), columns=2, note=_left(found))


def activations_of(model: Model, x: Any) -> dict[str, Array]:
    """The outputs of each layer of a network by its place and name; of one that is no chain, those of the whole."""
    layers = getattr(model.network, "layers", None)
    if not layers:
        return {"output": model.outputs(x)}
    return {f"{i} {short(layer):.24}": model[: i + 1].outputs(x) for i, layer in enumerate(layers)}


def no_measures(run: Run) -> str:
    return "" if run.measured else 'nothing was measured\n  try: measure=fl.measure.norm("gradient") in fl.fit'


@plot("measured", of=Run, doc="the measures of a training, step by step", lacks=no_measures)
def measured(run: Run) -> Chart:
    """One panel for each measure, one line for each path; of arrays, the mean over their elements."""
    steps = {name: _steps_of(run, name) for name in run.measured}
    panels = []
    for name, paths in run.measured.items():
        lines = []
        for path, values in paths.items():
            flat = np.asarray(values, np.float64).reshape(len(values), -1)
            x = steps[name].get(path, np.arange(len(flat)))
            lines.append(Line(x[: len(flat)], flat.mean(1), path))
        panels.append(Panel(Axis("step", "updates", whole=True), Axis(name, "1", None), tuple(lines)))
    return Chart("Measured while training", tuple(panels), columns=min(2, len(panels)))


def _steps_of(run: Run, name: str) -> dict[str, Array]:
    """The number of the step of each row of a measure, by path."""
    from fallline.runs.events import Measured

    found: dict[str, list[Array]] = {}
    for event in run.events:
        if not isinstance(event, Measured):
            continue
        for path, rows in event.values.get(name, {}).items():
            found.setdefault(path, []).append(event.step + np.arange(len(rows)))
    return {path: np.concatenate(parts) for path, parts in found.items()}


__all__ = ["activations_of", "gradients_of", "histogram"]
