"""Draws the pictures of docs/diagnosis.md from the runs that the page makes: `python tools/diagnosis_pictures.py`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import transcripts

import fallline as fl
from fallline.data.sets import load

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, FOLDER = DOCS / "diagnosis.md", DOCS / "pictures"
DOTS = 64  # to the inch: all of them together stay below 200 kB
SMALL = (5.2, 3.4)


def write(name: str, figure: Any) -> None:
    figure.savefig(FOLDER / f"diagnosis-{name}.png", dpi=DOTS)
    print(f"diagnosis-{name}.png", (FOLDER / f"diagnosis-{name}.png").stat().st_size)


def main() -> None:
    """Run the commands of the page in an empty folder, then draw what is in it."""
    page = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, transcripts.Python(Path(folder)) as python:
        for kind, _, text in transcripts.blocks(page):
            if kind == "python":
                python.run(text)
            for one in transcripts.transcript(text) if kind == "console" else ():
                if one.command.startswith("fallline train"):
                    transcripts.said(one.command, Path(folder))
        os.chdir(folder)
        draw()
        os.chdir(DOCS)


def draw() -> None:
    runs = {name: fl.load_run(f"runs/{name}") for name in ("healthy", "long", "dead", "alive", "escaped", "wrong")}
    for name in ("healthy", "long", "escaped", "wrong"):
        write(name, runs[name].plot.loss(size=SMALL))
    for name in ("dead", "alive"):
        write(name, runs[name].plot.activations(size=SMALL))
    # The run that Python made does not say where its rows came from.
    iris = load("iris")
    rows = np.asarray(iris.x, float), np.asarray(iris.classes)[np.asarray(iris.y)]
    write("saddle", fl.load_run("runs/zero").plot.landscape(data=rows, directions="eigenvectors", size=SMALL))


if __name__ == "__main__":
    main()
