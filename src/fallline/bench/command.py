"""The benchmark as a command: which cases, how long, where the page goes. `fallline bench` and `make bench` call it.

Holds no measurement of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fallline.bench import report
from fallline.bench.cases import CASES
from fallline.bench.costs import MEASURES
from fallline.bench.peers import COMPETITORS
from fallline.bench.race import installed, race

EPILOG = """examples:
  python -m fallline.bench                          all of it, shown only
  python -m fallline.bench --case 2-8-8-2           one network beside its peers
  python -m fallline.bench --write docs/benchmarks.md"""


def parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser("fallline bench", description=__doc__, epilog=EPILOG, formatter_class=form)
    made.add_argument("--case", action="append", help="only networks whose name has this in it; may be repeated")
    made.add_argument("--against", action="append", choices=list(COMPETITORS), help="only these; may be repeated")
    made.add_argument("--rounds", type=int, default=11, help="how often each competitor has its turn (default 11)")
    made.add_argument("--seconds", type=float, default=0.2, help="about how long a turn lasts (default 0.2)")
    made.add_argument("--no-costs", action="store_true", help="leave out gradient cost, start-up and memory")
    made.add_argument("--no-races", action="store_true", help="leave out the comparison with peers")
    made.add_argument("--calibrate", action="store_true", help="measure what work costs here, for choosing lanes; ends")
    made.add_argument("--write", type=Path, metavar="FILE", help="write the results as a page")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark. Returns 0; falling short of a floor is a result, not a failure."""
    form = parser()
    asked = form.parse_args(arguments)
    if asked.rounds < 1 or asked.seconds <= 0:
        form.error("--rounds has to be 1 or more and --seconds above 0")
    if asked.calibrate:
        return calibrate()
    cases = [case for case in CASES if any(part in case.name for part in asked.case or [""])]
    if not cases:
        form.error(
            f"no network's name has {' or '.join(asked.case)} in it; there are: " + "; ".join(c.name for c in CASES)
        )
    names = ["Fallline", *(asked.against or [name for name in COMPETITORS if name != "Fallline"])]
    names = list(dict.fromkeys(names))
    absent = [name for name, why in installed(names).items() if why]
    if absent and not asked.no_races:
        print(f"Not installed and left out: {', '.join(absent)}. `make peers` installs them.")

    outcomes, texts, short = [], [], []
    for case in [] if asked.no_races else cases:
        print(f"\n{case.name}", flush=True)
        outcome = race(case, names, rounds=asked.rounds, seconds=asked.seconds)
        outcomes.append(outcome)
        short += outcome.shortfalls()
        print(report.race_table(outcome), flush=True)
    for measure in [] if asked.no_costs else MEASURES:
        print(f"\n{measure.heading}", flush=True)
        rows, missed = measure.run()
        texts.append((measure.heading, measure.about + "\n\n" + report.table(measure.head, rows)))
        short += missed
        print(report.table(measure.head, rows), flush=True)
    print("\n" + ("\n".join(["Short of the floors:", *short]) if short else "Every floor that was measured is met."))
    if asked.write:
        asked.write.write_text(report.page(outcomes, texts, short), encoding="utf-8")
        print(f"Written to {asked.write}")
    return 0


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
