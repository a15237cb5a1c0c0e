"""`diagnose`: every verdict of the table, looked for in a run."""

import importlib
import os
import pkgutil
from typing import Any

from fallline import diagnosis
from fallline.arguments import takes
from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Diagnosis, Finding
from fallline.diagnosis.verdict_table import VERDICTS
from fallline.errors import FalllineError
from fallline.insight.opened import opened
from fallline.training.run import Run

MISSING = {
    "rows": "the training rows are not there",
    "validation": "there were no validation rows",
    "events": "the run has no history",
}


@takes()
def diagnose(run: Run | str | os.PathLike[str], data: Any = None) -> Diagnosis:
    """Where a run stands, and what is wrong with it, each finding with its proof.

    run: a Run, or the folder of one, also of one that was made before. data: (x, y) or (x, y, weight) as they were
        given to the training; None takes them from the run, or from the file or set that it names.
    Nothing is trained and nothing in the folder changes. Of an ensemble every network is looked at.
    Errors: those of `fl.load_run`; DataError for data that are not those of the run. What cannot be checked is no
    error: `unchecked` says so.
    Example: print(fl.diagnose(fl.fit(model, (x, y), loss="cross_entropy")))
    """
    for module in pkgutil.iter_modules(diagnosis.__path__):
        importlib.import_module(f"{diagnosis.__name__}.{module.name}")
    found = opened(run, data)
    findings, unchecked, checked = list[tuple[int, Finding]](), list(found.missing), dict[str, None]()
    for part in found.parts:
        case = Case(found, part)
        for one in VERDICTS.values():
            absent = [need for need in one.needs if not case.has(need)]
            if absent:
                unchecked.append(f"{one.name}: {MISSING[absent[0]]}")
                continue
            try:
                told = list(one.look(case))
            except FalllineError as error:
                unchecked.append(f"{one.name}: {' '.join(str(error).split())}")
                continue
            checked[one.name] = None
            findings += [(one.order, finding) for finding in told]
    ordered = [finding for _, finding in sorted(findings, key=lambda pair: (pair[1].warns, pair[0]))]
    return Diagnosis(found.name, tuple(ordered), tuple(dict.fromkeys(unchecked)), tuple(checked))


__all__ = ["diagnose"]
