"""Lesson `mini-batch`: the wish of one row against the average of all, and the noise of the batches between."""

from dataclasses import dataclass, replace

import numpy as np

from fallline import transforms
from fallline.data.sets import load
from fallline.graph.op import Array
from fallline.insight.picture import bars, line_chart, table
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import formula, heading, page, title, words
from fallline.lessons.walk import duration
from fallline.nn import Model, mlp
from fallline.optim import GradientDescent
from fallline.ranges import SEED, Range
from fallline.start import fit
from fallline.typesetting import number

SIZES = (1, 4, 16, 64, 256)
DRAWS = 400  # batches drawn for the noise of one size
RATES = (0.05, 0.2, 0.8)  # tried for each batch size; the best one is shown
COURSES = (1, 8, 64, 512)
BINS = np.linspace(-1, 1, 9)


@dataclass(frozen=True)
class Wish:
    """One row's own step, learning_rate times its gradient. cosine: between its gradient and the mean of all.

    own, everyone: the loss of the row, and of all rows, before and after the step.
    """

    row: int
    label: int
    length: float
    cosine: float
    own: tuple[float, float]
    everyone: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Noise:
    """size: rows of a batch. seen: how far its gradient is from that of all rows, the root of the mean square over
    many draws; expected: by the formula.
    """

    size: int
    seen: float
    expected: float


@dataclass(frozen=True, eq=False)
class Course:
    """A training with one batch size. seconds, losses: at the end of every epoch."""

    size: int
    learning_rate: float
    steps: int
    seconds: Array
    losses: Array

    @property
    def each(self) -> float:
        """Seconds of one step."""
        return float(self.seconds[-1]) / self.steps

    def at(self, seconds: float) -> float:
        """The loss of the last epoch that was done by then; infinite before the first."""
        done = int(np.searchsorted(self.seconds, seconds, side="right"))
        return float(self.losses[done - 1]) if done else float("inf")


@dataclass(frozen=True, eq=False)
class MiniBatch:
    """wishes: of some rows. average: the loss of all before and after a step along the mean gradient, of `length`.

    cosines: of every row's gradient with the mean; row_length: of one on average. spread: S, the sum of
    the variances of the gradient's elements.
    """

    rows: int
    learning_rate: float
    epochs: int
    wishes: tuple[Wish, ...]
    average: tuple[float, float]
    length: float
    cosines: Array
    row_length: float
    spread: float
    noises: tuple[Noise, ...]
    courses: tuple[Course, ...]

    @property
    def noise_scale(self) -> float:
        """The batch size whose noise is as long as the gradient: S / |g|^2.

        Source: McCandlish, Kaplan, Amodei 2018, An empirical model of large-batch training, arXiv:1812.06162, eq. 2.9.
        """
        return self.spread / self.length**2


def distances(gradients: Array, size: int, draws: int, rng: np.random.Generator) -> float:
    """How far the mean of `size` rows' gradients, drawn without replacement, is from that of all: root mean square."""
    mean = gradients.mean(axis=0)
    found = [gradients[rng.choice(len(gradients), size, replace=False)].mean(axis=0) - mean for _ in range(draws)]
    return float(np.sqrt(np.mean([d @ d for d in found])))


def wishes(model: Model, gradients: Array, x: Array, y: Array, learning_rate: float, chosen: Array) -> list[Wish]:
    """The steps that these rows ask for, tried out one at a time."""
    loss = transforms.compile(model.objective)
    mean = gradients.mean(axis=0)
    cosines = gradients @ mean / (np.linalg.norm(gradients, axis=1) * np.linalg.norm(mean))
    before = float(loss(model.theta, x, y))
    found = []
    for i in chosen:
        moved, one = model.theta - learning_rate * gradients[i], slice(i, i + 1)
        own = [float(loss(theta, x[one], y[one])) for theta in (model.theta, moved)]
        everyone = (before, float(loss(moved, x, y)))
        length = float(np.linalg.norm(gradients[i]))
        found.append(Wish(int(i), int(y[i]), length, float(cosines[i]), (own[0], own[1]), everyone))
    return found


