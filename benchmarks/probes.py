"""The probes of costs.py, for fresh processes: the cost of a gradient, how soon a first step is done, how much memory
training takes, how fast a network predicts.

Arguments and answers are JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

from benchmarks.measurement import timed
from fallline.bench.cases import Array, Case, named, problem

# Three layers of equal width, so that parameters grow with the square of the width: about 10^3, 10^4 ... 10^7.
WIDTHS = (18, 57, 182, 577, 1825)
GRADIENT_BATCH = 64

# Networks that share nothing but the kinds of layers they are made of.
ARCHITECTURES = (
    (13, 40, 24, 3),
    (4, 16, 3),
    (64, 128, 64, 32, 10),
    (30, 20, 20, 20, 2),
    (100, 50, 5),
    (8, 9, 10, 11, 4),
)

# Networks that predict, and how many rows at once: data of 100 MB and more.
PREDICTED = (((30, 64, 64, 2), 1_000_000), ((784, 512, 512, 10), 32_768))
PRODUCT_ROWS = 1024
ONE_ROW_CALLS = 1000


def gradient(width: int, rounds: int = 15) -> dict[str, Any]:
    """Value, and value with gradient, of a dense network's loss, both compiled, in turn: median seconds and ratio."""
    import fallline as fl

    rng = np.random.default_rng(width)
    params = [rng.standard_normal((width, width), np.float32) / np.float32(np.sqrt(width)) for _ in range(3)]
    biases = [np.zeros(width, np.float32) for _ in range(3)]
    x, y = (rng.standard_normal((GRADIENT_BATCH, width), np.float32) for _ in range(2))

    def loss(params: list[Array], biases: list[Array], x: Array, y: Array) -> Any:
        for w, b in zip(params[:-1], biases[:-1]):
            x = np.maximum(x @ w + b, 0)
        return np.mean((x @ params[-1] + biases[-1] - y) ** 2)

    forward = fl.compile(loss, threads=1)
    both = fl.compile(fl.value_and_grad(loss, argnums=(0, 1)), threads=1)
    once = max(timed(lambda: both(params, biases, x, y)) for _ in range(2))
    inner = max(1, min(1000, int(0.02 / once)))
    values, gradients = [], []
    for _ in range(rounds):
        values.append(timed(lambda: [forward(params, biases, x, y) for _ in range(inner)]) / inner)
        gradients.append(timed(lambda: [both(params, biases, x, y) for _ in range(inner)]) / inner)
    ratio = median(g / v for v, g in zip(values, gradients))
    count = 3 * width * (width + 1)
    return {"parameters": count, "value": median(values), "both": median(gradients), "ratio": ratio}


def one_step(sizes: tuple[int, ...], batch: int = 32) -> None:
    """Make a network and train it for one step, as a user would."""
    from fallline.bench.ours import fit

    fit(problem(Case(sizes, batch, batch)))


def first_step() -> dict[str, Any]:
    """A process's whole life up to its first finished step; the time is taken outside."""
    one_step((30, 64, 64, 2))
    return {}


def new_architecture() -> dict[str, Any]:
    """Seconds from the layers' making to one finished step, for architectures this process has not met."""
    one_step((30, 64, 64, 2))
    return {"seconds": [timed(lambda sizes=sizes: one_step(sizes)) for sizes in ARCHITECTURES]}  # type: ignore[misc]


def memory(name: str) -> dict[str, Any]:
    """Bytes: the interpreter with its libraries, kernels and data, the announced, and the peak of an epoch."""
    from fallline.bench.ours import announced_bytes, fit

    given = problem(named(name))
    one_step((30, 64, 64, 2))
    before = resident("VmRSS")
    fit(given)
    return {"before": before, "announced": announced_bytes(given), "peak": resident("VmHWM")}


def prediction(sizes: Sequence[int], rows: int, rounds: int = 7) -> dict[str, Any]:
    """Median seconds, in turn, of one row's prediction, of many rows', and of their matrix products and nothing else.

    The products are NumPy's, block by block, into small arrays that stay in the cache.
    share: seconds of the products in those of many rows, the median of the rounds' own. peak: floating-point operations
    a second in a product large enough that nothing else counts.
    """
    from fallline.bench.ours import predictor

    predict = predictor(sizes)
    rng = np.random.default_rng(rows)
    x = rng.standard_normal((rows, sizes[0]), np.float32)
    weights = [rng.standard_normal(pair, np.float32) for pair in pairwise(sizes)]
    block = min(PRODUCT_ROWS, rows)
    places = [np.empty((block, n), np.float32) for n in sizes]

    def products() -> None:
        for start in range(0, rows - block + 1, block):
            np.matmul(x[start : start + block], weights[0], out=places[1])
            for weight, source, place in zip(weights[1:], places[1:], places[2:]):
                np.matmul(source, weight, out=place)

    one = x[:1]
    square = rng.standard_normal((PRODUCT_ROWS, PRODUCT_ROWS), np.float32)
    tasks: tuple[Callable[[], object], ...] = (
        lambda: [predict(one) for _ in range(ONE_ROW_CALLS)], lambda: predict(x), products, lambda: square @ square,
    )  # fmt: skip
    for task in tasks:
        task()
    ones, many, bare, large = zip(*([timed(task) for task in tasks] for _ in range(rounds)))
    share = median(b / m for m, b in zip(many, bare))
    flops = 2 * rows * sum(a * b for a, b in pairwise(sizes))
    return {
        "one": median(ones) / ONE_ROW_CALLS,
        "many": median(many),
        "products": median(bare),
        "share": share,
        "flops": flops,
        "peak": 2 * PRODUCT_ROWS**3 / median(large),
    }


def resident(field: str) -> int:
    """Bytes of memory, now (VmRSS) or at most so far (VmHWM). Linux only."""
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field))
