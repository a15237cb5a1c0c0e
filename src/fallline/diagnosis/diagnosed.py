"""`diagnose`: every verdict of the table, looked for in a run."""

import importlib
import os
import pkgutil
from collections import Counter
from dataclasses import replace
from typing import Any

from fallline import diagnosis
from fallline.arguments import takes
from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Diagnosis, Finding
from fallline.diagnosis.verdict_table import VERDICTS
from fallline.errors import FalllineError
from fallline.insight.opened import Opened, opened
from fallline.ranges import FLAG
from fallline.training.run import Run

MISSING = {
    "rows": "the training rows are not there",
    "validation": "there were no validation rows",
    "events": "the run has no history",
}


@takes(thorough=FLAG)
def diagnose(run: Run | str | os.PathLike[str], data: Any = None, *, thorough: bool = False) -> Diagnosis:
    """Where a run stands, and what is wrong with it, each finding with its proof.

    run: a Run, or the folder of one, also of one that was made before. data: (x, y) or (x, y, weight) as they were
        given to the training; None takes them from the run, or from the file or set that it names.
    thorough: looks also at what takes long: `unchecked` says what was left out without it.
    Nothing in the run or its folder changes. Of an ensemble every network is looked at, and what several of them have
    in common is told once.
    Errors: those of `fl.load_run`; DataError for data that are not those of the run. What cannot be checked is no
    error: `unchecked` says so.
    Example: print(fl.diagnose(fl.fit(model, (x, y), loss="cross_entropy")))
    """
    return diagnosis_of(opened(run, data), thorough)


def diagnosis_of(found: Opened, thorough: bool = False) -> Diagnosis:
    """The same of a run that is open already, whose rows are not read again."""
    for module in pkgutil.iter_modules(diagnosis.__path__):
        importlib.import_module(f"{diagnosis.__name__}.{module.name}")
    findings, checked = list[tuple[int, Finding]](), dict[str, None]()
    # Why verdicts could not be looked for, each reason once.
    left_out = dict[str, dict[str, None]]()
    shared: dict[Any, Any] = {}
    for part in found.parts:
        case = Case(found, part, thorough, shared)
        for one in VERDICTS.values():
            if one.once and part is not found.parts[0]:
                continue
            absent = [need for need in one.needs if not case.has(need)]
            if absent:
                left_out.setdefault(MISSING[absent[0]], {})[one.name] = None
                continue
            try:
                told = list(one.look(case))
            except FalllineError as error:
                left_out.setdefault(" ".join(str(error).split()), {})[one.name] = None
                continue
            checked[one.name] = None
            findings += [(one.order, finding) for finding in told]
    findings = _explained(_merged(findings, [part.name for part in found.parts]))
    ordered = [finding for _, finding in sorted(findings, key=lambda pair: (pair[1].warns, pair[0]))]
    unchecked = [*found.missing, *(f"{', '.join(names)}: {why}" for why, names in left_out.items())]
    return Diagnosis(found.name, tuple(ordered), tuple(dict.fromkeys(unchecked)), tuple(checked))


def _merged(findings: list[tuple[int, Finding]], members: list[str]) -> list[tuple[int, Finding]]:
    """Findings of one name about several networks as one, with the sentence and the evidence of the first of these.

    members: the names of all networks. Several findings of one name about one network stay apart.
    """
    groups, seen = dict[tuple[str, bool, int], list[tuple[int, Finding]]](), Counter[tuple[str, bool, str]]()
    for order, one in findings:
        of_its_part = (one.name, one.warns, one.part)
        groups.setdefault((one.name, one.warns, seen[of_its_part]), []).append((order, one))
        seen[of_its_part] += 1
    return [(group[0][0], _of_members([one for _, one in group], members)) for group in groups.values()]


def _explained(findings: list[tuple[int, Finding]]) -> list[tuple[int, Finding]]:
    """Findings that another one explains come after it, say so, and suggest nothing of their own."""
    told = []
    for order, one in findings:
        # A cause may be explained itself; the first to be told counts.
        causes = [pair for pair in findings if pair[1].warns and one.name in pair[1].explains]
        if not causes:
            told.append((order, one))
            continue
        at, cause = min(causes, key=lambda pair: pair[0])
        says = f"{one.says} The finding {cause.name} tells why."
        told.append((max(order, at), replace(one, says=says, tries=())))
    return sorted(told, key=lambda pair: (pair[0], bool(pair[1].explains) is False))


def _of_members(alike: list[Finding], members: list[str]) -> Finding:
    first, parts = alike[0], [one.part for one in alike if one.part in members]
    if not first.part or len(members) < 2:
        return first
    numbers = [str(members.index(part) + 1) for part in parts]
    *others, last = numbers
    if not others:
        return replace(first, part=f"member {last} of {len(members)}")
    is_all = len(numbers) == len(members)
    which = f"all {len(members)} members" if is_all else f"members {', '.join(others)} and {last} of {len(members)}"
    told = (*first.unchecked, f"that the numbers of the others are alike; these are of member {numbers[0]}")
    return replace(first, part=which, unchecked=told)


__all__ = ["diagnose", "diagnosis_of"]
