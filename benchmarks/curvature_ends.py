"""The price of the highest eigenvalue of a network's Hessian in gradients, and how often rules that stop Lanczos err.

python -m benchmarks.curvature_ends
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from sklearn import datasets

import fallline as fl
from fallline import nn
from fallline.curvature import lambda_max, of_model
from fallline.curvature.lanczos import Krylov, random_start
from fallline.curvature.on_rows import OnRows


def seconds(call: Callable[[], Any], times: int = 5) -> float:
    """Processor time of a call, the best of several."""
    found = []
    for _ in range(times):
        begun = time.process_time()
        call()
        found.append(time.process_time() - begun)
    return min(found)


def spectra(count: int) -> Iterator[np.ndarray[Any, Any]]:
    """Spectra of four kinds: heavy tails, a bell, and a bulk at 0 with ten outliers, evenly and unevenly spaced."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(20, 400))
        yield (
            rng.standard_normal(n) * np.exp(2 * rng.standard_normal(n)),
            rng.standard_normal(n),
            np.concatenate([rng.standard_normal(n - 10) * 0.05, rng.uniform(1, 4, 10)]),
            np.concatenate([rng.standard_normal(n - 10) * 0.1, np.exp(rng.uniform(0, 2, 10))]),
        )[seed % 4]


def rules() -> None:
    """For each rule (fewest steps, residuals in a row below a share of 1 %): steps, and how often it errs by more."""
    for fewest, calm, share in ((2, 1, 1.0), (5, 2, 0.5), (8, 2, 0.5), (10, 2, 0.5), (12, 2, 0.5)):
        steps, errors = [], []
        for seed, values in enumerate(spectra(600)):
            space, still = Krylov(partial(np.multiply, values), random_start(len(values), seed), seed), 0
            while space.steps < min(40, len(values)) and (still < calm or space.steps < fewest):
                space.grow()
                still = still + 1 if space.residuals[-1] <= share * 0.01 * abs(space.values[-1]) else 0
            steps.append(space.steps)
            errors.append((values.max() - space.values[-1]) / abs(values.max()))
        bad = np.mean(np.array(errors) > 0.01)
        print(f"fewest {fewest:2d}, {calm} in a row, {share:g} of 1 %: {np.mean(steps):4.1f} steps, "
              f"{100 * bad:.1f} % of spectra more than 1 % off, worst {100 * max(errors):.0f} %")  # fmt: skip


def networks() -> Iterator[tuple[str, OnRows]]:
    x, y = datasets.load_digits(return_X_y=True)
    for hidden in ((32,), (64, 64)):
        for activation in ("relu", "tanh"):
            for epochs in (0, 1, 20):
                model = nn.Model.init(nn.mlp(hidden, 10, activation), 64, loss="cross_entropy", seed=1)
                if epochs:
                    descent = fl.optim.GradientDescent(0.1)
                    model = fl.fit(model, (x / 16, y), epochs=epochs, batch_size=64, optimizer=descent).model
                yield f"digits {hidden} {activation}, {epochs} epochs", of_model(model, (x / 16, y))
    rng = np.random.default_rng(0)
    model = nn.Model.init(nn.mlp((100,), 10), 784, loss="cross_entropy", seed=1)
    yield "784-100-10, 2,000 rows", of_model(model, (rng.random((2000, 784)), rng.integers(0, 10, 2000)))


def ends() -> None:
    for name, here in networks():
        here.value_and_gradient(), here.product()(here.theta)  # programs are made
        gradient = seconds(here.value_and_gradient)
        found = lambda_max(here)
        sharp = lambda_max(here, tolerance=1e-6, most=min(200, here.size))
        took = seconds(partial(lambda_max, here), 3)
        print(f"{name:32s} {here.size:6d} parameters: lambda_max {found.value:7.3f}, "
              f"{100 * (1 - found.value / sharp.value):.2f} % off, {found.products} products, "
              f"{took / gradient:.0f} gradients of {1e3 * gradient:.1f} ms")  # fmt: skip


if __name__ == "__main__":
    rules()
    ends()
