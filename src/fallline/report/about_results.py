"""Sections on what came of a run: its curves, its results beside baselines, and the findings with their proof."""

from fallline.diagnosis.finding import Finding
from fallline.errors import FalllineError
from fallline.plots.page_parts import code, heading, html_of, line, table
from fallline.plots.plot_table import plots_of
from fallline.plots.vector import svg_of
from fallline.report.section_table import section
from fallline.report.subject import Subject

# Pictures of the history, in their order.
CURVES = ("loss", "metrics", "learning_rate")
# Pictures of the answers; a task has one of them.
ANSWERS = ("confusion", "predictions")


@section("verdicts", "Verdicts", 1)
def verdicts(subject: Subject) -> str:
    """Every finding with its evidence, warnings first."""
    found = subject.diagnosis
    count = len(found.warnings)
    says = "Nothing to warn of" if not count else f"{count} warning{'s' * (count > 1)}"
    parts = [line(f"{says}, after {len(found.checked)} checks.")]
    parts += [_finding(one) for one in (*found.warnings, *(one for one in found.findings if not one.warns))]
    parts += [line(f"not checked: {one}", quiet=True) for one in found.unchecked]
    return "".join(parts)


def _finding(found: Finding) -> str:
    mark = "▲" if found.warns else "●"
    part = f" ({found.part})" if found.part else ""
    parts = [heading(f"{mark} {found.name}{part}"), line(found.says)]
    if found.evidence:
        parts.append(table([[one.name, one.text, one.threshold] for one in found.evidence], ["evidence", "", "border"]))
    parts += [line(f"not checked: {one}", quiet=True) for one in found.unchecked]
    parts += [f'<div style="margin:4px 0">try: {code(one)}</div>' for one in found.tries]
    return f'<div class="finding{" warns" * found.warns}">{"".join(parts)}</div>'


@section("curves", "Curves", 30)
def curves(subject: Subject) -> str:
    """The loss, the metrics and the learning rate over the epochs."""
    return _drawn(subject, CURVES)


@section("results", "Results beside simpler models", 40)
def results(subject: Subject) -> str:
    """The scores on the test rows beside those of baselines, and the answers drawn."""
    try:
        found = subject.comparison
        beside = line("there are no test rows to compare on", quiet=True) if found is None else html_of(found) or ""
    except FalllineError as error:
        beside = line(f"compared with nothing: {error}", quiet=True)
    return beside + _drawn(subject, ANSWERS)


def _drawn(subject: Subject, names: tuple[str, ...]) -> str:
    """Those of a run's pictures that it can show."""
    menu, parts = plots_of(subject.run), list[str]()
    for name in names:
        if name not in menu or menu[name].lacks(subject.run):
            continue
        try:
            parts.append(svg_of(menu[name].function(subject.run)))
        except FalllineError as error:
            parts.append(line(f"{name}: {error}", quiet=True))
    return f'<div class="pictures">{"".join(parts)}</div>' if parts else ""