def course(size: int, x: Array, y: Array, passes: int, seed: int) -> Course:
    """The best of a few learning rates for this batch size, by the loss at the end."""
    found = []
    for rate in RATES:
        run = fit(mlp((32,), 10), (x.astype(np.float32), y), loss="cross_entropy", optimizer=GradientDescent(rate),
                  epochs=passes, batch_size=min(size, len(x)), seed=seed, threads=1)  # fmt: skip
        losses = np.array([event.loss for event in run.epochs])
        seconds = np.cumsum([event.seconds for event in run.epochs])
        found.append(Course(size, rate, run.epochs[-1].step if run.epochs else 0, seconds, losses))
    return min(found, key=lambda one: one.losses[-1] if one.losses.size == passes else np.inf)


def tell(result: MiniBatch, *, width: int, ascii_only: bool) -> list[str]:
    rows = [
        [str(w.row), w.label, f"{w.length:.3f}", f"{w.cosine:+.2f}", f"{w.own[0]:.4f} -> {w.own[1]:.4f}",
         f"{w.everyone[1] - w.everyone[0]:+.4f}"]
        for w in result.wishes
    ]  # fmt: skip
    rows.append(
        ["mean of all", "", f"{result.length:.3f}", "+1.00", "", f"{result.average[1] - result.average[0]:+.4f}"]
    )
    counts, _ = np.histogram(result.cosines, BINS)
    shares = {f"{low:+.2f} to {high:+.2f}": int(n) for low, high, n in zip(BINS, BINS[1:], counts)}
    against = float(np.mean(result.cosines < 0))
    noises = [
        [n.size, number(n.seen), number(n.expected), f"{100 * abs(n.seen / n.expected - 1):.1f} %",
         f"{n.seen / result.length:.2f}"]
        for n in result.noises
    ]  # fmt: skip
    curves = {f"{c.size} in a batch": (c.seconds, c.losses) for c in result.courses}
    soon = min(float(c.seconds[-1]) for c in result.courses)
    then = {c.size: number(c.at(soon)) if np.isfinite(c.at(soon)) else "none yet" for c in result.courses}
    courses = [
        [c.size, c.learning_rate, f"{c.steps:,}", duration(c.each), then[c.size],
         number(float(c.losses[-1]))]
        for c in result.courses
    ]  # fmt: skip
    least, most = result.courses[0], result.courses[-1]
    ahead = min(result.courses, key=lambda c: c.at(soon))
    return [
        page([
            title("Mini-batch: what one row wants, and what all want", ascii_only=ascii_only),
            words(f"""The loss is a mean over rows, so its gradient is the mean of the rows' gradients. Each row asks
                for its own step. A network for {result.rows:,} digits, after {result.epochs}
                {"pass" if result.epochs == 1 else "passes"} over them, and a step of {number(result.learning_rate)}
                times a row's own gradient:""", width),
            table(rows, ["row", "digit", "|gradient|", "cosine", "its own loss", "of all"], width=width,
                  ascii_only=ascii_only),
            words("""The last column is the change of the loss of all rows. A row's own step makes its own loss fall.
                Where its cosine with the mean is below zero, the others lose by it; above, they gain, unless the
                step is too long for them. The last line is the step of the mean.""", width),
        ]),
        page([
            heading("How far rows agree with the mean", ascii_only=ascii_only),
            bars(shares, width=min(width, 76), title="Rows by the cosine of their gradient with the mean",
                 ascii_only=ascii_only),
            words(f"""{100 * against:.0f} % of the rows pull against the mean; they are outvoted. A row's gradient is
                {number(result.row_length, 3)} long on average, and the mean of all is {number(result.length, 3)}
                long: the larger part of what rows ask for cancels.""", width),
        ]),
        page([
            heading("The noise of a batch", ascii_only=ascii_only),
            words("""A batch asks B rows. Its gradient is right on average, and off by a noise that falls with the
                square root of B. With S the variance of the rows' gradients, all elements together, and N
                rows:""", width),
            formula("noise = sqrt(S / B * (1 - B / N))"),
            table(noises, ["B", f"seen in {DRAWS} batches", "formula", "difference", "noise / |gradient|"],
                  width=width, ascii_only=ascii_only),
            words(f"""Four times the rows are four times the work, for half the noise. Noise and gradient are of the
                same length at B = S / |gradient|^2 = {number(result.noise_scale, 3)}, the noise scale: smaller
                batches waste little, larger ones repeat what is known.""", width),
        ]),
        page([
            table(courses, ["batch", "rate", "steps", "a step took", f"loss after {duration(soon)}", "loss at the end"],
                  width=width, ascii_only=ascii_only),
            line_chart(curves, log_y=True, log_x=True, width=min(width, 76), height=7, x_label="seconds",
                       title=f"Loss of {least.losses.size} passes, against time", ascii_only=ascii_only),
            words(f"""Each with the best of three learning rates. A step of {most.size} rows took
                {number(most.each / least.each, 2)} times as long as one of {least.size}: up to a point further rows
                cost little. When the first was through, after {duration(soon)}, the batch of {ahead.size} was lowest.
                """, width),
        ]),
    ]  # fmt: skip


