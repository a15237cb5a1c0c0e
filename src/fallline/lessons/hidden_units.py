"""Lesson `hidden-units`: what the units of a hidden layer have learnt of digits, drawn, and what each is needed for."""

from dataclasses import dataclass, replace

import numpy as np

from fallline.data.sets import load
from fallline.graph.op import Array
from fallline.insight.picture import table
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import formula, heading, page, set_off, title, words
from fallline.nn import Model, mlp
from fallline.optim import AdamW
from fallline.ranges import SEED, Range
from fallline.start import fit

CLASSES = 10
SIDE = 8  # pixels of a digit in a row
BESIDE = 4  # pictures in a row
LISTED = 8  # units in the tables
VALIDATION = 500  # rows that no training sees
POINTS = 5  # percentage points of a class that count as a loss
STRONG, WEAK = 0.6, 0.25  # shares of the largest weight from which a pixel is drawn


@dataclass(frozen=True, eq=False)
class HiddenUnits:
    """A trained network of one hidden layer; units in the order of what their removal costs, the dearest first.

    first, before: pictures of their weights (units, pixels) after and before training, each weight times the
    standard deviation of its pixel. second: (units, classes). active: the share of validation rows at which a unit is
    above 0. right: by class, the share of validation rows that are right; without: the same with one unit's output
    held at its mean over the training rows (units, classes). all_right, all_without: of all rows.
    dropped: the share that is right when none, the last of the order, the last two, ... all are held.
    """

    rows: int
    epochs: int
    first: Array
    before: Array
    second: Array
    active: Array
    right: Array
    without: Array
    all_right: float
    all_without: Array
    dropped: Array

    def votes(self, unit: int) -> tuple[list[int], list[int]]:
        """The two classes whose logits a unit raises most, and the two that it lowers most or raises least."""
        order = np.argsort(-self.second[unit])
        return order[:2].tolist(), order[:-3:-1].tolist()

    @property
    def kinship(self) -> Array:
        """The cosine between the weights of each unit before and after training."""
        lengths = np.linalg.norm(self.first, axis=1) * np.linalg.norm(self.before, axis=1)
        found: Array = np.sum(self.first * self.before, axis=1) / np.where(lengths == 0, 1, lengths)
        return found


def drawn(weights: Array, ascii_only: bool) -> list[str]:
    """A picture of weights, two columns a pixel: dark where a bright pixel excites, dashes where it inhibits."""
    marks = ("==", "--", "  ", "++", "##") if ascii_only else ("══", "──", "  ", "▒▒", "██")
    share = weights.reshape(SIDE, SIDE) / (float(np.abs(weights).max()) or 1.0)
    places = np.searchsorted([-STRONG, -WEAK, WEAK, STRONG], share, side="right")
    return ["".join(marks[place] for place in line) for line in places]


def beside(blocks: list[list[str]], gap: int = 2) -> str:
    """Blocks of lines next to one another."""
    widest = [max(map(len, block)) for block in blocks]
    lines = zip(*blocks, strict=True)
    return "\n".join((" " * gap).join(one.ljust(w) for one, w in zip(line, widest)).rstrip() for line in lines)


