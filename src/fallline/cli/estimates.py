"""Numbers with their standard errors on screen, and a training beside simpler models."""

import math
from typing import Any

from fallline.assessment.comparison import NETWORK, Candidate, Comparison
from fallline.assessment.uncertainty import Estimate
from fallline.cli import screen
from fallline.typesetting import cells, number, pad, words

# Beyond so many metrics a table of them is wider than 80 columns.
MOST_SHOWN = 3
MARGIN = 14


def is_count(name: str) -> bool:
    """Whether a metric counts right answers, so that it is shown in percent."""
    return name.endswith(("accuracy", "exact_match"))


def written(name: str, given: Estimate) -> str:
    """`98.3 % ± 0.7`, `0.1917 ± 0.018`: a metric's value and its standard error, where there is one."""
    sign = "+-" if screen.ascii_only() else "±"
    if is_count(name):
        return f"{100 * given.value:.1f} %" + ("" if math.isnan(given.error) else f" {sign} {100 * given.error:.1f}")
    return number(given.value) + ("" if math.isnan(given.error) else f" {sign} {number(given.error, 2)}")


def show_comparison(found: Comparison) -> None:
    """The network beside the others: a line each, and the verdict."""
    names = [found.metric, *(name for name in found.network.scores if name != found.metric)][:MOST_SHOWN]
    rows = [["", *names, "seconds"]]
    rows += [[one.name, *_of(one, names), "" if math.isnan(one.seconds) else number(one.seconds, 3)]
             for one in found.candidates if one.problem is None]  # fmt: skip
    widths = [max(cells(row[i]) for row in rows) for i in range(len(rows[0]))]
    sign = "+-" if screen.ascii_only() else "±"
    rows_said = f"{number(found.training_rows)} training and {number(found.rows)} test rows"
    weights = ", by their weights" if found.weighted else ""
    say_wrapped("compared", f"on the same {rows_said}{weights}, {sign} standard error")
    for row in rows:
        screen.say("  ".join(pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for one in found.candidates:
        if one.problem is not None:
            say_wrapped("", f"{one.name} could not be trained: {one.problem}")
    say_wrapped("verdict", found.verdict)
    lead = found.candidates[1].lead.get(found.metric)
    if is_count(found.metric) and lead is not None and lead.value == lead.error == 0:
        say_wrapped("", "no row is taken for a rarer class; --watch roc_auc judges by how rows are ranked, and --watch "
                        "balanced_accuracy counts every class alike")  # fmt: skip


def _of(one: Candidate, names: list[str]) -> list[str]:
    return [written(name, one.scores[name]) for name in names]


def say_wrapped(name: str, text: str) -> None:
    """A line of two columns, the text wrapped under itself."""
    first, *rest = words(text, screen.width() - MARGIN).split("\n")
    screen.fact(name, first)
    for line in rest:
        screen.fact("", line)


def compared(
    model: Any, train: Any, test: Any, *, by: str | None, metrics: Any, seconds: float, threads: Any
) -> Comparison | None:
    """Train the simpler models and show them; Ctrl-C leaves them out, and gives None."""
    from fallline.assessment.comparison import compare
    from fallline.errors import FalllineError

    try:
        with screen.told_if_slow("comparing with simpler models; Ctrl-C leaves that out"):
            found = compare(model, train, test, by=by, metrics=metrics, seconds=seconds, threads=threads)
    except KeyboardInterrupt:
        screen.fact("compared", "left out: interrupted")
        return None
    except FalllineError as error:  # such as test rows whose weights are all 0
        say_wrapped("compared", f"with nothing: {error}")
        return None
    show_comparison(found)
    return found


__all__ = ["MARGIN", "NETWORK", "compared", "is_count", "say_wrapped", "show_comparison", "written"]
