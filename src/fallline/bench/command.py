"""The benchmark as a command: which cases, how long, where the page goes. `fallline bench` and `make bench` call it.

Holds no measurement of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fallline.bench import costs, crowd, fresh, growth, limits, many, report, results
from fallline.bench.cases import CASES, Case
from fallline.bench.field import Field
from fallline.bench.machine import libraries, machine
from fallline.bench.measure import Measure
from fallline.bench.peers import COMPETITORS
from fallline.bench.race import installed, race
from fallline.bench.results import OURS, Finding, Results
from fallline.bench.text import on

EPILOG = """examples:
  python -m fallline.bench                          all of it, shown only
  python -m fallline.bench --case 2-8-8-2           one network against its peers
  python -m fallline.bench --threads 1 --no-costs   the races on one thread
  python -m fallline.bench --write docs/benchmarks.md --readme README.md
  python -m fallline.bench --from docs/benchmarks.json --write docs/benchmarks.md"""

MEASURES: tuple[Measure, ...] = (*many.MEASURES, *crowd.MEASURES, *fresh.MEASURES, *costs.MEASURES, *growth.MEASURES)


def parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser("fallline bench", description=__doc__, epilog=EPILOG, formatter_class=form)
    made.add_argument("--case", action="append", help="only networks whose name has this in it; may be repeated")
    made.add_argument("--against", action="append", choices=list(COMPETITORS), help="only these; may be repeated")
    made.add_argument("--threads", type=int, nargs="+", metavar="N",
                      help="threads for everybody; several are raced one after the other (default: all cores that "
                      "this process may use, then one)")  # fmt: skip
    made.add_argument("--rounds", type=int, default=9, help="how often each competitor has its turn (default 9)")
    made.add_argument("--seconds", type=float, default=0.12, help="about how long a turn lasts (default 0.12)")
    made.add_argument("--no-costs", action="store_true", help="leave out all that is no race of training steps")
    made.add_argument("--no-races", action="store_true", help="leave out the comparison with peers")
    made.add_argument(
        "--calibrate", action="store_true", help="measure the costs of work here, for choosing lanes; ends"
    )
    made.add_argument("--write", type=Path, metavar="FILE", help="write the results as a page, and as JSON beside it")
    made.add_argument("--readme", type=Path, metavar="FILE", help="put the results in their place in a README")
    made.add_argument("--from", type=Path, metavar="FILE", dest="kept", help="measure nothing: take results from JSON")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark. Returns 0; falling short of a floor is a result, not a failure."""
    form = parser()
    given = list(sys.argv[1:] if arguments is None else arguments)
    asked = form.parse_args(given)
    if asked.calibrate:
        return calibrate()
    wrong = problems(asked)
    if wrong:
        form.error(wrong)
    if asked.kept:
        try:
            found = results.read(asked.kept)
        except (OSError, ValueError) as error:
            form.error(f"{asked.kept}: {error}")
    else:
        found = measured(asked, " ".join(["python -m fallline.bench", *given]))
    short = report.shortfalls(found)
    print("\n" + ("\n".join(["Short of the floors:", *short]) if short else "Every floor that was measured is met."))
    written(found, asked)
    return 0


def problems(asked: argparse.Namespace) -> str:
    """The problems of the arguments, reported before anything is measured; empty if there are none."""
    if not (1 <= asked.rounds <= 1000 and 0 < asked.seconds <= 600):
        return "--rounds has to be from 1 to 1000 and --seconds above 0 and at most 600"
    most = cores()
    if any(not 1 <= threads <= most for threads in asked.threads or ()):
        return f"--threads has to be from 1 to the {most} cores that this process may use"
    if not chosen(asked):
        names = "; ".join(case.name for case in CASES)
        return f"no network's name has {' or '.join(asked.case)} in it; there are: {names}"
    if asked.readme:
        try:
            report.check_place(asked.readme.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            return f"{asked.readme}: {error}"
    if asked.write and not asked.write.parent.is_dir():
        return f"{asked.write.parent} is no folder"
    return ""


def cores() -> int:
    from fallline.program import lanes

    return lanes.available()


def chosen(asked: argparse.Namespace) -> list[Case]:
    return [case for case in CASES if any(part in case.name for part in asked.case or [""])]


def measured(asked: argparse.Namespace, command: str) -> Results:
    """Everything that was asked for, shown as it comes."""
    begun = time.perf_counter()
    found = Results(command, machine(), libraries())
    counts = list(dict.fromkeys(asked.threads or (cores(), 1)))
    absent = [name for name, why in installed(COMPETITORS).items() if why]
    if absent and not asked.no_races:
        print(f"Not installed and left out: {', '.join(absent)}. `make peers` installs them.")
    for threads in [] if asked.no_races else counts:
        races(asked, threads, found)
    if not asked.no_costs:
        measures(max(counts), found)
    found.seconds = time.perf_counter() - begun
    return found


def races(asked: argparse.Namespace, threads: int, found: Results) -> None:
    """The races of all cases that are for so many threads."""
    names = asked.against or [name for name, entry in COMPETITORS.items() if entry.always or threads == 1]
    names = list(dict.fromkeys([OURS, *names]))
    with Field(threads) as field:
        for case in chosen(asked):
            if case.floors_at(threads) is None:
                continue
            print(f"\n{case.name}, on {on(threads)}", flush=True)
            outcome = race(case, names, field, rounds=asked.rounds, seconds=asked.seconds)
            found.outcomes.append(outcome)
            print(report.race_table(outcome), flush=True)


def measures(threads: int, found: Results) -> None:
    """All measurements but races of training steps. Failures are reported, and the rest goes on."""
    print(f"\nHow near the limit, on {on(threads)}", flush=True)
    try:
        found.rates = limits.rates(threads)
        print(report.rates_table(found.rates), flush=True)
    except RuntimeError as failure:
        print(f"could not be measured: {failure}", flush=True)
    for measure in MEASURES:
        print(f"\n{measure.heading}", flush=True)
        try:
            finding = measure.find(threads)
        except (RuntimeError, subprocess.SubprocessError) as failure:
            finding = Finding(measure.heading, measure.about, (), (), (f"{measure.heading}: {failure}",))
        found.findings.append(finding)
        print(report.finding_text(replace(finding, about="")).strip(), flush=True)


def written(found: Results, asked: argparse.Namespace) -> None:
    """The page with its JSON, and the README, from the same results."""
    texts = {}
    if asked.write:
        texts[asked.write] = report.page(found)
        if not asked.kept:
            texts[asked.write.with_suffix(".json")] = found.to_json()
    if asked.readme:
        texts[asked.readme] = report.filled(asked.readme.read_text(encoding="utf-8"), found)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    if texts:
        print("Written to " + ", ".join(str(path) for path in texts))


def calibrate() -> int:
    """Measure the constants by which training chooses how many threads to use, and keep them."""
    from dataclasses import asdict

    from fallline.program import calibrate as measuring
    from fallline.program import costs

    before, found = asdict(costs.current()), measuring.calibrate()
    path = costs.keep(found)
    print("nanoseconds   before    now")
    for name, value in asdict(found).items():
        print(f"{name:<12} {before[name]:>8.4g} {value:>8.4g}")
    print(f"kept in {path}")
    return 0
