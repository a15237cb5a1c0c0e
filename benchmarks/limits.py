"""How fast this machine multiplies matrices and moves memory, and with that the least time a training step can take.

`rates` measures in a fresh process; `least` reckons.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.measurement import timed
from benchmarks.processes import apart
from benchmarks.record import Rate, Rates, Results
from fallline.bench.cases import CASES, Case, problem
from fallline.bench.results import OURS
from fallline.bench.worker import settle

# Rows of a, columns of a, columns of b: the product of the largest step, and two that are all product.
SHAPES = ((256, 1024, 1024), (1024, 1024, 1024), (2048, 2048, 2048))
LARGEST = max(CASES, key=lambda case: case.flops)
STEP_FLOOR = 0.85

STEPS = 16
TURN_FLOPS = 8e9  # of a turn of products: some hundredths of a second
CHAIN = 1 << 24  # numbers in an array that no cache holds
# Arrays as long as theta that Adam reads and writes: theta and two moments; a gradient may stay in a cache.
ADAM_ARRAYS, STATE_ARRAYS = 6, 4


# Results of a turn are held until it ends.
MOST_CALLS = 100


def rates(threads: int) -> Rates:
    """Measured in a fresh process, in turn."""
    found, _ = apart(measured, threads, threads=threads)
    products = tuple(Rate(**rate) for rate in found["products"])
    return Rates(threads, Rate(**found["step"]), products, found["memory"], last_cache())


def measured(threads: int, rounds: int = 7, shapes: Any = SHAPES, case: Case = LARGEST) -> dict[str, Any]:
    """Rates of a whole step, of products by us and by SciPy, and of memory, in turn over some rounds."""
    from scipy.linalg.blas import sgemm

    import fallline as fl
    from fallline.bench.ours import Ours

    rng = np.random.default_rng(0)
    ours = Ours(problem(case), threads)
    multiply = fl.compile(lambda a, b: a @ b, threads=threads)
    chain = fl.compile(lambda p, m: p - 0.001 * m, threads=threads)
    tasks: dict[str, tuple[float, int, Callable[[], object]]] = {}  # work of one call, how often, the call
    for m, k, n in shapes:
        a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
        c = np.empty((m, n), np.float32)
        flops, size = 2.0 * m * k * n, f"{m} x {k} by {k} x {n}"
        often = min(MOST_CALLS, max(1, int(TURN_FLOPS / flops)))
        tasks[f"{OURS}, {size}"] = flops, often, lambda a=a, b=b: multiply(a, b)  # type: ignore[misc]
        # BLAS counts by columns: the transposes of ours, which cost nothing, give c transposed, in place.
        tasks[f"SciPy, {size}"] = (
            flops,
            often,
            lambda a=a, b=b, c=c: sgemm(  # type: ignore[misc]
                1.0, b.T, a.T, c=c.T, overwrite_c=1
            ),
        )
    p, q = np.ones(CHAIN, np.float32), np.ones(CHAIN, np.float32)
    tasks["memory"] = 3.0 * p.nbytes, 2, lambda: chain(p, q)
    took: dict[str, list[float]] = {"step": [], **{name: [] for name in tasks}}
    for r in range(rounds + 1):
        ours.start(STEPS)
        took["step"].append(timed(ours.run) / STEPS)
        settle()
        for name, (_, often, call) in tasks.items():
            took[name].append(timed(lambda: [call() for _ in range(often)]) / often)  # noqa: B023 - called at once
            settle()
        if r == 0:  # the first warms up
            took = {name: [] for name in took}

    def rate(name: str, work: float) -> dict[str, Any]:
        return {"what": name, "flops": work / median(took[name]), "most": work / min(took[name])}

    return {
        "step": {**rate("step", case.flops), "what": case.name},
        "products": [rate(name, work) for name, (work, _, _) in tasks.items() if name != "memory"],
        "memory": rate("memory", tasks["memory"][0])["most"],
    }


def last_cache() -> int:
    """Bytes of the cache next to memory; 0 where the system does not say."""
    found = [0]
    for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            text = (folder / "size").read_text(encoding="utf-8").strip()
            found.append(int(text[:-1]) * {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[text[-1]])
        except (OSError, ValueError, KeyError):
            continue
    return max(found)


@dataclass(frozen=True, slots=True)
class Least:
    """Seconds of a step that this machine cannot save: of its products, and of the optimizer's reads and writes."""

    products: float
    memory: float

    @property
    def step(self) -> float:
        """Both at the same time."""
        return max(self.products, self.memory)

    @property
    def in_turn(self) -> float:
        return self.products + self.memory


def peak(results: Results) -> float:
    """The most operations a second that anything has reached here: a product, or the products of anybody's step."""
    assert results.rates is not None
    reached = [
        outcome.case.flops * timing.steps / min(timing.seconds)
        for outcome in results.on(results.rates.threads)
        for timing in outcome.timings.values()
    ]
    return max([*(rate.most for rate in results.rates.products), *reached])


def least(case: Case, results: Results) -> Least:
    """The least a step can take: its products at the machine's best rate, and the reads and writes of Adam.

    That counts where theta, gradient and moments do not fit the last cache.
    """
    assert results.rates is not None
    array, cache = 4 * case.parameters, results.rates.cache
    beyond = case.optimizer == "adam" and 0 < cache < STATE_ARRAYS * array
    return Least(case.flops / peak(results), ADAM_ARRAYS * array / results.rates.memory if beyond else 0.0)
