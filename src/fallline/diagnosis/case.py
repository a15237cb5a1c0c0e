"""Case: one network of a run with what the verdicts look at, each computed once, when the first verdict asks for it."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fallline import transforms, tree
from fallline.arrays import Array, in_float64
from fallline.diagnosis.standpoint import Standpoint
from fallline.insight.microscope import as_double, label
from fallline.insight.opened import Opened, Part, Sample
from fallline.insight.pieces import run as once_through
from fallline.nn.layer import Layer
from fallline.nn.model import Model
from fallline.nn.sequential import Sequential
from fallline.runs.events import EpochEnded, Event
from fallline.tree import Tree

# Rows that verdicts look at, at most: enough for means to be known to 2 %.
MOST_ROWS = 2048
# Rows that are followed through every layer and back, at most: 1 of 1,000 is then seen by chance, and memory is small.
MOST_FOLLOWED = 1024


@dataclass(frozen=True, eq=False, slots=True)
class LayerSeen:
    """A layer on some rows. inputs, output: (n, ...), of the layer; delta_in, delta: the derivatives of the mean loss
    with respect to these, None for whole numbers. name: "layer 2, Tanh()"; params: the layer's part of all.
    """

    name: str
    layer: Layer
    params: Tree
    inputs: Tree
    output: Array
    delta_in: Array | None
    delta: Array

    @property
    def learns(self) -> bool:
        """Whether it has parameters."""
        return bool(tree.leaves(self.params))


class Case:
    """One network of a run, and its rows.

    opened, part: as `insight.opened` found them. name: of the run, as a command line calls it. thorough: whether to
    look also where that takes long. shared: what the networks of an ensemble have in common, such as programs.
    found: what one verdict has found out and others may read, by name.
    """

    def __init__(
        self, opened: Opened, part: Part, thorough: bool = False, shared: dict[Any, Any] | None = None
    ) -> None:
        self.opened, self.part, self.name, self.thorough = opened, part, opened.name, thorough
        self.shared = {} if shared is None else shared
        self.found: dict[str, Any] = {}

    @property
    def events(self) -> tuple[Event, ...]:
        """The network's own history; that of the average where there is no other."""
        return (self.part.run or self.opened.run).events

    @property
    def epochs(self) -> tuple[EpochEnded, ...]:
        return tuple(event for event in self.events if isinstance(event, EpochEnded))

    @cached_property
    def rows(self) -> Sample:
        """Training rows, at most MOST_ROWS. Only verdicts that need "rows" may ask."""
        found = self.part.sample(MOST_ROWS)
        assert found is not None
        return found

    @cached_property
    def validation(self) -> Sample:
        """Validation rows, likewise. Only verdicts that need "validation" may ask."""
        found = self.part.validation(MOST_ROWS)
        assert found is not None
        return found

    @cached_property
    def model(self) -> Model:
        """The network in float64, as its run ended with it."""
        return as_double(self.part.model)

    @cached_property
    def loss_and_gradient(self) -> tuple[float, Array]:
        """The loss on `rows` and its gradient, (P,), float64."""
        value, gradient = transforms.value_and_grad(self.model.objective)(self.model.theta, self.rows.x, self.rows.y)
        return float(value), np.asarray(gradient)

    @cached_property
    def layers(self) -> tuple[LayerSeen, ...]:
        """Every layer on some of the training rows, as the run ended with it."""
        return self._followed(self.model)

    @cached_property
    def layers_at_first(self) -> tuple[LayerSeen, ...]:
        """Every layer with the parameters that the training began with; () where they are not known."""
        job = self.part.job
        if job is None or not self.opened.replays or self.part is not self.opened.parts[0]:
            return ()
        return self._followed(as_double(replace(job.model, encoder=None, decoder=None)))

    @cached_property
    def standpoint(self) -> Standpoint:
        """Gradient, curvature and further steps where the run ended. Only verdicts that need "rows" may ask."""
        return Standpoint(self.part, self.opened.replays, len(self.opened.parts), self.shared)

    def _followed(self, model: Model) -> tuple[LayerSeen, ...]:
        found = self.part.sample(MOST_FOLLOWED)
        assert found is not None
        x = tree.map(in_float64, found.x)
        with np.errstate(all="ignore"):
            passes = once_through(model, x, lambda output: model.loss.function(output, found.y))
        seen = passes.outermost(model)
        params = model.params if isinstance(model.network, Sequential) else (model.params,)
        inputs = [x, *(output for _, output, _ in seen)]
        deltas = [passes.x_deltas.get("x"), *(delta for _, _, delta in seen)]
        return tuple(
            LayerSeen(
                f"layer {place}, {label(layer)}", layer, params[place], inputs[place], output, deltas[place], delta
            )
            for place, (layer, output, delta) in enumerate(seen)
        )

    def has(self, need: str) -> bool:
        """Whether what a verdict needs is there."""
        if need == "rows":
            return self.part.job is not None
        if need == "validation":
            return self.part.job is not None and self.part.job.validation is not None
        return bool(self.events)


__all__ = ["MOST_ROWS", "Case", "LayerSeen"]
