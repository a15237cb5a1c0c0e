"""The table of verdicts: the form of one, and how it gets into the table. Knows no single verdict.

A verdict is a function of a Case that returns its findings: none where there is nothing to say.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Finding
from fallline.errors import GraphError

Look = Callable[[Case], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """One verdict that can be looked for.

    doc: one line. needs: "rows" where it looks at training rows, "validation" for validation rows, "events" for the
    history alone. order: the smaller, the earlier it is told and the more it matters. once: looked for once a run, with
    its first network, and not for every network of an ensemble.
    """

    name: str
    doc: str
    look: Look
    needs: tuple[str, ...]
    order: int
    once: bool = False


VERDICTS: dict[str, Check] = {}


def verdict(
    name: str, doc: str, *, needs: tuple[str, ...] = ("rows",), order: int = 50, once: bool = False
) -> Callable[[Look], Look]:
    """Enter a function into the table as a verdict."""

    def enter(look: Look) -> Look:
        if name in VERDICTS:
            raise GraphError(f"verdict {name!r} is declared twice")
        VERDICTS[name] = Check(name, doc, look, needs, order, once)
        return look

    return enter
