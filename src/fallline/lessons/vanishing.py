"""Lesson `vanishing`: the gradient on its way back through many layers, and the units that let none through."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.data.sets import load
from fallline.graph.op import Array
from fallline.insight.picture import line_chart, table
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import formula, heading, page, title, words
from fallline.nn import Dense, LeakyReLU, Model, ReLU, Scaled, Sequential, Sigmoid, Tanh
from fallline.optim import GradientDescent
from fallline.ranges import Range
from fallline.start import fit
from fallline.typesetting import number

LEAK = 0.1
MOST_LAYERS = 8  # of a table


@dataclass(frozen=True)
class Bend:
    """An activation: the layer, its value and its slope at z, written down a second time."""

    layer: Any
    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


BENDS = {
    "sigmoid": Bend(Sigmoid(), sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": Bend(Tanh(), np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": Bend(ReLU(), lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "leaky relu": Bend(LeakyReLU(LEAK), lambda z: np.where(z > 0, z, LEAK * z), lambda z: np.where(z > 0, 1.0, LEAK)),
}
# Each activation with the variance of weights, times the inputs, that suits it; and others.
STARTS = (("sigmoid", 1.0), ("sigmoid", 16.0), ("tanh", 1.0), ("relu", 2.0), ("relu", 1.0), ("relu", 4.0))
RATES = (0.01, 0.1, 1.0)


@dataclass(frozen=True, eq=False)
class Layers:
    """One network, layer by layer from the first hidden one. gradients: lengths of the weights' gradients, the output
    layer's last. factors: what a layer passes back, the delta before it over the delta after it (root mean square),
    seen and by the formula; one for each pair of hidden layers. dead: the share of units with slope 0 for every row.
    """

    gradients: Array
    seen: Array
    expected: Array
    dead: float


@dataclass(frozen=True, eq=False)
class Start:
    """A network with weights of variance gain / inputs. loss: after training."""

    bend: str
    gain: float
    layers: Layers
    loss: float


@dataclass(frozen=True, eq=False)
class Dying:
    """ReLU networks trained with one rate: dead: the share of dead units at the end; leaky: the loss of a leaky one."""

    learning_rate: float
    dead: float
    loss: float
    leaky: float


@dataclass(frozen=True, eq=False)
class Vanishing:
    """starts: networks of each activation with first weights of several sizes. dying: ReLU trained at several rates."""

    depth: int
    units: int
    epochs: int
    starts: tuple[Start, ...]
    dying: tuple[Dying, ...]


def network(bend: str, gain: float, depth: int, width: int) -> Sequential:
    """`depth` hidden layers of `width` units, and ten outputs."""
    hidden = (layer for _ in range(depth) for layer in (Dense(width, initializer=Scaled(gain)), BENDS[bend].layer))
    return Sequential(*hidden, Dense(10, initializer=Scaled(1.0)))


def through(params: Any, bend: Bend, gain: float, x: Array, y: Array) -> Layers:
    """Forward and backward by hand: delta_l = (delta_{l+1} W') * slope(z_l). The loss is the mean cross-entropy."""
    dense = [layer for layer in params if layer]
    inputs, sums = [x], []
    for layer in dense:
        sums.append(inputs[-1] @ layer["weight"] + layer["bias"])
        inputs.append(bend.value(sums[-1]))
    logits = sums[-1] - sums[-1].max(axis=1, keepdims=True)
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    deltas = [(share - np.eye(10)[y]) / len(y)]
    for layer, z in zip(dense[:0:-1], sums[-2::-1]):
        deltas.append((deltas[-1] @ layer["weight"].T) * bend.slope(z))
    deltas.reverse()
    gradients = np.array([np.linalg.norm(i.T @ d) for i, d in zip(inputs, deltas)])
    size = np.array([np.sqrt(np.mean(d**2)) for d in deltas[:-1]])
    slopes = [bend.slope(z) for z in sums[:-1]]
    expected = np.array([np.sqrt(gain * np.mean(s**2)) for s in slopes[:-1]])
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = size[:-1] / size[1:]
    dead = float(np.mean([(np.abs(s).max(axis=0) == 0).mean() for s in slopes]))
    return Layers(gradients, seen, expected, dead)


def tell(result: Vanishing, *, width: int, ascii_only: bool) -> list[str]:
    plain = {s.bend: s.layers for s in result.starts if (s.bend, s.gain) in (("sigmoid", 1), ("tanh", 1), ("relu", 2))}
    last = result.depth
    shown = sorted({round(i) for i in np.linspace(0, last, min(MOST_LAYERS, last) + 1)})
    rows = [
        [str(k + 1) if k < last else "output", *(number(float(layers.gradients[k]), 3) for layers in plain.values())]
        for k in shown
    ]  # fmt: skip
    starts = [
        [s.bend, f"{s.gain:g} / inputs", f"{geometric(s.layers.expected):.3f}", f"{geometric(s.layers.seen):.3f}",
         number(float(s.layers.gradients[0] / s.layers.gradients[-1]), 2), number(s.loss)]
        for s in result.starts
    ]  # fmt: skip
    before = next(s.layers.dead for s in result.starts if (s.bend, s.gain) == ("relu", 2))
    dying = [[number(d.learning_rate), f"{100 * d.dead:.0f} %", number(d.loss), number(d.leaky)] for d in result.dying]
    curves = {name: (np.arange(1, last + 2), layers.gradients) for name, layers in plain.items()}
    s = plain["sigmoid"]
    return [
        page([
            title("Vanishing: the gradient on its way back", ascii_only=ascii_only),
            words(f"""A network for digits with {last} hidden layers of {result.units} units, before its
                first step. Backward, each layer multiplies by its weights and by the slope of its
                activation:""", width),
            formula("delta before = (delta after * W') * slope(z)"),
            words("The slope of a sigmoid is 1/4 at most, of tanh 1 at most, of ReLU 0 or 1. The gradients:", width),
            table(rows, ["layer", *plain], width=width, ascii_only=ascii_only),
        ]),
        page([
            line_chart(curves, log_y=True, width=min(width, 76), height=13, points=True, ascii_only=ascii_only,
                       title="Length of the gradient of each layer's weights", x_label="layer, the output last"),
            words(f"""The first sigmoid layer gets {number(float(s.gradients[0] / s.gradients[-1]), 2)} of
                the output layer's gradient: it stands still while the last ones learn from what it makes.""", width),
        ]),
        page([
            heading("The first weights decide", ascii_only=ascii_only),
            words(f"""With weights of variance gain / inputs a layer passes back, on average, sqrt(gain *
                mean slope^2) of the delta. ReLU lets half through, so a gain of 2 makes it 1. First / last:
                gradients of the first and the last layer. The loss begins near log(10) = 2.303; here it is
                after {result.epochs} passes with a rate of 0.1:""", width),
            table(starts, ["activation", "variance", "a layer passes", "seen", "first / last", "loss"], width=width,
                  ascii_only=ascii_only),
            words("""Below 1 the delta vanishes, above 1 it explodes, each layer once more. A larger gain
                does not save the sigmoid: its units saturate, and the slope falls.""", width),
        ]),
        page([
            heading("Dead units", ascii_only=ascii_only),
            words(f"""A ReLU unit whose sum is below 0 for every row has slope 0 for every row: no gradient,
                no step, no way back. Long steps make them. {result.epochs} passes at several rates, beside a
                leaky ReLU with slope {LEAK} below 0:""", width),
            table([["before it", f"{100 * before:.0f} %", "", ""], *dying],
                  ["learning rate", "dead units", "loss", "loss, leaky ReLU"], width=width, ascii_only=ascii_only),
        ]),
    ]  # fmt: skip


def geometric(factors: Array) -> float:
    """The mean of factors that multiply; NaN where there are none."""
    good = factors[np.isfinite(factors) & (factors > 0)]
    return float(np.exp(np.mean(np.log(good)))) if good.size else float("nan")


@lesson(
    "vanishing",
    "The gradient on its way back",
    "sigmoid against ReLU by layer, first weights, dead units",
    tell,
    options={
        "depth": Range("hidden layers", at_least=2, at_most=30, whole=True),
        "units": Range("units of each", at_least=4, at_most=128, whole=True),
        "epochs": Range("passes of the trainings", at_least=1, at_most=200, whole=True),
    },
    asks=(
        ask("two layers: nothing vanishes yet", depth=2),
        ask("fifteen layers: is ReLU still even?", depth=15),
    ),
)
def vanishing(depth: int = 8, units: int = 32, epochs: int = 10, rows: int = 1797) -> Vanishing:
    """Follow the gradient of deep networks from layer to layer, train them, and count the units that died."""
    digits = load("digits")
    x, y = digits.x[:rows] / 16, digits.y[:rows].astype(np.int64)
    x = x - x.mean(axis=0)

    def trained(bend: str, gain: float, rate: float) -> Any:
        return fit(network(bend, gain, depth, units), (x, y), loss="cross_entropy", optimizer=GradientDescent(rate),
                   epochs=epochs, batch_size=32, dtype="float64", seed=0, threads=1)  # fmt: skip

    starts = []
    for bend, gain in STARTS:
        model = Model.init(network(bend, gain, depth, units), x.shape[1], loss="cross_entropy", dtype="float64", seed=0)
        run = trained(bend, gain, 0.1)
        loss = float(run.epochs[-1].loss) if run.epochs else float("nan")
        starts.append(Start(bend, gain, through(model.params, BENDS[bend], gain, x, y), loss))
    dying = []
    for rate in RATES:
        one, leaky = (trained(bend, 2.0, rate) for bend in ("relu", "leaky relu"))
        with np.errstate(over="ignore", invalid="ignore"):  # of a training that diverged
            dead = through(one.model.params, BENDS["relu"], 2.0, x, y).dead
        losses = [float(run.epochs[-1].loss) if run.epochs else float("nan") for run in (one, leaky)]
        dying.append(Dying(rate, dead, losses[0], losses[1]))
    return Vanishing(depth, units, epochs, tuple(starts), tuple(dying))
