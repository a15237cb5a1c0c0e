"""The benchmark as a command: a training step compared with the installed peers, on which networks, for how long.

Holds no measurement of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fallline.bench.cases import CASES, Case
from fallline.bench.field import Field
from fallline.bench.host import libraries, machine
from fallline.bench.markdown import on
from fallline.bench.peers import COMPETITORS
from fallline.bench.results import OURS, Outcome
from fallline.bench.rounds import installed, race
from fallline.bench.tables import race_table

EPILOG = """examples:
  fallline bench                        every network against its peers
  fallline bench --case 2-8-8-2         one of them
  fallline bench --threads 1            on one thread
  fallline bench --calibrate            the costs of work on this machine, for choosing threads"""
ABOUT = "Times training steps against the libraries that are installed: PyTorch, JAX, scikit-learn."


def parser(name: str = "fallline bench", about: str = ABOUT, epilog: str = EPILOG) -> argparse.ArgumentParser:
    """The arguments of races: which cases, against whom, on how many threads, for how long."""
    form = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser(name, description=about, epilog=epilog, formatter_class=form)
    made.add_argument("--case", action="append", help="only networks whose name has this in it; may be repeated")
    made.add_argument("--against", action="append", choices=list(COMPETITORS), help="only these; may be repeated")
    made.add_argument("--threads", type=int, nargs="+", metavar="N",
                      help="threads for everybody; several are raced one after the other (default: all cores that "
                      "this process may use, then one)")  # fmt: skip
    made.add_argument("--rounds", type=int, default=9, help="how often each competitor has its turn (default 9)")
    made.add_argument("--seconds", type=float, default=0.12, help="about how long a turn lasts (default 0.12)")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the races. Returns 0; falling short of a floor is a result, not a failure."""
    form = parser()
    form.add_argument(
        "--calibrate", action="store_true", help="measure the costs of work here, for choosing lanes; ends"
    )
    options = form.parse_args(list(sys.argv[1:] if arguments is None else arguments))
    if options.calibrate:
        return calibrate()
    wrong = problems(options)
    if wrong:
        form.error(wrong)
    print("\n".join(filter(None, [machine(), libraries()])))
    print(conclusion([line for outcome in all_races(options) for line in outcome.shortfalls]))
    return 0


def conclusion(short: Sequence[str]) -> str:
    """The last lines on screen. short: a line for each missed floor."""
    return "\n" + ("\n".join(["Short of the floors:", *short]) if short else "Every floor that was measured is met.")


def problems(options: argparse.Namespace) -> str:
    """The problems of the arguments, reported before anything is measured; empty if there are none."""
    if not (1 <= options.rounds <= 1000 and 0 < options.seconds <= 600):
        return "--rounds has to be from 1 to 1000 and --seconds above 0 and at most 600"
    most = cores()
    if any(not 1 <= threads <= most for threads in options.threads or ()):
        return f"--threads has to be from 1 to the {most} cores that this process may use"
    if not chosen(options):
        names = "; ".join(case.name for case in CASES)
        return f"no network's name has {' or '.join(options.case)} in it; there are: {names}"
    return ""


def cores() -> int:
    from fallline.program import lanes

    return lanes.available()


def chosen(options: argparse.Namespace) -> list[Case]:
    return [case for case in CASES if any(part in case.name for part in options.case or [""])]


def counts(options: argparse.Namespace) -> list[int]:
    """The numbers of threads to race on."""
    return list(dict.fromkeys(options.threads or (cores(), 1)))


def all_races(options: argparse.Namespace) -> list[Outcome]:
    """The races on every number of threads requested."""
    absent = [name for name, why in installed(COMPETITORS).items() if why]
    if absent:
        print(f"Not installed and left out: {', '.join(absent)}. `make peers` in a checkout installs them.")
    return [outcome for threads in counts(options) for outcome in races(options, threads)]


def races(options: argparse.Namespace, threads: int) -> list[Outcome]:
    """The races of all cases that are for so many threads, shown as they come."""
    outcomes = []
    names = options.against or [name for name, entry in COMPETITORS.items() if entry.always or threads == 1]
    names = list(dict.fromkeys([OURS, *names]))
    with Field(threads) as field:
        for case in chosen(options):
            if case.floors_at(threads) is None:
                continue
            print(f"\n{case.name}, on {on(threads)}", flush=True)
            outcome = race(case, names, field, rounds=options.rounds, seconds=options.seconds)
            outcomes.append(outcome)
            print(race_table(outcome), flush=True)
    return outcomes


def calibrate() -> int:
    """Measure the constants by which training chooses how many threads to use, and keep them."""
    from dataclasses import asdict

    from fallline.program import calibrate as measuring
    from fallline.program import cost_model as costs

    before, found = asdict(costs.current()), measuring.calibrate()
    path = costs.keep(found)
    print("nanoseconds   before    now")
    for name, value in asdict(found).items():
        print(f"{name:<12} {before[name]:>8.4g} {value:>8.4g}")
    print(f"kept in {path}")
    return 0
