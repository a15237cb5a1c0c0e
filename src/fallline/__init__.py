"""Trains neural networks by gradient descent with backpropagation, fast on a CPU, and shows every step.

Names are looked up when they are first used, so that importing the package loads nothing heavy.
"""

from __future__ import annotations

# Nothing is imported here, so that a command hears Ctrl-C from its first milliseconds on.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

# Public name -> "module:attribute"; without an attribute the module itself.
_PUBLIC = {
    "EarlyStopping": "fallline.jobs.stopping:EarlyStopping",
    "Fold": "fallline.split:Fold",
    "Form": "fallline.source:Form",
    "Plan": "fallline.training:Plan",
    "Race": "fallline.experiments.contest:Race",
    "Run": "fallline.training:Run",
    "Source": "fallline.source:Source",
    "alternatives": "fallline.insight.why_descent:alternatives",
    "assess": "fallline.assessment.assessed:assess",
    "compare": "fallline.assessment.comparison:compare",
    "compile": "fallline.transforms:compile",
    "curvature": "fallline.curvature",
    "diagnose": "fallline.diagnosis.diagnosed:diagnose",
    "difference": "fallline.insight.run_difference:difference",
    "drawing": "fallline.insight.network_drawing:drawing",
    "errors": "fallline.errors",
    "escape": "fallline.diagnosis.escaped:escape",
    "events": "fallline.runs.events",
    "explain": "fallline.insight.microscope:explain",
    "export": "fallline.exports.exporter:export",
    "fit": "fallline.start:fit",
    "folds": "fallline.split:folds",
    "gauges": "fallline.gauges",
    "grad": "fallline.transforms:grad",
    "graph_of": "fallline.transforms:graph_of",
    "hessian": "fallline.transforms:hessian",
    "hvp": "fallline.transforms:hvp",
    "jacobian": "fallline.transforms:jacobian",
    "jvp": "fallline.transforms:jvp",
    "landscape": "fallline.insight.landscape:landscape",
    "line_between": "fallline.insight.between_runs:line_between",
    "load_model": "fallline.runs.kept:load_model",
    "load_race": "fallline.experiments.raced_folder:load_race",
    "load_run": "fallline.training:load_run",
    "measure": "fallline.steps.measure",
    "nn": "fallline.nn",
    "ops": "fallline.ops",
    "optim": "fallline.optim",
    "plan": "fallline.training:plan",
    "plots": "fallline.plots",
    "race": "fallline.experiments.contest:race",
    "racing": "fallline.experiments.contest:racing",
    "save_model": "fallline.runs.model_file:save_model",
    "read_gauges": "fallline.insight.gauge_reader:read_gauges",
    "scan": "fallline.transforms:scan",
    "stable_step": "fallline.insight.run_curvature:stable_step",
    "surface_of": "fallline.insight.run_curvature:surface_of",
    "testing": "fallline.testing",
    "train": "fallline.start:train",
    "trajectory": "fallline.insight.trajectory:trajectory",
    "value_and_grad": "fallline.transforms:value_and_grad",
    "verdict": "fallline.curvature.stationary:verdict",
    "vjp": "fallline.transforms:vjp",
    "vmap": "fallline.transforms:vmap",
}

__all__ = sorted(_PUBLIC)

# Who draws for `displays.Displayed`, which stands above the rooms that draw: the one place where these two meet.
_DRAWERS = {"html": "fallline.plots.pages:html_of", "menu": "fallline.plots.menu:menu_of"}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        from fallline.errors import UnknownNameError

        raise UnknownNameError(f"module {__name__!r}", name, _names)
    value = globals()[name] = _at(_PUBLIC[name])
    return value


def _at(place: str) -> Any:
    import importlib

    module, _, attribute = place.partition(":")
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


def _drawer(name: str) -> Any:
    """The function that draws, by its name in _DRAWERS."""
    return _at(_DRAWERS[name])


def _names() -> list[str]:
    """Every public name as it is written after the package's, and the names in its rooms for networks."""
    rooms = {room: __getattr__(room) for room in ("nn", "optim", "ops", "curvature", "testing")}
    inside = [f"{room}.{name}" for room, of in rooms.items() for name in of.__all__ if callable(getattr(of, name))]
    return [*_PUBLIC, *inside]


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
