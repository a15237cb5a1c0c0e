"""Draws the pictures of docs/plots.md: `python tools/pictures.py`, in half a minute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import fallline as fl
from fallline import nn
from fallline.data.sets import load

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "pictures"
DOTS = 72  # to the inch: all of them together stay below 400 kB


def write(name: str, figure: Any) -> None:
    figure.savefig(FOLDER / f"plot-{name}.png", dpi=DOTS)
    print(f"plot-{name}.png", (FOLDER / f"plot-{name}.png").stat().st_size)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    data = load("digits")
    x, y = np.asarray(data.x, float) / 16, np.asarray(data.classes)[np.asarray(data.y)]
    network = nn.Sequential(nn.Dense(32), nn.ReLU(), nn.Dense(16), nn.Tanh(), nn.Dense(10))
    usual: dict[str, Any] = {"loss": "cross_entropy", "validation": 0.25, "batch_size": 64}
    adam = fl.optim.Adam(0.003)
    gauges = fl.gauges.Gauges("all", every=40)
    run = fl.fit(network, (x, y), optimizer=adam, epochs=40, gauges=gauges, **usual)
    write("loss", run.plot.loss())
    write("loss-screen", run.plot.loss(style="screen"))
    write("confusion", run.plot.confusion(size=(4.6, 4.4)))
    write("calibration", run.plot.calibration())
    write("update-ratio", run.plot.gauges(names="update_ratio"))
    write("activations", run.plot.activations(size=(5.6, 5)))
    write("spectrum", run.plot.spectrum())
    write("landscape", run.plot.landscape(directions="trajectory"))
    flowers = load("iris")
    small = fl.fit(nn.mlp((4,), 3, "tanh"), (flowers.x, flowers.y), loss="cross_entropy", epochs=60, batch_size=16)
    write("network", small.plot.network())
    other = fl.fit(network, (x, y), optimizer=adam, epochs=40, seed=1, **usual)
    write("barrier", fl.line_between(run, other).plot.barrier())
    rates = [{"learning_rate": float(rate), "seed": seed} for rate in np.geomspace(0.01, 10, 10) for seed in (0, 1, 2)]
    sgd = fl.optim.GradientDescent(0.1)
    race = fl.race(network, (x, y), rates, optimizer=sgd, epochs=60, **{**usual, "batch_size": "full"})
    write("rates", race.plot.rates())
    several = [{"name": name, "optimizer": name} for name in ("adam", "momentum", "rmsprop", "gradient_descent")]
    write("standings", fl.race(network, (x, y), several, epochs=15, **usual).plot.standings(by="epoch"))


if __name__ == "__main__":
    main()
