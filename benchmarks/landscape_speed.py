"""The time of a landscape of 51 x 51 points of a 784-100-10 network on 2,000 rows, beside simpler forms of it.

python -m benchmarks.landscape_speed
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

import fallline as fl
from fallline import nn

SIDE, ROWS = 51, 2000


def told(name: str, call: Callable[[], Any], share: float = 1.0) -> None:
    """Print the processor time and the time of a call that does this share of the work."""
    cpu, begun = time.process_time(), time.perf_counter()
    call()
    cpu, took = (time.process_time() - cpu) / share, (time.perf_counter() - begun) / share
    print(f"{name:60s} {cpu:6.2f} s of processor, {took:6.2f} s in all")


def torch_points(x: Any, y: Any, params: Any, ways: Any, points: Any) -> Callable[[], Any]:
    """The loss at points by PyTorch: one forward pass for each, by plain products."""
    import torch

    torch.set_num_threads(1)  # on a busy machine its threads wait for one another by spinning
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)
    parts = [[torch.from_numpy(np.array(one)) for one in (own, *of)] for own, *of in zip(params, *ways, strict=True)]

    def run() -> list[float]:
        found = []
        with torch.no_grad():
            for a, b in points:
                w1, c1, w2, c2 = (own + a * one + b * two for own, one, two in parts)
                z = torch.relu(tx @ w1 + c1) @ w2 + c2
                found.append(float(torch.nn.functional.cross_entropy(z, ty)))
        return found

    return run


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((ROWS, 784)).astype(np.float32)
    y = (x @ rng.standard_normal((784, 10))).argmax(axis=1)
    run = fl.fit(nn.mlp((100,), 10), (x, y), loss="cross_entropy", epochs=3)
    fl.landscape(run, points=2)  # kernels are there
    told(f"fl.landscape, {SIDE} x {SIDE} points, {ROWS:,} rows", lambda: fl.landscape(run, points=SIDE))
    land, model = fl.landscape(run, points=2), run.model
    points = np.random.default_rng(1).uniform(-1, 1, (60, 2)).astype(np.float32)
    share = len(points) / SIDE**2
    one = fl.compile(model.objective)
    ways = land.directions.astype(np.float32)
    one(model.theta, x, y)
    told(
        "one point after another, fl.compile (scaled)",
        lambda: [one(model.theta + p @ ways, x, y) for p in points],
        share,
    )
    if find_spec("torch"):

        def arrays(theta: Any) -> list[Any]:
            layers = [layer for layer in model.layout.split(theta) if layer]
            return [layer[name] for layer in layers for name in ("weight", "bias")]

        plain = torch_points(x, y, arrays(model.theta), [arrays(way) for way in ways], points)
        plain()
        told("one point after another, PyTorch on one thread (scaled)", plain, share)


if __name__ == "__main__":
    main()
