"""The same small script as users of three libraries write it, from the start of Python to its end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.measurement import Found, Measure
from fallline.bench.field import POOLS
from fallline.bench.markdown import seconds, times
from fallline.bench.results import OURS

READ = """
import numpy as np
with np.load("data.npz") as file:
    x, y = file["x"], file["y"]
"""

# Each trains 30-64-64-2 for one epoch, 32 rows a step, Adam, and prints the loss. By name: the module, the script.
SCRIPTS: dict[str, tuple[str, str]] = {
    OURS: (
        "fallline",
        READ
        + """
import fallline as fl
run = fl.fit(fl.nn.mlp((64, 64), 2), (x, y), loss="cross_entropy", epochs=1, batch_size=32)
print(run.history["loss"][-1])
""",
    ),
    "PyTorch": (
        "torch",
        READ
        + """
import torch
from torch import nn
x, y = torch.from_numpy(x), torch.from_numpy(y)
model = nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
optimizer = torch.optim.Adam(model.parameters(), fused=True)
total = 0.0
for rows in torch.randperm(len(x)).split(32):
    loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item() * len(rows)
print(total / len(x))
""",
    ),
    "scikit-learn": (
        "sklearn",
        READ
        + """
import warnings
from sklearn.neural_network import MLPClassifier
warnings.simplefilter("ignore")
model = MLPClassifier((64, 64), batch_size=32, max_iter=1).fit(x, y)
print(model.loss_)
""",
    ),
}


def run(name: str, folder: str) -> tuple[float, float]:
    """Seconds of a script's process, with libraries set as users get them, and the loss it printed."""
    environment = {key: value for key, value in os.environ.items() if key not in POOLS}
    command = [sys.executable, "-c", SCRIPTS[name][1]]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, encoding="utf-8", check=True)
    return time.perf_counter() - start, float(done.stdout)


def write_data(folder: str) -> None:
    """The breast-cancer rows that ship with scikit-learn, each column to mean 0 and standard deviation 1."""
    from fallline.data.sets import SETS

    rows = SETS["breast-cancer"].load()
    x = (rows.x - rows.x.mean(axis=0)) / rows.x.std(axis=0)
    np.savez(Path(folder, "data.npz"), x=x.astype(np.float32), y=rows.y)


def fresh_process(threads: int, rounds: int = 5) -> Found:
    names = [name for name, (module, _) in SCRIPTS.items() if find_spec(module)]
    took: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        write_data(folder)
        for name in names:  # the first one fills caches, of files and of compiled kernels
            run(name, folder)
        for r in range(rounds):
            turn = r % len(names)
            for name in names[turn:] + names[:turn]:
                took[name].append(run(name, folder)[0])
    rows, short = [], []
    for name in sorted(names, key=lambda name: median(took[name])):
        ratio = median(other / ours for other, ours in zip(took[name], took[OURS]))
        spread = f"{seconds(min(took[name]))} to {seconds(max(took[name]))}"
        verdict = "" if name == OURS else "met" if ratio > 1 else "SHORT"
        rows.append((name, seconds(median(took[name])), spread, times(ratio), verdict))
        if verdict == "SHORT":
            short.append(f"a fresh process: {times(ratio)} {name}'s, floor 1")
    return Found(rows, short)


MEASURES: tuple[Measure, ...] = (
    Measure(
        "A script in a fresh process",
        "From the start of Python to the end of a script that reads breast-cancer (569 rows, a NumPy file), trains "
        "30-64-64-2 for one epoch and prints the loss; everything set as users get it, kernels in the cache. Median of "
        "five, in turn. Fallline's has to be the fastest.",
        ("", "median", "least to most", "times ours", "verdict"),
        fresh_process,
    ),
)
