"""The space that a search draws candidates from: ingredients of the default preset, each with what it may be.

The first candidate is the preset as it is. Others follow from the seed and their number alone, so a search that has
more time tries the same ones first.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.feeds.order import stream
from fallline.ranges import short

Generator = np.random.Generator


@dataclass(frozen=True, slots=True)
class Axis:
    """An ingredient that varies. doc: its values in words. draw: one of them, for a task, from a generator."""

    doc: str
    draw: Callable[[Generator, str], Any]


def one_of(*values: Any, weights: tuple[float, ...] | None = None) -> Axis:
    """One of some values, equally often or by weights that sum to 1."""
    doc = ", ".join(map(short, values))
    return Axis(doc, lambda rng, task: values[rng.choice(len(values), p=weights)])


def log_uniform(classification: tuple[float, float], regression: tuple[float, float], none: float = 0.0) -> Axis:
    """A number between two ends whose logarithm is spread evenly; 0 with the probability `none`."""

    def draw(rng: Generator, task: str) -> float:
        if rng.random() < none:
            return 0.0
        low, high = classification if task == "classification" else regression
        return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.3g}")

    return Axis(f"{classification[0]:g} to {classification[1]:g}, for quantities {regression[0]:g} to "
                f"{regression[1]:g}", draw)  # fmt: skip


# After the space that RealMLP was tuned in (Holzmueller, Grinsztajn, Steinwart 2024, arXiv:2407.04491, appendix C),
# around what the preset has. The number of periodic is the deviation of the waves' frequencies; 0 is for no waves.
SPACE: Mapping[str, Axis] = {
    "hidden": one_of((256, 256, 256), (512,), (64, 64, 64, 64, 64), weights=(0.6, 0.2, 0.2)),
    "activation": one_of("selu", "mish", "relu"),
    "learning_rate": log_uniform((0.01, 0.1), (0.03, 0.3)),
    "weight_decay": one_of(0.0, 0.02),
    "dropout": one_of(0.0, 0.05, 0.15, 0.3),
    "periodic": log_uniform((1.0, 16.0), (0.25, 4.0), none=0.25),
    "label_smoothing": one_of(0.0, 0.1, weights=(0.7, 0.3)),
}


def candidate(number: int, seed: int, task: str) -> dict[str, Any]:
    """The ingredients of a candidate that differ from the preset's; {} for candidate 0.

    Example: candidate(3, seed=0, task="regression")["learning_rate"]
    """
    if not number:
        return {}
    rng = stream(seed, "candidates", number)
    drawn = {name: axis.draw(rng, task) for name, axis in SPACE.items()}
    if task == "regression":
        del drawn["label_smoothing"]
    return drawn


def in_words(drawn: Mapping[str, Any]) -> str:
    """A candidate in a few words."""
    if not drawn:
        return "the preset"
    widths = "-".join(map(str, drawn["hidden"]))
    rest = [f"{name.replace('_', ' ')} {short(value)}" for name, value in drawn.items()
            if name not in ("hidden", "activation")]  # fmt: skip
    return ", ".join([f"{widths} {drawn['activation']}", *rest])
