"""`python -m benchmarks.quality.interval_kinds`: 90 % intervals of three kinds on real tables, by coverage and score.

The score is the width, plus 20 times what lies outside (Gneiting & Raftery 2007, section 6.2), in deviations of the
target: smaller is better.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import raw_tables
from fallline.sklearn import TabularRegressor
from fallline.table import as_table

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
SETS = ("noisy", "yacht", "energy", "bostonHousing", "wine-quality-red", "diabetes")
Array = NDArray[Any]


def noisy(number: int) -> raw_tables.RawTable:
    """sin(2 a) 3 plus noise that grows with |b|."""
    rng = np.random.default_rng(number)
    a, b = rng.uniform(-2, 2, (2, 1200))
    return raw_tables.RawTable(
        "noisy", {"a": a, "b": b}, np.sin(2 * a) * 3 + rng.normal(size=1200) * (0.2 + np.abs(b)), "regression"
    )


def of_errors(predicted: Array, held: Array, levels: tuple[float, float]) -> Array:
    """(N, 2) the prediction moved by quantiles of errors on held-out rows."""
    n = len(held)
    low, high = np.floor((n + 1) * levels[0]), np.ceil((n + 1) * levels[1])
    ends = np.sort(held)[[max(int(low), 1) - 1, min(int(high), n) - 1]]
    moved: Array = predicted[:, np.newaxis] + ends
    return moved


def measured(y: Array, low: Array, high: Array) -> tuple[float, float]:
    """Coverage, and the score in deviations of y."""
    outside = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    return float(np.mean((low <= y) & (y <= high))), float(np.mean(high - low + 20 * outside) / y.std())


def trial(table: raw_tables.RawTable, number: int, preset: str) -> list[float]:
    """Coverage and score of errors of the mean, the pinball network alone, and both."""
    train, test = table.split(number, "test")
    order = np.random.default_rng(number).permutation(train)
    held, rest = order[: len(order) // 5], order[len(order) // 5 :]
    model = TabularRegressor(preset=preset, random_state=number, quantiles=LEVELS)
    model.fit(table.take(rest), table.y[rest], X_val=table.take(held), y_val=table.y[held])
    x, y = table.take(test), table.y[test]
    plain = of_errors(model.predict(x), table.y[held] - model.predict(table.take(held)), (0.05, 0.95))
    alone = np.sort(model.quantiles_.model.predict(as_table(x)), axis=1)[:, [0, -1]]
    both = model.predict_interval(x)
    return [figure for ends in (plain, alone, both) for figure in measured(y, *ends.T)]


def main(arguments: Sequence[str] | None = None) -> int:
    form = argparse.ArgumentParser("python -m benchmarks.quality.interval_kinds", description=__doc__)
    form.add_argument("--preset", default="fast")
    form.add_argument("--splits", type=int, default=5, metavar="N")
    form.add_argument("--only", default=",".join(SETS), metavar="SET,..")
    options = form.parse_args(arguments)
    there = ["noisy", *raw_tables.present()]
    print("| set | errors of the mean: coverage, score | pinball alone | pinball, then conformal |\n|---|---|---|---|")
    for name in (one for one in options.only.split(",") if one in there):
        tables = [noisy(i) if name == "noisy" else raw_tables.load(name) for i in range(options.splits)]
        found = np.mean([trial(table, i, options.preset) for i, table in enumerate(tables)], axis=0)
        print(f"| {name} | " + " | ".join(f"{a:.2f}, {b:.2f}" for a, b in found.reshape(3, 2)) + " |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
