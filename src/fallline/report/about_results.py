"""Sections on what came of a run: its curves, its results beside baselines, and the findings with their proof."""

from fallline.diagnosis.finding import Finding
from fallline.errors import FalllineError
from fallline.plots import race_plots
from fallline.plots.chart import Chart
from fallline.plots.page_parts import code, html_of, table
from fallline.plots.pages import scores_chart
from fallline.plots.plot_table import plots_of
from fallline.report.markup import pictures, says, sub, wide
from fallline.report.section_table import section
from fallline.report.subject import TREES, Subject

# Pictures of the history, in their order.
CURVES = ("loss", "metrics", "learning_rate")
# Metrics of which a curve is drawn.
MOST_METRICS = 4


@section("race", "The race", 0)
def race(subject: Subject) -> str:
    """The standings, of which this page reports the best."""
    of = subject.race
    if of is None:
        return ""
    best = next(one.name for one in of.results if of.runs.get(one.name) is subject.run)
    parts = [html_of(of) or ""]
    if not race_plots.no_rates(of):
        parts.append(pictures(race_plots.rates(of, border=False)))
    others = [one.name for one in of.results if one.name != best]
    where = subject.run.folder
    told = f"Below: the report of {best}, the best of {len(of.results)}."
    hint = "" if where is None or not others else f" Of another: fallline report {where.parent / others[0]}"
    return wide("".join(parts), "standings") + says(told + hint)


@section("verdicts", "Verdicts", 1)
def verdicts(subject: Subject) -> str:
    """Every finding with its evidence, warnings first."""
    found = subject.diagnosis
    parts = [says(f"{found.result[:1].upper()}{found.result[1:]}.")]
    parts += [_finding(one) for one in (*found.warnings, *(one for one in found.findings if not one.warns))]
    parts += [says(f"not checked: {one}", quiet=True) for one in found.unchecked]
    return "".join(parts)


def _finding(found: Finding) -> str:
    parts = [sub(found.head()), says(found.says)]
    if found.evidence:
        rows = [[one.name, one.text, one.threshold] for one in found.evidence]
        parts.append(wide(table(rows, ["evidence", "value", "border"]), f"evidence of {found.name}"))
    parts += [says(f"not checked: {one}", quiet=True) for one in found.unchecked]
    parts += [f"<p>try: {code(one)}</p>" for one in found.tries]
    return f'<div class="finding{" warns" * found.warns}">{"".join(parts)}</div>'


@section("curves", "Curves", 30)
def curves(subject: Subject) -> str:
    """The loss, the metrics and the learning rate over the epochs."""
    run = subject.run if subject.run.epochs else subject.first
    menu, charts, notes = plots_of(run), list[Chart](), list[str]()
    for name in CURVES:
        if menu[name].lacks(run):
            continue
        try:
            charts.append(menu[name].function(run))
        except FalllineError as error:
            notes.append(says(f"{name}: {error}", quiet=True))
    if not charts:
        return says("No epoch has ended, so there is no curve.")
    apart = [Chart(f"{panel.y.name[:1].upper()}{panel.y.name[1:]} by epoch", (panel,))
             for one in charts for panel in one.panels[:MOST_METRICS]]  # fmt: skip
    whose = says(subject.several, quiet=True) if run is not subject.run else ""
    return whose + pictures(*apart) + "".join(notes)


@section("results", "Results beside simpler models", 40)
def results(subject: Subject) -> str:
    """The scores on the test rows beside those of baselines, and the answers drawn."""
    try:
        found = subject.comparison
    except FalllineError as error:
        return says(f"Compared with nothing: {error}", quiet=True)
    if found is None:
        return says("There are no test rows to compare on.", quiet=True)
    metrics = list(found.candidates[0].scores)
    rows = [
        [one.name, *(_score(one.scores.get(name)) if one.problem is None else "-" for name in metrics),
         "-" if one.seconds != one.seconds else f"{one.seconds:.3g}"]
        for one in found.candidates
    ]  # fmt: skip
    names = [name.replace("_", " ") for name in metrics]
    told = f"On {found.rows:,} test rows, ± standard error; {found.better} {names[0]} is better"
    told += f". The network was trained on {found.training_rows:,} rows, and so were the others."
    left = [f"{one.name}: {one.problem}" for one in found.candidates if one.problem is not None]
    if subject.slow_trees:
        left.append(f"{TREES} are left out, as they take long on so many rows: fallline train compares with them")
    shown = wide(table(rows, ["model", *names, "seconds"], bold=0), "scores")
    chart = scores_chart(found)
    drawn = "" if chart is None else pictures(chart, height=70 + 26 * len(rows))
    verdict = says(f"{found.verdict[:1].upper()}{found.verdict[1:]}.")
    return verdict + says(told) + shown + drawn + "".join(says(one, quiet=True) for one in left)


def _score(found: object) -> str:
    value, error = getattr(found, "value", float("nan")), getattr(found, "error", float("nan"))
    return f"{value:.4g}" + (f" ± {error:.2g}" if error == error else "")


__all__ = ["curves", "race", "results", "verdicts"]