@lesson(
    "mini-batch",
    "One row or all",
    "a row's wish against the mean; noise falls as 1 / sqrt(B)",
    tell,
    options={
        "epochs": Range("passes before the gradients are looked at", at_least=0, at_most=200, whole=True),
        "learning_rate": Range("of a row's own step", above=0, at_most=10),
        "passes": Range("of the trainings against time", at_least=1, at_most=200, whole=True),
        "seed": replace(SEED, doc="of the first weights and of the batches"),
    },
    asks=(
        ask("late in training rows agree less: a larger noise scale", epochs=40),
        ask("a long step of one row", learning_rate=1.0),
    ),
)
def mini_batch(
    epochs: int = 2, learning_rate: float = 0.05, passes: int = 20, seed: int = 0, rows: int = 1797
) -> MiniBatch:
    """Take the gradient of every row of the digits, average some, and train with batches of several sizes."""
    digits = load("digits")
    x, y = digits.x[:rows] / 16, digits.y[:rows].astype(np.int64)
    if epochs:
        model = fit(mlp((32,), 10), (x, y), loss="cross_entropy", optimizer=GradientDescent(0.1), epochs=epochs,
                    batch_size=32, dtype="float64", seed=seed).model  # fmt: skip
    else:
        model = Model.init(mlp((32,), 10), x.shape[1], loss="cross_entropy", dtype="float64", seed=seed)
    every = transforms.compile(transforms.vmap(transforms.grad(model.objective), in_axes=(None, 0, 0)))
    gradients = np.asarray(every(model.theta, x[:, None, :], y[:, None]))
    mean = gradients.mean(axis=0)
    cosines = gradients @ mean / (np.linalg.norm(gradients, axis=1) * np.linalg.norm(mean))
    order = np.argsort(cosines)
    chosen = order[np.linspace(0, len(order) - 1, 6).astype(int)]
    loss = transforms.compile(model.objective)
    average = tuple(float(loss(theta, x, y)) for theta in (model.theta, model.theta - learning_rate * mean))
    spread = float(np.sum(np.square(gradients - mean)) / (len(x) - 1))
    rng = np.random.default_rng(seed)
    noises = tuple(
        Noise(b, distances(gradients, b, DRAWS, rng), float(np.sqrt(spread / b * (1 - b / len(x)))))
        for b in SIZES if b < len(x)
    )  # fmt: skip
    return MiniBatch(
        len(x), learning_rate, epochs, tuple(wishes(model, gradients, x, y, learning_rate, chosen)),
        (average[0], average[1]), float(np.linalg.norm(mean)), cosines,
        float(np.linalg.norm(gradients, axis=1).mean()), spread, noises,
        tuple(course(size, x, y, passes, seed) for size in COURSES),
    )  # fmt: skip
