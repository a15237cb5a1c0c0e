"""`python -m benchmarks.quality`: trials of presets and peers on real tables, the page that shows them, their data.

Peers that were measured before are taken from the file of kept trials.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.quality import raw_tables, tables_page
from benchmarks.quality.contenders import CONTENDERS, PEERS, PRESETS
from benchmarks.quality.trials import Kept, read, trial
from fallline.bench.host import libraries, machine
from fallline.bench.markdown import seconds

DOCS = Path(__file__).resolve().parents[2] / "docs"
EPILOG = """examples:
  python -m benchmarks.quality --only kin8nm --preset fast --splits 3 --on validation --keep /tmp/trials.json
  python -m benchmarks.quality --keep docs/tables.json --write docs/tables.md     the page of the project
  python -m benchmarks.quality --none --keep docs/tables.json --write docs/tables.md     the page from kept trials
Choices are tuned with --on validation, which cuts the training rows and leaves the test rows alone."""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser("python -m benchmarks.quality", description=__doc__, epilog=EPILOG,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    made.add_argument("--only", default="", metavar="SET,..", help="these sets; by default all that are there")
    made.add_argument("--preset", default="default", metavar="NAME,..", help=f"of {', '.join(PRESETS)}")
    made.add_argument("--peers", default=",".join(PEERS), metavar="NAME,..", help="also these; '' for none")
    made.add_argument("--splits", type=int, metavar="N", help="the first N; by default as many as each set has")
    made.add_argument("--on", choices=("test", "validation"), default="test", help="the rows measured on")
    made.add_argument("--data", type=Path, default=raw_tables.FOLDER, help="the folder of data files")
    made.add_argument("--keep", type=Path, metavar="FILE", help="take kept trials from here, and keep all there")
    made.add_argument("--none", action="store_true", help="measure nothing")
    made.add_argument("--again", action="store_true", help="measure peers again that were measured before")
    made.add_argument("--write", type=Path, metavar="FILE", help="write the page of all kept trials on test rows")
    return made


def listed(text: str, known: Sequence[str], form: argparse.ArgumentParser, what: str) -> list[str]:
    """`a,b` -> [a, b]; an error of the command for a name that there is not."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if strange := [name for name in names if name not in known]:
        form.error(f"there is no {what} {strange[0]!r}; there are: {', '.join(known)}")
    return names


def main(arguments: Sequence[str] | None = None) -> int:
    form = parser()
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = form.parse_args(given)
    sets = listed(options.only, raw_tables.present(options.data), form, "set") or raw_tables.present(options.data)
    contenders = listed(options.peers, [*PEERS], form, "peer") + listed(options.preset, PRESETS, form, "preset")
    kept = read(options.keep) if options.keep and options.keep.exists() else Kept()
    if not options.none:
        kept.machine, kept.libraries = machine(), libraries()
        for name in sets:
            measure(kept, name, contenders, options)
    asked = Kept(trials={key: one for key, one in kept.trials.items() if one.table in sets})
    print(tables_page.short(asked, options.on))
    if options.write:
        options.write.write_text(tables_page.page(kept), encoding="utf-8")
    return 0


def measure(kept: Kept, name: str, contenders: Sequence[str], options: argparse.Namespace) -> None:
    """All trials on a set, split by split; each is kept as soon as it is there."""
    table = raw_tables.load(name, options.data)
    for split in range(options.splits or raw_tables.ENTRIES[name].splits):
        for contender in contenders:
            known = (name, options.on, split, contender) in kept.trials
            if known and not CONTENDERS[contender].ours and not options.again:
                continue
            begun = time.perf_counter()
            try:
                done = trial(table, split, options.on, contender)
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # the others go on
                print(f"{name} {split} {contender}: left out: {type(error).__name__}: {error}", flush=True)
                continue
            kept.add(done)
            shown = ", ".join(f"{key} {value:.4f}" for key, value in done.scores.items())
            print(f"{name} {split} {contender}: {shown}, {seconds(time.perf_counter() - begun)}", flush=True)
            if options.keep:
                kept.write(options.keep)


if __name__ == "__main__":
    sys.exit(main())
