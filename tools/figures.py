"""Measures the figures that docs/decisions quote: `python tools/figures.py NAME`; without a name, lists them.

The compared programs run in turn, and a figure is the fastest of the turns: whatever else a machine does only adds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import fallline as fl
from fallline.bench.host import machine
from fallline.bench.markdown import seconds, table
from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.passes.simplify import simplify
from fallline.program import chains, reference
from fallline.program.kernels import store
from fallline.program.lower import lower
from fallline.program.machine import Program

Call = Callable[[], object]
ROUNDS, TURN = 25, 0.01  # turns of each, and about how many seconds a turn takes


def in_turn(*calls: Call) -> list[float]:
    """The fewest seconds of each of these, called in turn."""
    took: list[list[float]] = [[] for _ in calls]
    often = []
    for call in calls:
        call()
        start = time.perf_counter()
        call()
        often.append(max(1, int(TURN / (time.perf_counter() - start))))
    for _ in range(ROUNDS):
        for call, count, found in zip(calls, often, took, strict=True):
            start = time.perf_counter()
            for _ in range(count):
                call()
            found.append((time.perf_counter() - start) / count)
    return [min(found) for found in took]


def program_of(function: Callable[..., object], *arrays: np.ndarray) -> Program:
    """The program of a function of these arrays, without the cost of a call from Python."""
    inputs = [new_input(array.shape, array.dtype) for array in arrays]
    return Program(lower(simplify(trace(function, inputs)[0])), arrays)


def products() -> Iterator[tuple[str, ...]]:
    """A matrix product by the machine, and by the OpenBLAS that comes with NumPy, on one thread."""
    from threadpoolctl import threadpool_info

    rng = np.random.default_rng(0)
    yield "product", "dtype", "ours", "GFLOP/s", f"OpenBLAS, {threadpool_info()[0]['architecture']}", "GFLOP/s"
    for dtype in (np.float32, np.float64):
        for m, k, n in [(10, 784, 100), (32, 64, 64), (128, 784, 512), (256, 1024, 1024), (1024, 1024, 1024)]:
            a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
            out, program = np.empty((m, n), dtype), program_of(lambda a, b: a @ b, a, b)
            ours, theirs = in_turn(lambda p=program: p.run(10), lambda a=a, b=b, out=out: np.matmul(a, b, out=out))
            work = 2e-9 * m * k * n
            yield (f"{m} x {k} x {n}", dtype.__name__, seconds(ours / 10), f"{work / (ours / 10):.0f}",
                   seconds(theirs), f"{work / theirs:.0f}")  # fmt: skip


def network(dtype: type = np.float32) -> tuple[Callable[..., object], list[np.ndarray], np.ndarray, np.ndarray]:
    """The loss of a 30-64-64-2 network, its parameters, and a batch of 32 rows."""
    rng = np.random.default_rng(0)
    sizes = (30, 64, 64, 2)
    shapes = [shape for pair in pairwise(sizes) for shape in (pair, pair[1:])]
    params = [(rng.standard_normal(shape) / 8).astype(dtype) for shape in shapes]

    def loss(params, x, y):
        for w, b in zip(params[0:4:2], params[1:4:2], strict=True):
            x = np.tanh(x @ w + b)
        return np.mean((x @ params[4] + params[5] - y) ** 2)

    return loss, params, rng.standard_normal((32, 30)).astype(dtype), rng.standard_normal((32, 2)).astype(dtype)


def tracing() -> Iterator[tuple[str, ...]]:
    """A value with its gradient, 30-64-64-2, 32 rows, float32: traced at every call, and compiled."""
    loss, params, x, y = network()
    both = fl.value_and_grad(loss)
    compiled = fl.compile(both)
    every, once, forward = in_turn(
        lambda: both(params, x, y), lambda: compiled(params, x, y), lambda: loss(params, x, y)
    )
    first = in_turn(lambda: fl.compile(both)(params, x, y))[0]
    yield "", "a call"
    yield "the loss alone, in NumPy", seconds(forward)
    yield "value_and_grad, traced at every call", seconds(every)
    yield "compile, its first call, kernels there", seconds(first)
    yield "compile, every further call", seconds(once)


SLOPE = fl.grad(lambda x: np.sum(x * np.tanh(x) * fl.ops.sigmoid(x)))


def chain() -> Iterator[tuple[str, ...]]:
    """The slope of x tanh(x) sigmoid(x) in float32, one thread: one kernel, a kernel for each op, and NumPy."""
    yield "elements", "one kernel", "a kernel for each op", "times", "NumPy, op by op", "times"
    for size in (1000, 30_000, 10_000_000):
        x = np.random.default_rng(0).standard_normal(size).astype(np.float32)
        together = program_of(SLOPE, x)
        with patch.object(chains, "MOST_OPS", 1):
            apart = program_of(SLOPE, x)
        graph = simplify(trace(SLOPE, [new_input(x.shape, x.dtype)])[0])
        one, each, plain = in_turn(
            lambda p=together: p.run(), lambda p=apart: p.run(), lambda g=graph, x=x: reference.run(g, [x])
        )
        yield f"{size:,}", seconds(one), seconds(each), f"{each / one:.1f}", seconds(plain), f"{plain / one:.1f}"


def compiling() -> Iterator[tuple[str, ...]]:
    """The cost of a kernel when it is new, and when it lies in the cache: the slope of `chain`, and a product."""
    x = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)
    yield "", "compiled", "from the cache"
    for name, function in {"that slope": SLOPE, "a product": lambda x: x @ x}.items():
        sources = [instruction.source for instruction in program_of(function, x).instructions]
        source = max(sources, key=len)
        took = []
        with tempfile.TemporaryDirectory() as folder, patch.object(store, "folder", lambda f=folder: Path(f)):
            for _ in range(2):
                with patch.dict(store._addresses, clear=True):
                    start = time.perf_counter()
                    store.address(source)
                    took.append(time.perf_counter() - start)
        yield name, *map(seconds, took)


def step() -> Iterator[tuple[str, ...]]:
    """One training step of 784-100-10, batch 10, as instructions: how many, and how many of them only move memory."""
    from fallline import nn, optim
    from fallline.program.step_loop import build
    from fallline.steps.step import training_step

    rng = np.random.default_rng(0)
    model = nn.Model.init(nn.mlp((100,), 10), 784, loss="cross_entropy")
    data = {"x": rng.standard_normal((100, 784), np.float32), "y": rng.integers(0, 10, 100), "order": np.arange(100)}
    yield "optimizer", "instructions", "copies", "gathers of the batch"
    for made in (optim.GradientDescent(), optim.Adam()):
        state = {"theta": np.array(model.theta), "step": np.array(0), "cursor": np.array(0), "loss_sum": np.array(0.0),
                 **{f"optimizer.{name}": a for name, a in made.init(model.theta).items()}}  # fmt: skip
        graph = training_step(model, made, state, data, 10)
        loop = build(graph, list(state.values()), list(data.values()), watch=len(state))
        names = [instruction.name for instruction in loop.program.instructions]
        yield made.name, str(len(names)), str(names.count("copy")), str(names.count("gather"))


def starts() -> Iterator[tuple[str, ...]]:
    """A fresh process that imports one thing, less one that imports nothing."""
    import subprocess

    def process(code: str) -> Call:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    what = ["numpy", "fallline", "scipy.special", "numba", "typer", "rich", "safetensors.numpy", "sklearn.base"]
    took = in_turn(process(""), *(process(f"import {name}") for name in what))
    yield "import", "seconds"
    for name, found in zip(what, took[1:], strict=True):
        yield name, seconds(found - took[0])


def own_loop() -> Iterator[tuple[str, ...]]:
    """One training of 4-16-3 on 150 rows, all rows a step: by hand, by parts of Fallline, by fl.fit"""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(150, 4)).astype(np.float32), np.arange(150) % 3
    rows, optimizer, many = np.arange(150), fl.optim.GradientDescent(0.1), 500
    model = fl.nn.Model.init(fl.nn.mlp((16,), 3, "tanh"), 4, loss="cross_entropy")

    def hand(params: Any) -> Any:
        first, _, last = params
        h = np.tanh(x @ first["weight"] + first["bias"])
        z = h @ last["weight"] + last["bias"]
        d_z = np.exp(z - z.max(axis=1, keepdims=True))
        d_z /= d_z.sum(axis=1, keepdims=True)
        d_z[rows, y] -= 1
        d_z /= len(x)
        d_a = (d_z @ last["weight"].T) * (1 - h * h)
        grads = {"weight": x.T @ d_a, "bias": d_a.sum(axis=0)}, {}, {"weight": h.T @ d_z, "bias": d_z.sum(axis=0)}
        pairs = zip(params, grads, strict=True)
        return tuple({name: its[name] - np.float32(0.1) * g[name] for name in its} for its, g in pairs)

    def parts(params: Any, state: Any, x: Any, y: Any) -> Any:
        return optimizer.update(fl.grad(model.objective)(params, x, y), state, params)

    def flat(theta: Any, state: Any, x: Any, y: Any) -> Any:
        return optimizer.update(fl.grad(model.objective)(theta, x, y), state, theta, model.layout)

    params, theta, state = model.params, model.theta, optimizer.init(model.params)
    compiled, vector = fl.compile(parts), fl.compile(flat)
    settings: dict[str, Any] = {"loss": "cross_entropy", "optimizer": optimizer, "batch_size": "full", "threads": 1}
    ends = [fl.fit(model, (x, y), epochs=many, early_stopping=False, **settings).ended for _ in range(8 * ROUNDS)]
    fitted = min(1 / end.steps_per_second for end in ends if end is not None)
    calls: tuple[Call, ...] = (
        lambda: hand(params),
        lambda: parts(params, state, x, y),
        lambda: compiled(params, state, x, y),
        lambda: vector(theta, state, x, y),
    )
    took = [min(times) for times in zip(*(in_turn(*calls) for _ in range(8)), strict=True)]
    yield "a step", "takes"
    names = "NumPy by hand", "fl.grad and an optimizer", "the same inside fl.compile", "and over one vector", "fl.fit"
    yield from ((name, seconds(s)) for name, s in zip(names, [*took, fitted], strict=True))


FIGURES: dict[str, Callable[[], Iterator[tuple[str, ...]]]] = {
    "products": products,
    "tracing": tracing,
    "chain": chain,
    "compiling": compiling,
    "step": step,
    "starts": starts,
    "own_loop": own_loop,
}


def main(names: list[str]) -> int:
    for name in names:
        head, *rows = FIGURES[name]()
        print(f"{FIGURES[name].__doc__}\n\n{table(head, rows)}\n\n{machine()}\n")
    if not names:
        print("\n".join(f"{name:<10} {function.__doc__}" for name, function in FIGURES.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
