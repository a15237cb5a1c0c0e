"""Measurements without a peer: the cost of a gradient, of a start, of a new architecture, and memory, against floors.

Each measurement is a line of MEASURES; its code runs in probes.py, in fresh processes.
"""

from __future__ import annotations

from statistics import median

from benchmarks import probes
from benchmarks.measurement import Found, Measure, missed, verdict
from benchmarks.processes import apart
from fallline.bench.cases import CASES
from fallline.bench.markdown import seconds

GRADIENT_RATIO = 3.2
FIRST_STEP_SECONDS = 1.2
NEW_ARCHITECTURE_SECONDS = 0.05
MEMORY_RATIO = 1.3
ONE_ROW_SECONDS = 20e-6
PRODUCT_SHARE = 0.8


def gradient_cost(threads: int) -> Found:
    rows: list[tuple[str, ...]] = []
    short: list[str] = []
    for width in probes.WIDTHS:
        found, _ = apart(probes.gradient, width)
        ratio = found["ratio"]
        rows.append(
            (
                f"{found['parameters']:,}",
                seconds(found["value"]),
                seconds(found["both"]),
                f"{ratio:.2f}",
                verdict(ratio, GRADIENT_RATIO),
            )
        )
        short += missed(f"value and gradient, {found['parameters']:,} parameters", ratio, GRADIENT_RATIO)
    return Found(rows, short)


def first_step(threads: int) -> Found:
    apart(probes.first_step)  # fills the cache of compiled kernels
    took = [apart(probes.first_step)[1] for _ in range(5)]
    middle = median(took)
    row = ("30-64-64-2", seconds(middle), f"{seconds(min(took))} to {seconds(max(took))}", f"{FIRST_STEP_SECONDS} s")
    short = missed("first step", middle, FIRST_STEP_SECONDS, seconds)
    return Found([(*row, verdict(middle, FIRST_STEP_SECONDS))], short)


def new_architecture(threads: int) -> Found:
    apart(probes.new_architecture)
    took = apart(probes.new_architecture)[0]["seconds"]
    middle, ceiling = median(took), NEW_ARCHITECTURE_SECONDS
    row = (f"{len(took)} networks", seconds(middle), f"{seconds(min(took))} to {seconds(max(took))}", seconds(ceiling))
    return Found([(*row, verdict(max(took), ceiling))], missed("a new architecture", max(took), ceiling, seconds))


def memory(threads: int) -> Found:
    rows: list[tuple[str, ...]] = []
    short: list[str] = []
    for case in CASES:
        found, _ = apart(probes.memory, case.name)
        ratio = found["peak"] / (found["announced"] + found["before"])
        sizes = (f"{found[key] / 2**20:.1f} MiB" for key in ("before", "announced", "peak"))
        rows.append((case.name, *sizes, f"{ratio:.2f}", verdict(ratio, MEMORY_RATIO)))
        short += missed(f"memory, {case.name}", ratio, MEMORY_RATIO)
    return Found(rows, short)


def prediction(threads: int) -> Found:
    rows: list[tuple[str, ...]] = []
    short: list[str] = []
    for number, (sizes, count) in enumerate(probes.PREDICTED):
        name = "-".join(map(str, sizes))
        found, _ = apart(probes.prediction, sizes, count)
        # The one row's floor is set for the smaller network; the larger one multiplies a hundred times as much.
        floor = ONE_ROW_SECONDS if number == 0 else float("inf")
        met = found["one"] <= floor and found["share"] >= PRODUCT_SHARE
        rows.append(
            (
                name,
                seconds(found["one"]),
                f"{count:,}",
                seconds(found["many"]),
                f"{found['flops'] / found['many'] / 1e9:.0f}",
                seconds(found["products"]),
                f"{found['share']:.2f}",
                f"{found['peak'] / 1e9:.0f}",
                "met" if met else "SHORT",
            )
        )
        short += missed(f"one row predicted, {name}", found["one"], floor, seconds)
        if found["share"] < PRODUCT_SHARE:
            short.append(f"many rows predicted, {name}: {found['share']:.2f} of the products, floor {PRODUCT_SHARE}")
    return Found(rows, short)


MEASURES: tuple[Measure, ...] = (
    Measure(
        "The gradient with its value, against the value alone",
        "Dense networks of three equal layers, ReLU, squared error, batch 64, both compiled, one thread. "
        f"The ratio is the median of the rounds' own; the floor is {GRADIENT_RATIO}.",
        ("parameters", "value", "value and gradient", "ratio", "verdict"),
        gradient_cost,
    ),
    Measure(
        "From a fresh process to the first finished step",
        "Start of Python to the end of a process that trains for one step, kernels in the cache; median of five.",
        ("network", "median", "least to most", "floor", "verdict"),
        first_step,
    ),
    Measure(
        "A new architecture in a running process, to its first finished step",
        "From making the layers to the end of a fit of one step; the verdict is about the slowest.",
        ("", "median", "least to most", "floor", "verdict"),
        new_architecture,
    ),
    Measure(
        "Peak memory of training",
        "Resident memory before training (interpreter, libraries, kernels and the data), what the plan announces, and "
        f"the peak over one epoch; peak over the sum of the two, at most {MEMORY_RATIO}.",
        ("network", "before", "announced", "peak", "ratio", "verdict"),
        memory,
    ),
    Measure(
        "Prediction",
        "Class labels by `predict` on one thread: of one row, and of many rows at once, against the network's matrix "
        "products alone (NumPy's, in blocks that stay in the cache); peak is NumPy's rate for matrices of 1024 x 1024. "
        f"Floors: one row of the first network in {seconds(ONE_ROW_SECONDS)}; many rows at {PRODUCT_SHARE} of the "
        "products' rate (above 1 is quicker than the products alone).",
        ("network", "one row", "rows", "all of them", "GFLOP/s", "products alone", "share", "peak", "verdict"),
        prediction,
    ),
)
