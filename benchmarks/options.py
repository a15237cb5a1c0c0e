"""The project's own benchmarks as a command: races, costs, growth and limits, the page that shows them, its data.

`python -m benchmarks`, or `make bench`. The races are those of `fallline bench`. Holds no measurement of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import costs, crowd, fresh, growth, limits, many, results_page, table_speed
from benchmarks import record as results
from benchmarks.measurement import Measure
from benchmarks.record import Finding, Results
from fallline.bench import command
from fallline.bench.host import libraries, machine
from fallline.bench.markdown import on

EPILOG = """examples:
  python -m benchmarks                          all of it, shown only
  python -m benchmarks --case 2-8-8-2           one network against its peers, and the rest
  python -m benchmarks --threads 1 --no-costs   the races on one thread
  python -m benchmarks --write docs/benchmarks.md --readme README.md
  python -m benchmarks --from docs/benchmarks.json --write docs/benchmarks.md"""

MEASURES: tuple[Measure, ...] = (
    *many.MEASURES,
    *table_speed.MEASURES,
    *crowd.MEASURES,
    *fresh.MEASURES,
    *costs.MEASURES,
    *growth.MEASURES,
)


def parser() -> argparse.ArgumentParser:
    made = command.parser("benchmarks", __doc__, EPILOG)
    made.add_argument("--no-costs", action="store_true", help="leave out all that is no race of training steps")
    made.add_argument("--no-races", action="store_true", help="leave out the comparison with peers")
    made.add_argument("--write", type=Path, metavar="FILE", help="write the results as a page, and as JSON next to it")
    made.add_argument("--readme", type=Path, metavar="FILE", help="put the results in their place in a README")
    made.add_argument("--from", type=Path, metavar="FILE", dest="kept", help="measure nothing: take results from JSON")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks. Returns 0; falling short of a floor is a result, not a failure."""
    form = parser()
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = form.parse_args(given)
    wrong = problems(options)
    if wrong:
        form.error(wrong)
    if options.kept:
        try:
            found = results.read(options.kept)
        except (OSError, ValueError) as error:
            form.error(f"{options.kept}: {error}")
    else:
        found = measured(options, " ".join(["python -m benchmarks", *given]))
    print(command.conclusion(results_page.shortfalls(found)))
    written(found, options)
    return 0


def problems(options: argparse.Namespace) -> str:
    """The problems of the arguments, reported before anything is measured; empty if there are none."""
    wrong = command.problems(options)
    if wrong:
        return wrong
    if options.readme:
        try:
            results_page.check_place(options.readme.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            return f"{options.readme}: {error}"
    if options.write and not options.write.parent.is_dir():
        return f"{options.write.parent} is no folder"
    return ""


def measured(options: argparse.Namespace, typed: str) -> Results:
    """The requested results, shown as they come. typed: the command line."""
    begun = time.perf_counter()
    found = Results(typed, machine(), libraries())
    if not options.no_races:
        found.outcomes += command.all_races(options)
    if not options.no_costs:
        measures(max(command.counts(options)), found)
    found.seconds = time.perf_counter() - begun
    return found


def measures(threads: int, found: Results) -> None:
    """All measurements but races of training steps. Failures are reported, and the rest goes on."""
    print(f"\nHow near the limit, on {on(threads)}", flush=True)
    try:
        found.rates = limits.rates(threads)
        print(results_page.rates_table(found.rates), flush=True)
    except RuntimeError as failure:
        print(f"could not be measured: {failure}", flush=True)
    for measure in MEASURES:
        print(f"\n{measure.heading}", flush=True)
        try:
            finding = measure.find(threads)
        except (RuntimeError, subprocess.SubprocessError) as failure:
            finding = Finding(measure.heading, measure.about, (), (), (f"{measure.heading}: {failure}",))
        found.findings.append(finding)
        print(results_page.finding_text(replace(finding, about="")).strip(), flush=True)


def written(found: Results, options: argparse.Namespace) -> None:
    """The page with its JSON, and the README, from the same results."""
    texts = {}
    if options.write:
        texts[options.write] = results_page.page(found)
        if not options.kept:
            texts[options.write.with_suffix(".json")] = found.to_json()
    if options.readme:
        texts[options.readme] = results_page.filled(options.readme.read_text(encoding="utf-8"), found)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    if texts:
        print("Written to " + ", ".join(str(path) for path in texts))
