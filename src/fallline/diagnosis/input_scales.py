"""Verdicts `unscaled_inputs` and `unscaled_target`: numbers of very different size, which make descent slow.

The curvature along a weight grows with the square of its input, so the longest stable step is set by the largest
column, and the smallest learns that many times more slowly.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fallline import transforms
from fallline.arrays import Array
from fallline.diagnosis.case import Case, LayerSeen
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.judged_rows import columns_of
from fallline.diagnosis.verdict_table import verdict
from fallline.nn.context import Context, applied
from fallline.nn.layer import Dense
from fallline.typesetting import number

# Sizes of columns that differ more than this: curvatures then differ 10,000 times.
UNEVEN = 100.0
# A column whose mean is so many deviations, its own and that of the other columns, away from 0: its weight and the bias
# then pull at the same thing.
SHIFTED = 10.0
# A column of typical size beyond this; first weights are drawn for size 1. Grey levels from 0 to 16 are below, from 0
# to 255 above.
LARGE = 30.0
# A column of typical size below this: its weights have to grow a hundredfold before it counts.
SMALL = 0.01
# Rows that are an outlier of a column, as a share of all at most, and how many times farther from the middle they lie
# than all others do.
FEW, APART = 0.01, 30.0
# Of a target: what a network whose outputs begin near 0 has to travel to.
FAR = 30.0
SHOWN = 4


def entering(layers: tuple[LayerSeen, ...]) -> Array | None:
    """The inputs of the first layer that mixes columns, (n, D): scales and normalisations before it are done."""
    for seen in layers:
        x = seen.inputs
        if not isinstance(x, np.ndarray) or x.ndim < 2 or x.dtype.kind != "f":
            return None
        if x.shape != seen.output.shape or not _by_columns(seen):
            return x.reshape(len(x), -1)
    return None


def _by_columns(seen: LayerSeen) -> bool:
    """Whether each value that leaves a layer depends on the one in its place alone."""
    some = np.random.default_rng(0).random(seen.inputs.shape[1:]) < 0.5
    few = seen.inputs[:2]
    where = np.broadcast_to(np.where(some, 1.0, 0.0), few.shape).copy()
    _, change = transforms.jvp(lambda x: applied(seen.layer, seen.params, x, Context(dtype=np.float64)))(few, where)
    return not np.any(np.asarray(change)[:, ~some])


@dataclass(frozen=True, eq=False, slots=True)
class Sizes:
    """How large columns are. mean, deviation, size: (D,); size: the root mean square of the values that are not 0.

    A rare level of a category, or a pixel at the rim, is no small number. places: of columns that vary. far: of those
    whose mean is far from 0, as their own deviation and that of other columns goes.
    """

    mean: Array
    deviation: Array
    size: Array
    places: Array
    far: Array

    @staticmethod
    def of(x: Array, matter: Array | None = None) -> "Sizes | None":
        if len(x) < 2 or not np.isfinite(x).all():
            return None
        places = np.flatnonzero((np.ptp(x, axis=0) > 0) & (True if matter is None else matter))
        if not len(places):
            return None
        mean, deviation = x.mean(axis=0), x.std(axis=0)
        size = np.sqrt(np.square(x).sum(axis=0) / np.maximum((x != 0).sum(axis=0), 1))
        spread = np.maximum(deviation, np.median(deviation[places]))
        return Sizes(mean, deviation, size, places, places[np.abs(mean[places]) > SHIFTED * spread[places]])

    @property
    def typical(self) -> float:
        return float(np.median(self.size[self.places]))

    @property
    def largest(self) -> int:
        return int(self.places[np.argmax(self.size[self.places])])

    @property
    def smallest(self) -> int:
        return int(self.places[np.argmin(self.size[self.places])])

    @property
    def ratio(self) -> float:
        return float(self.size[self.largest] / self.size[self.smallest])

    @property
    def is_bad(self) -> bool:
        return bool(self.ratio > UNEVEN or not SMALL <= self.typical <= LARGE or len(self.far))


@verdict("unscaled_inputs", "inputs of very different or large size", order=45, once=True)
def unscaled_inputs(case: Case) -> Iterator[Finding]:
    """Columns whose sizes differ, whose mean is far from 0, or that are large, as the first mixing layer gets them."""
    first = case.layers[0]
    given, delta = first.inputs, first.delta_in
    if (
        not isinstance(given, np.ndarray)
        or given.ndim < 2
        or (given.dtype.kind != "f" and type(first.layer) is not Dense)
    ):
        return
    x = given.reshape(len(given), -1).astype(np.float64)
    # Codes of a table have no size, and the loss has no derivative with respect to them.
    matter = np.any(delta.reshape(x.shape) != 0, axis=0) if isinstance(delta, np.ndarray) else np.ones(x.shape[1], bool)
    found, entered = Sizes.of(x, matter), entering(case.layers)
    # Scales that were learnt tell which columns matter, not how they came; a normalisation mends what came.
    mended = None if entered is None else Sizes.of(entered)
    if found is None or not found.is_bad or (mended is not None and not mended.is_bad):
        return
    uneven, large, far = found.ratio > UNEVEN, not SMALL <= found.typical <= LARGE, found.far
    mean, deviation, size, ratio, typical = found.mean, found.deviation, found.size, found.ratio, found.typical
    largest, smallest, places = found.largest, found.smallest, found.places
    names = columns_of(case, x.shape[1])
    shown = list(dict.fromkeys([*([largest, smallest] if uneven else [largest] if large else []), *far]))[:SHOWN]
    evidence = [
        Evidence(names[i], f"{number(mean[i])} ± {number(deviation[i])}", threshold=f"typical size {number(size[i])}")
        for i in shown
    ]
    evidence.append(Evidence("largest by smallest size", ratio, threshold=f"at most {UNEVEN:g}"))
    evidence.append(Evidence("curvatures by that differ", ratio**2, "times", f"at most {UNEVEN**2:g}"))
    evidence.append(Evidence("columns far from 0", len(far), threshold=f"|mean| at most {SHIFTED:g} deviations"))
    evidence.append(Evidence("typical size of a column", typical, threshold=f"at most {LARGE:g}"))
    reasons = [
        f"sizes differ {number(ratio, 2)} times, from {names[smallest]} to {names[largest]}" if uneven else "",
        f"{len(far)} of {len(places)} columns {'lie' if len(far) > 1 else 'lies'} far from 0" if len(far) else "",
        f"columns have a typical size of {number(typical, 2)}, and first weights suit 1" if large else "",
    ]
    says = f"The inputs are not scaled: {'; '.join(one for one in reasons if one)}."
    tries = ["fl.fit(model, (x, y), encoder=fl.nn.standardise(x))"]
    astray = outliers(x[:, largest]) if uneven else np.zeros(0, np.int64)
    if len(astray):
        # A scale that these rows set would press all others together.
        where = case.part.sample(len(x))
        assert where is not None
        rows = ", ".join(str(one) for one in where.index[astray][:SHOWN])
        one = len(astray) == 1
        says += (
            f" In {names[largest]} {len(astray)} row{'s' * (not one)} alone {'does' if one else 'do'} that: row {rows}."
        )
        evidence.append(
            Evidence(
                "farthest of the others from the middle",
                float(np.abs(np.delete(x[:, largest], astray) - np.median(x[:, largest])).max()),
                threshold=f"{APART:g} times that at most",
            )
        )
        tries.insert(0, f"look at row {rows} of {names[largest]}, and correct or drop what is no measurement")
    yield Finding(
        "unscaled_inputs",
        says,
        tuple(evidence),
        tries=tuple(tries),
        explains=("plateau", "same_answer", "worse_than_linear"),
    )


def outliers(column: Array) -> Array:
    """The few rows whose value lies APART times as far from the middle as that of any other row, or none."""
    far = np.abs(column - np.median(column))
    order = np.argsort(far)
    most = int(FEW * len(column))
    for count in range(1, most + 1):
        rest = far[order[-count - 1]]
        if rest > 0 and far[order[-count]] > APART * rest:
            return np.sort(order[-count:])
    return np.zeros(0, np.int64)


@verdict("unscaled_target", "a target far from 0 or of large size", order=46, once=True)
def unscaled_target(case: Case) -> Iterator[Finding]:
    """A quantity that the network's outputs, which begin near 0, have to travel to."""
    if case.part.model.task != "regression" or case.part.model.loss.name == "poisson":
        return
    y = np.asarray(case.rows.y, np.float64).reshape(len(case.rows), -1)
    mean, deviation = y.mean(axis=0), y.std(axis=0)
    worst = int(np.argmax(np.maximum(np.abs(mean), deviation)))
    if max(abs(mean[worst]), deviation[worst]) <= FAR:
        return
    yield Finding(
        "unscaled_target",
        f"The target is {number(mean[worst])} ± {number(deviation[worst])}, and outputs begin near 0: the first steps "
        "go into its size alone, and the loss is in the square of its unit.",
        (
            Evidence("mean of the target", float(mean[worst]), threshold=f"at most {FAR:g} from 0"),
            Evidence("deviation of the target", float(deviation[worst]), threshold=f"at most {FAR:g}"),
        ),
        tries=('fl.fit(model, (x, y), decoder=fl.nn.Quantity("y", y.mean(), y.std()))',),
    )
