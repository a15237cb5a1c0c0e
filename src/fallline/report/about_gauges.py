"""Sections on what moved inside: gauges over the steps where they were watched, else as the run ended."""

import numpy as np

from fallline.gauges.chosen import Gauges
from fallline.gauges.gauge_table import GAUGES
from fallline.gauges.gauge_words import lines_of
from fallline.insight.gauge_reader import read_gauges
from fallline.plots import gauge_plots
from fallline.plots.chart import Chart
from fallline.plots.page_parts import folded, table
from fallline.report.markup import pictures, says, wide
from fallline.report.section_table import section
from fallline.report.subject import Subject

# Rows that gauges look at here, and numbers of a batch's gradients that are held at once.
ROWS, MOST_NUMBERS = 256, 5e8
# Samples from which on there is something to draw.
FEWEST = 3
# Gauges that need the gradient of every row of a batch.
BY_ROW = ("norm_test", "inner_product_test", "orthogonality_test", "noise_scale", "row_gradient_norms",
          "signal_to_noise", "gradient_variance")  # fmt: skip
# Gauges of the step that would come next.
OF_THE_STEP = ("update_ratio", "loss_change", "alpha")


@section("gauges", "Gauges", 60)
def gauges(subject: Subject) -> str:
    """Those that were watched while training, and a reading where the run ended."""
    run = subject.run if subject.run.gauges else subject.first
    drawn = ""
    if run.gauges and len(run.gauges.steps) >= FEWEST and gauge_plots.drawable(run):
        chart = gauge_plots.gauges(run)
        apart = [Chart(panel.y.name, (panel,)) for panel in chart.panels]
        drawn = says(f"{len(run.gauges.steps):,} samples while training. {chart.note}") + pictures(*apart)
    if subject.no_rows:
        return drawn or says(f"Not read: {subject.no_rows}.", quiet=True)
    reading = _reading(subject)
    return drawn + (folded("as the run ended", reading) if drawn else reading)


def _reading(subject: Subject) -> str:
    first = subject.first
    job = first.job
    assert job is not None  # else it has no rows
    names = [one.name for one in Gauges("usual").chosen]
    heavy = job.batch_size * first.model.theta.size > MOST_NUMBERS
    names = [name for name in names if not (heavy and name in BY_ROW)]
    found = read_gauges(first, Gauges(names, rows=ROWS))
    rows, reasons = [], dict[str, list[str]]()
    still = found.values.get("update_ratio", {})
    ended = bool(still) and not any(np.any(one) for one in still.values())
    if ended:
        reasons["the schedule has come to a learning rate of 0, so there is no next step"] = [
            name.replace("_", " ") for name in OF_THE_STEP if name in found.values
        ]
    for name, low, high, unit, usual in lines_of(found.values):
        if ended and name in OF_THE_STEP:
            continue
        reads = GAUGES[name].reads if name in GAUGES else ""
        low = "not defined" if low == "nan" else low
        rows.append([name.replace("_", " "), low, high, unit, usual, reads])
    told = f"Read at the parameters of the run, on the next batch of {found.rows:,} rows. {subject.several}"
    told += " A ! stands where a number is outside the range of usual networks."
    shown = wide(table(rows, ["gauge", "least", "largest", "unit", "usual", "how to read it"]), "gauges")
    for one in found.missing:
        name, _, why = one.removeprefix("no ").partition(": ")
        reasons.setdefault(why, []).append(name.replace("_", " "))
    if heavy:
        reasons["the batch and the network are large"] = [name.replace("_", " ") for name in BY_ROW]
    left = [f"Not read: {', '.join(which)}. {why[:1].upper()}{why[1:]}." for why, which in reasons.items()]
    return says(told) + shown + "".join(says(one, quiet=True) for one in left)


__all__ = ["gauges"]
