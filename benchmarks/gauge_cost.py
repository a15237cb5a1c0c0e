"""The cost of the usual gauges: trainings with and without them, in turn; processor time on one lane, medians of pairs.

python -m benchmarks.gauge_cost
"""

import time
from typing import Any

import numpy as np

import fallline as fl
from fallline.data import sets

PAIRS = 7


def seconds(network: Any, data: Any, **settings: Any) -> float:
    """Processor time of a training."""
    begun = time.process_time()
    fl.fit(network, data, loss="cross_entropy", threads=1, **settings)
    return time.process_time() - begun


def pair(name: str, network: Any, data: Any, **settings: Any) -> None:
    seconds(network, data, gauges=True, **{**settings, "epochs": 2})  # what is compiled once on a machine
    alone, ratios = [], []
    for _ in range(PAIRS):
        alone.append(seconds(network, data, **settings))
        ratios.append(seconds(network, data, gauges=True, **settings) / alone[-1])
    print(f"{name:44} alone {np.median(alone):5.2f} s, with gauges {np.median(ratios):.3f} times as long "
          f"({min(ratios):.2f} to {max(ratios):.2f})", flush=True)  # fmt: skip


def main() -> None:
    digits = sets.load("digits")
    small = (digits.x / 16).astype(np.float32), digits.y
    rng = np.random.default_rng(0)
    large = rng.normal(size=(6000, 784)).astype(np.float32), rng.integers(0, 10, 6000)
    for epochs in (30, 800):
        pair(
            f"digits, 64-128-10, batch 32, {epochs} epochs", fl.nn.mlp((128,), 10), small, epochs=epochs, batch_size=32
        )
    for batch, epochs in ((128, 25), (128, 150), (32, 15), (32, 90)):
        settings: dict[str, Any] = {"epochs": epochs, "batch_size": batch}
        pair(f"784-100-10, batch {batch}, {epochs} epochs", fl.nn.mlp((100,), 10), large, **settings)


if __name__ == "__main__":
    main()