def gallery(result: HiddenUnits, units: range, width: int, ascii_only: bool, *, old: bool = False) -> str:
    """Pictures of some units with their numbers, and below those after training the classes they vote for."""
    blocks = []
    for k in units:
        picture = drawn((result.before if old else result.first)[k], ascii_only)
        yes, no = result.votes(k)
        under = [] if old else [f"for {yes[0]} {yes[1]}, not {no[0]} {no[1]}"]
        blocks.append([f"unit {k + 1}", *picture, *under])
    row = max(min((width + 1) // 20, BESIDE), 1)
    return "\n\n".join(set_off(beside(blocks[k : k + row])) for k in range(0, len(blocks), row))


def outputs(hidden: Array, model: Model) -> Array:
    """The logits from the values of the hidden units."""
    last = model.params[-1]
    found: Array = hidden @ last["weight"] + last["bias"]
    return found


def shares(logits: Array, y: Array) -> tuple[Array, float]:
    """The share of rows that are right: by class, and of all."""
    right = logits.argmax(axis=1) == y
    return np.array([right[y == k].mean() if (y == k).any() else np.nan for k in range(CLASSES)]), float(right.mean())


def tell(result: HiddenUnits, *, width: int, ascii_only: bool) -> list[str]:
    count = len(result.first)
    listed = range(min(count, LISTED))
    galleries = [range(k, min(k + BESIDE, len(listed))) for k in range(0, len(listed), BESIDE)]
    most = f" The {LISTED} that are needed most:" if count > LISTED else ""
    dark, light, dash, double = ("##", "++", "--", "==") if ascii_only else ("██", "▒▒", "──", "══")
    digits = [str(k) for k in range(CLASSES)]
    second = [[f"unit {k + 1}", *(f"{one:+.1f}" for one in result.second[k]), f"{100 * result.active[k]:.0f} %"]
              for k in listed]  # fmt: skip
    lost = [
        [f"unit {k + 1}", *(f"{100 * one:+.0f}" for one in result.without[k] - result.right),
         f"{100 * (result.all_without[k] - result.all_right):+.1f}"]
        for k in listed
    ]  # fmt: skip
    worst = int(np.nanargmin(result.without[0] - result.right))
    yes, no = result.votes(0)
    voted = "for" if worst in yes else "against" if worst in no else "neither much for nor against"
    hurt = float(np.mean(np.sum(result.without - result.right < -POINTS / 100, axis=0)))
    seen = ("Edges and pieces of strokes, rarely whole digits: several classes share them." if result.epochs else
            "All noise: nothing has been learnt.")  # fmt: skip
    drops = sorted({*range(0, count + 1, max(count // 8, 1)), count})
    kin = result.kinship[: len(listed)]
    return [
        page([
            title("Hidden units: what they look for", ascii_only=ascii_only),
            words(f"""{result.rows} digits of {SIDE} x {SIDE} pixels, {count} hidden
                {"units" if count > 1 else "unit"}, {result.epochs} epochs; {100 * result.all_right:.1f} % of
                {VALIDATION} other rows are right. A unit has a weight for each pixel, so its weights are a picture.
                {dark} {light}: a bright pixel excites it; {dash} {double}: it inhibits.{most}""", width),
            gallery(result, galleries[0], width, ascii_only),
            words(f"Below each the classes that its output weights speak for and against. {seen}", width),
        ]),
        *([page([heading("The next ones", ascii_only=ascii_only), gallery(result, galleries[1], width, ascii_only)])]
          if len(galleries) > 1 else []),
        page([
            heading("Before training", ascii_only=ascii_only),
            words("The same units as on the first screen, as they were drawn at random:", width),
            gallery(result, galleries[0], width, ascii_only, old=True),
            words(f"""The cosine of a unit's first weights and its last is {kin.mean():.2f} on average. The start
                is noise, and which unit becomes what is chance: another seed brings other pictures in another order.
                Pictures show each weight times the standard deviation of its pixel: a pixel at the border, which is
                never bright, counts for nothing.""", width),
        ]),
        page([
            heading("Which unit votes for which class", ascii_only=ascii_only),
            words("""A logit is the sum of the units' values, each times its output weight for the class, and a bias.
                Weights of the output layer, and the share of rows at which a unit is above 0:""", width),
            table(second, ["", *digits, "active"], width=width, ascii_only=ascii_only),
        ]),
        page([
            heading("Remove one unit: which classes suffer?", ascii_only=ascii_only),
            words("""Its value is held at its mean over the training rows. Change of the rows that are right, in
                percentage points, by class:""", width),
            table(lost, ["without", *digits, "all rows"], width=width, ascii_only=ascii_only),
            words(f"""Without unit 1 class {worst} suffers most, which the unit speaks {voted}. A class
                loses {POINTS} points or more by {hurt:.1f} of the units on average. Right when several are held at
                once, those needed least first:""", width),
            formula("units held   " + "  ".join(f"{k:>4}" for k in drops) + "\n"
                    "right, in %  " + "  ".join(f"{100 * result.dropped[k]:4.0f}" for k in drops)),
        ]),
    ]  # fmt: skip


@lesson(
    "hidden-units",
    "What units look for",
    "weights of a network on digits, drawn; who needs which unit",
    tell,
    options={
        "units": Range("of the hidden layer", at_least=1, at_most=64, whole=True),
        "epochs": Range("of training", at_least=0, at_most=300, whole=True),
        "weight_decay": Range("of the weights, which smooths pictures", at_least=0, at_most=10),
        "seed": replace(SEED, doc="of the first weights and of the order of rows"),
    },
    asks=(
        ask("many units: is each of them needed?", units=32),
        ask("three units for ten classes", units=3),
        ask("without decay: more noise in the pictures?", weight_decay=0.0),
        ask("before training", epochs=0),
    ),
)
def hidden_units(units: int = 8, epochs: int = 40, weight_decay: float = 0.3, seed: int = 0) -> HiddenUnits:
    """Train one hidden layer on the digits, draw its weights, and take its units away one at a time."""
    digits = load("digits")
    order = np.random.default_rng(0).permutation(len(digits))
    x, y = digits.x[order] / 16, digits.y[order].astype(np.int64)
    x = x - x[:-VALIDATION].mean(axis=0)
    seen, its, other, truth = x[:-VALIDATION], y[:-VALIDATION], x[-VALIDATION:], y[-VALIDATION:]
    start = Model.init(mlp((units,), CLASSES), x.shape[1], loss="cross_entropy", dtype="float64", seed=seed)
    model = fit(start, (seen, its), optimizer=AdamW(0.01, weight_decay=weight_decay), epochs=epochs, batch_size=32,
                seed=seed, threads=1).model if epochs else start  # fmt: skip

    def values(rows: Array) -> Array:
        found: Array = np.maximum(rows @ model.params[0]["weight"] + model.params[0]["bias"], 0)
        return found

    hidden, mean = values(other), values(seen).mean(axis=0)
    right, all_right = shares(outputs(hidden, model), truth)

    def held(which: Array) -> tuple[Array, float]:
        return shares(outputs(np.where(np.isin(np.arange(units), which), mean, hidden), model), truth)

    removed = [held(np.array([k])) for k in range(units)]
    ranks = np.argsort([one for _, one in removed], kind="stable")
    scale = seen.std(axis=0)
    return HiddenUnits(
        len(seen), epochs, model.params[0]["weight"].T[ranks] * scale, start.params[0]["weight"].T[ranks] * scale,
        model.params[-1]["weight"][ranks], (hidden > 0).mean(axis=0)[ranks], right,
        np.array([removed[k][0] for k in ranks]), all_right, np.array([removed[k][1] for k in ranks]),
        np.array([held(ranks[units - k :])[1] for k in range(units + 1)]),
    )  # fmt: skip
