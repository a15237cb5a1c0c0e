"""Verdict `idle_units`: units that give one value whatever comes in, or that no gradient passes any more.

Which layers bend values one by one is found out from their derivatives, so it holds for activations of one's own.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fallline import transforms
from fallline.arrays import Array
from fallline.diagnosis.case import Case, LayerSeen
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.settings_to_try import as_typed
from fallline.diagnosis.verdict_table import verdict
from fallline.errors import DataError
from fallline.nn import ACTIVATIONS
from fallline.nn.context import Context, applied

# A slope below this lets less than a thousandth of a gradient through: a sigmoid at 6.9, a tanh at 4.1.
FLAT = 1e-3
# The share of rows on which a silent unit is flat: there it gives one value, and tells a rare thing on the others. In
# adult, whose inputs have many rare levels, 5 of 32 units begin so: they are counted, and nobody is warned of them.
SILENT = 0.99
# The share of rows on which a saturated unit is flat, at both of its ends: its output still varies. A unit of ReLU that
# is 0 on 95 % of the rows is neither.
SATURATED = 0.9
# Rows of which a unit has to be idle on all to be called dead, at least.
FEWEST = 50
# The share of a layer's units that are dead, or saturated, from which on it is warned of.
MANY = 0.5


@dataclass(frozen=True, slots=True)
class Idle:
    """A layer that bends values: its place among the layers, its units, and how many are dead, silent or saturated."""

    place: int
    name: str
    units: int
    dead: int
    silent: int
    saturated: int

    @property
    def share(self) -> float:
        return (self.dead + self.saturated) / self.units

    @property
    def text(self) -> str:
        return f"{self.dead} dead, {self.silent} silent, {self.saturated} saturated"


def slopes_of(seen: LayerSeen) -> Array | None:
    """The derivative of each output of a layer with respect to the input in its place; None where a layer mixes them.

    A layer that has one of these shapes and mixes values gives changes at places where the input did not change.
    """
    x, y = seen.inputs, seen.output
    if not isinstance(x, np.ndarray) or x.shape != y.shape or x.dtype.kind != "f" or x.ndim < 2:
        return None

    def of_input(values: Array) -> Array:
        out: Array = applied(seen.layer, seen.params, values, Context(dtype=np.float64))
        return out

    some = np.random.default_rng(0).random(x.shape[1:]) < 0.5
    few = x[:2]
    _, change = transforms.jvp(of_input)(few, np.broadcast_to(np.where(some, 1.0, 0.0), few.shape).copy())
    if np.any(np.asarray(change)[:, ~some]):
        return None
    _, slopes = transforms.jvp(of_input)(x, np.ones_like(x))
    found: Array = np.asarray(slopes)
    # One slope for all values: a scale, a shift, a dropout that is off. It bends nothing.
    if not len(found) or np.all(found == found[:1]):
        flat = np.all(found == 0) and not np.all(x == x[:1])
        return found if flat else None
    return found


def idle_in(layers: tuple[LayerSeen, ...]) -> Iterator[Idle]:
    """Each layer that bends values, with its idle units. A unit is a place on the last axis."""
    for place, seen in enumerate(layers):
        slopes = None if place == len(layers) - 1 else slopes_of(seen)
        if slopes is None:
            continue
        units = slopes.shape[-1]
        flat, values = np.abs(slopes).reshape(-1, units) < FLAT, seen.output.reshape(-1, units)
        alike = FLAT * max(float(np.abs(values).max()), 1e-300)
        lowest, highest = np.where(flat, values, np.inf).min(axis=0), np.where(flat, values, -np.inf).max(axis=0)
        one_end, share = highest - lowest <= alike, flat.mean(axis=0)
        dead = (share == 1) & one_end
        silent, saturated = (share >= SILENT) & one_end & ~dead, (share >= SATURATED) & ~one_end
        yield Idle(place, seen.name, units, int(dead.sum()), int(silent.sum()), int(saturated.sum()))


@verdict("idle_units", "units that are dead, or saturated on nearly all rows, by layer", order=30)
def idle_units(case: Case) -> Iterator[Finding]:
    """Layers in which so many units are idle that the network is a narrower one than it looks."""
    if len(case.layers[-1].output) < FEWEST:
        raise DataError(f"fewer than {FEWEST} training rows do not tell that a unit is dead")
    found = list(idle_in(case.layers))
    bad = [one for one in found if one.share >= MANY]
    if not bad:
        return
    worst = max(bad, key=lambda one: one.share)
    at_first = {one.name: one for one in idle_in(case.layers_at_first)}
    begun = at_first.get(worst.name)
    rows = len(case.layers[worst.place].output)
    kind = max(("dead", "saturated"), key=lambda name: getattr(worst, name))
    means = {
        "dead": "they give one value for every row, and no gradient reaches their weights",
        "saturated": "their slope is near zero on nearly all rows, and hardly any gradient passes them",
    }[kind]
    says = f"In {worst.name} {getattr(worst, kind)} of {worst.units} units are {kind}: {means}."
    if worst.dead == worst.units:
        says += " Nothing that comes in reaches the layers after it."
    evidence = [
        Evidence(one.name, f"{one.text} of {one.units}", threshold=f"below {100 * MANY:.0f} %") for one in found
    ]
    was_so = begun is not None and begun.share >= MANY
    if begun is not None:
        evidence.append(Evidence("before the first step", begun.text, threshold=worst.name))
    evidence.append(Evidence("training rows looked at", rows, threshold=f"flat: a slope below {FLAT:g}"))
    yield Finding(
        "idle_units",
        says + _since(begun is not None, was_so),
        tuple(evidence),
        tries=_tries(case, kind, begun is None or was_so, begun is None or not was_so),
        part=case.part.name,
        # A layer that lets nothing through is why nothing is learnt; half a layer need not be.
        explains=("plateau", "same_answer", "worse_than_linear", "underfitting") if worst.dead == worst.units else (),
    )


def _since(known: bool, was_so: bool) -> str:
    if not known:
        return ""
    return " They were so before the first step." if was_so else " They became so while training."


def _tries(case: Case, kind: str, initial: bool, by_steps: bool) -> tuple[str, ...]:
    found = []
    if by_steps:
        rates = [one.learning_rate for one in case.epochs if math.isfinite(one.learning_rate)]
        shorter = as_typed(case, "learning_rate", max(rates) / 10) if rates else ""
        found.append(f"steps that are too long push units there: {shorter or 'a learning rate of a tenth'}")
    if initial:
        found.append("inputs with mean 0 and deviation 1, and the initialiser that suits: Dense(units)")
    if kind == "saturated":
        found.append(f"relu does not saturate above zero: {_activation(case, 'relu')}")
    else:
        found.append(f"the slope of leaky_relu is nowhere zero: {_activation(case, 'leaky_relu')}")
    return tuple(found)


def _activation(case: Case, name: str) -> str:
    return as_typed(case, "activation", name) or f"fl.nn.{ACTIVATIONS[name].__name__}()"


__all__ = ["FLAT", "MANY", "SATURATED", "SILENT", "Idle", "idle_in", "slopes_of"]
