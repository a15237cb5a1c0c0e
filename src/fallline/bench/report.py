"""Shows results: the tables, what falls short, and the page with machine, date and versions.

Knows the shape of the results and nothing of how they came about.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from time import strftime

from fallline.bench.race import TOLERANCE, Outcome

# Processor seconds a second, below which a competitor had to wait for its processor.
BUSY = 0.9

MEASURED_WITH = ("numpy", "scipy", "numba", "scikit-learn", "torch", "jax")


def seconds(value: float) -> str:
    """A time with three digits in the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size or unit == "us":
            return f"{value / size:.{max(0, 2 - len(str(int(value / size))) + 1)}f} {unit}"
    raise AssertionError("the smallest unit takes everything")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns line up, so that it reads as well in a terminal; numbers to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]

    def row(cells: Sequence[str]) -> str:
        first, *rest = (cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths)))
        return "| " + " | ".join([first, *rest]) + " |"

    rule = "| " + " | ".join("-" * w if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)) + " |"
    return "\n".join([row(lines[0]), rule, *map(row, lines[1:])])


def race_table(outcome: Outcome) -> str:
    """One case: each competitor's step, its rounds' spread, its total, and how many of our steps go into its step."""
    rows = []
    for name, timing in sorted(outcome.timings.items(), key=lambda item: item[1].step):
        ratio, floor = outcome.ratio(name), outcome.case.floors.get(name)
        low, high = (f(timing.seconds) / timing.steps for f in (min, max))
        rows.append(
            (
                name,
                seconds(timing.step),
                f"{seconds(low)} to {seconds(high)}",
                f"{seconds(sum(timing.seconds))} / {timing.steps * len(timing.seconds):,}",
                f"{timing.threads:.2f}",
                "" if ratio is None else f"{ratio:.2f}",
                "" if floor is None else f"{floor:g}",
                "" if floor is None or ratio is None else "met" if ratio >= floor else "SHORT",
            )
        )
    head = ("", "step (median)", "least to most", "total / steps", "threads", "times ours", "floor", "verdict")
    text = table(head, rows)
    if any(timing.threads < BUSY for timing in outcome.timings.values()):
        text += "\n\nThe machine was busy with something else as well: see the column of threads, and repeat this."
    for name, why in outcome.left_out.items():
        text += f"\n\nLeft out: {name}: {why}."
    return text


def processor() -> str:
    """The processor's name, with its family and model where the system tells them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    wide = "AVX-512" if "avx512f" in facts.get("flags", "") else "AVX2" if "avx2" in facts.get("flags", "") else ""
    name = facts.get("model name", platform.machine())
    parts = [name, f"family {facts['cpu family']} model {facts['model']}" if "cpu family" in facts else "", wide]
    return ", ".join(part for part in parts if part)


def machine() -> str:
    """Where and when, in two sentences: processor, cores, system, and the versions of what was measured."""
    versions = [f"Python {platform.python_version()}"]
    for name in MEASURED_WITH:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    place = f"{processor()}, {os.cpu_count()} cores, {platform.system()}"
    return f"{strftime('%Y-%m-%d')}, {place}. {', '.join(versions)}."


def page(outcomes: Sequence[Outcome], costs: Sequence[tuple[str, str]], short: Sequence[str]) -> str:
    """The whole page of results. costs: (heading, text) of the measurements without peers."""
    parts = [
        "# Benchmarks",
        f"Made by `make bench`. {machine()}",
        "Every competitor trains the same network from the same parameters on the same batches, in float32, in a "
        "process of its own kept to one processor. Before it is timed, its loss curve over 64 steps has to agree with "
        f"one computed in double precision to {TOLERANCE:g} of the first loss; one that does not is not timed. "
        "They take turns: each round runs all of them, one after the other. A step is the median over rounds; "
        "`times ours` is the median of the rounds' own ratios. Adam with learning rate 0.001 unless said otherwise.",
    ]
    for outcome in outcomes:
        parts += [f"## {outcome.case.name}", race_table(outcome)]
    for heading, text in costs:
        parts += [f"## {heading}", text]
    parts += ["## Short of the floors", "\n".join(f"- {line}" for line in short) or "Nothing."]
    return "\n\n".join(parts) + "\n"
