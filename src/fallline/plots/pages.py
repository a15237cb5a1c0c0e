"""The pages by which notebooks show a run, a race, a model, a verdict, a comparison and an explanation."""

import math
from typing import Any

import numpy as np

from fallline.assessment.comparison import Comparison
from fallline.curvature.stationary import KINDS, Verdict
from fallline.diagnosis.finding import Diagnosis, Finding
from fallline.experiments.contest import Race
from fallline.insight.between_runs import Line
from fallline.insight.landscape import Landscape
from fallline.nn.model import Model
from fallline.plots import run_curves, surface_plots
from fallline.plots.chart import Axis, Bars, Chart, Panel
from fallline.plots.page_parts import code, folded, heading, html_of, line, page, pre, table
from fallline.plots.race_plots import no_results, standings
from fallline.plots.vector import svg_of
from fallline.training.run import Run


@page(Run)
def run_page(run: Run) -> str:
    """The end, the figures of the epoch whose parameters it has, the loss, and the settings folded away."""
    epochs, end = run.epochs, run.ended
    reason = {None: "not ended", "early_stopping": "stopped early"}.get(run.stop_reason, run.stop_reason or "")
    took = f", {end.seconds:.3g} s, {end.steps_per_second:,.0f} steps per second" if end is not None else ""
    parts = [heading("Run", f"{reason} after {len(epochs):,} epochs{took}")]
    if (shown := run.kept_epoch) is not None:
        numbers = {"loss": shown.loss, "validation loss": shown.validation_loss, **shown.metrics}
        held = {name.replace("_", " "): value for name, value in numbers.items() if value is not None}
        parts.append(table([[f"epoch {shown.epoch}", *held.values()]], ["", *held]))
        parts.append(svg_of(run_curves.loss(run)))
    parts.append(folded("summary", pre(run.summary())) + folded("network", pre(run.model.summary())))
    return "".join(parts)


@page(Model)
def model_page(model: Model) -> str:
    """The layers with the shapes that leave them, and what its outputs mean."""
    *rows, total = model.summary().split("\n")
    labels = model.labels
    meaning = "numbers" if labels is None else f"{len(labels)} classes: {', '.join(map(str, labels[:8]))}"
    more = " …" if labels is not None and len(labels) > 8 else ""
    return "".join(
        [heading("Model", total), pre("\n".join(rows)), line(f"loss {model.loss.name}; predicts {meaning}{more}", True)]
    )


@page(Race)
def race_page(race: Race) -> str:
    """The results as a table, the best first, and the standings."""
    columns = race.columns
    shown = [name for name in columns if name not in ("name", "state", "epoch", "seconds")]
    rows = [
        [
            one.place,
            one.name,
            one.epoch,
            *("-" if math.isnan(v) else float(v) for v in values),
            one.state.replace("_", " "),
        ]
        for one, *values in zip(race.results, *(columns[name] for name in shown))
    ]
    names = [name.replace("_", " ") for name in shown]
    head = heading("Race", f"{len(rows)} variants in {race.seconds:.3g} s, {race.stop_reason}")
    drawn = "" if no_results(race) else svg_of(standings(race))
    notes = "".join(line(f"note: {note}", quiet=True) for note in race.notes)
    return head + table(rows, ["", "variant", "epochs", *names, "ended"], bold=0) + drawn + notes


@page(Verdict)
def verdict_page(verdict: Verdict) -> str:
    """The kind of the point in words, and the numbers behind it."""
    values = verdict.eigenvalues
    rows: list[list[Any]] = [["value", verdict.value], ["gradient norm", verdict.gradient_norm]]
    rows += [["lowest eigenvalue", float(values[0])], ["highest eigenvalue", float(values[-1])]]
    if values[-1] > 0:
        rows.append(["largest stable step, 2 / highest", 2 / float(values[-1])])
    which = f"all {values.size} eigenvalues are known" if verdict.complete else "only the two ends are known"
    return heading(verdict.kind, KINDS[verdict.kind]) + table(rows) + line(which, quiet=True)


@page(Comparison)
def comparison_page(found: Comparison) -> str:
    """The scores of all candidates with their standard errors, and who wins."""
    chart = scores_chart(found)
    drawn = "" if chart is None else svg_of(chart, height=60 + 26 * len(chart.panels[0].y.names))
    return (
        heading("Comparison", f"{found.better} {found.metric.replace('_', ' ')} is better, on {found.rows:,} rows")
        + drawn
        + line(found.verdict)
    )


def scores_chart(found: Comparison) -> Chart | None:
    """The metric that decides of all candidates, with its standard errors; None where it is defined of none."""
    known = [one for one in found.candidates if one.problem is None and found.metric in one.scores]
    if not known:
        return None
    estimates = [one.scores[found.metric] for one in known]
    values, errors = (np.array([getattr(one, name) for one in estimates]) for name in ("value", "error"))
    name = found.metric.replace("_", " ")
    bars = Bars(values, np.where(np.isfinite(errors), errors, 0.0), "", 0)
    axes = (
        Axis(f"{name}, ± standard error", run_curves.unit_of(found.metric)),
        Axis("model", "1", names=tuple(one.name for one in known)),
    )
    return Chart("", (Panel(*axes, (bars,)),))


@page(Diagnosis)
def diagnosis_page(found: Diagnosis) -> str:
    """Every finding with its evidence, in their order, and what could not be checked."""
    parts = [heading(f"Diagnosis of {found.name}", found.result)]
    parts += [finding_part(one) for one in found.findings]
    return "".join(parts) + "".join(line(f"not checked: {one}", quiet=True) for one in found.unchecked)


def finding_part(found: Finding) -> str:
    """One finding: the sentence, the evidence with its borders, what to try."""
    parts = [heading(found.head()), line(found.says)]
    if found.evidence:
        parts.append(table([[one.name, one.text, one.threshold] for one in found.evidence], ["evidence", "", "border"]))
    parts += [line(f"not checked: {one}", quiet=True) for one in found.unchecked]
    parts += [f'<div style="margin:4px 0">try: {code(one)}</div>' for one in found.tries]
    return f'<div style="margin:10px 0">{"".join(parts)}</div>'


@page(Landscape)
def landscape_page(found: Landscape) -> str:
    """The loss on its line or plane."""
    return heading("Landscape", found.kind) + svg_of(surface_plots.surface(found))


@page(Line)
def line_page(found: Line) -> str:
    """The loss between two runs."""
    return heading("Line", f"between two runs, barrier {found.barrier:.4g}") + svg_of(surface_plots.barrier(found))


__all__ = ["html_of"]
