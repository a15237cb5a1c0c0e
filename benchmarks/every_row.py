"""Gradients of every row, and sums over them, against JAX's jit of vmap of grad: medians of pairs, in turn.

python -m benchmarks.every_row
"""

import importlib
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import fallline as fl

ROWS = 1000
SIZES = ((4, 8, 8, 3), (8, 16, 1), (30, 64, 64, 2), (784, 100, 10), (100, 256, 256, 10))
PAIRS = 9


def loss_in(xp: Any) -> Callable[[Any, Any, Any], Any]:
    """The squared error of a tanh network for one row, in NumPy or in JAX's NumPy."""

    def loss(params: Any, x: Any, y: Any) -> Any:
        for w, b in params[:-1]:
            x = xp.tanh(x @ w + b)
        w, b = params[-1]
        return xp.mean((x @ w + b - y) ** 2)

    return loss


def squares(loss: Callable[..., Any], grad: Callable[..., Any], xp: Any) -> Callable[..., Any]:
    """The squared length of a row's gradient."""

    def found(params: Any, x: Any, y: Any) -> Any:
        return sum(xp.sum(g * g) for pair in grad(loss)(params, x, y) for g in pair)

    return found


def timed(call: Callable[[], Any], times: int) -> tuple[float, float]:
    """Wall and processor time of a call, in milliseconds."""
    call()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        call()
    return 1e3 * (time.perf_counter() - wall) / times, 1e3 * (time.process_time() - cpu) / times


def pair(name: str, ours: Callable[[], Any], theirs: Callable[[], Any]) -> None:
    once = timed(ours, 1)[0] + timed(theirs, 1)[0]
    times = max(1, int(200 / once))
    found = np.array([[*timed(ours, times), *timed(theirs, times)] for _ in range(PAIRS)])
    wall, cpu, other_wall, other_cpu = np.median(found, axis=0)
    print(f"{name:32} wall {wall:8.2f} ms, jax {other_wall:8.2f} ms; processor {cpu:8.2f} ms, jax {other_cpu:8.2f} ms; "
          f"{np.median(found[:, 3] / found[:, 1]):.1f} times as fast", flush=True)  # fmt: skip


def main() -> None:
    jax, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(0)
    for size in SIZES:
        for dtype in ("float32", "float64"):
            params = [
                ((rng.normal(size=(a, b)) / np.sqrt(a)).astype(dtype), np.zeros(b, dtype)) for a, b in pairwise(size)
            ]
            x, y = (rng.normal(size=(ROWS, n)).astype(dtype) for n in (size[0], size[-1]))
            given = jax.tree.map(jnp.asarray, (params, x, y))
            ours, theirs, axes = loss_in(np), loss_in(jnp), (None, 0, 0)
            for what, mine, other in (
                ("gradients", fl.grad(ours), jax.grad(theirs)),
                ("squared lengths", squares(ours, fl.grad, np), squares(theirs, jax.grad, jnp)),
            ):
                program = fl.compile(fl.vmap(mine, in_axes=axes))
                jitted = jax.jit(jax.vmap(other, in_axes=axes))
                name = f"{'-'.join(map(str, size))} {dtype} {what}"
                pair(name, partial(program, params, x, y), lambda: jax.block_until_ready(jitted(*given)))  # noqa: B023


if __name__ == "__main__":
    main()
