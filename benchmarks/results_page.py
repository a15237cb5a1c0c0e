"""Shows results: the tables, missed floors and how near to the limits they are, the page, and the README's block.

Knows the shape of the results and nothing of how they came about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.limits import STEP_FLOOR, least, peak
from benchmarks.record import Finding, Rates, Results
from fallline.bench.cases import BEST, OLDER, OTHERS, named
from fallline.bench.markdown import listed, on, seconds, table, times
from fallline.bench.results import OURS, Outcome, Verdict
from fallline.bench.rounds import TOLERANCE, WRONG
from fallline.bench.tables import QUIET, race_table

# Limits that allow this many times a floor say nothing about why it was missed.
FAR = 2.0

# The place of the benchmarks in the README.
BLOCK = re.compile(r"(<!-- benchmarks: [^>]* -->\n).*?(<!-- /benchmarks -->)", re.DOTALL)


def glance(outcomes: Sequence[Outcome], floors: bool = True) -> str:
    """A line for each case: our step, and how many of it go into PyTorch's and into that of the best of the others.

    Older versions have a column where they were raced.
    """
    rows = []
    older = [name for name in OLDER if any(name in outcome.timings for outcome in outcomes)]
    for outcome in outcomes:
        verdicts = {verdict.peer: verdict for verdict in outcome.verdicts}
        best = outcome.best_other
        cells = [_ratio(outcome, name, verdicts.get(name or "") if floors else None) for name in ("PyTorch", best)]
        ours = outcome.timings.get(OURS)
        row = [outcome.case.name, seconds(ours.step) if ours else "", *cells, best or ""]
        row += [_ratio(outcome, name, None) for name in older]
        if floors:
            row.append("" if not verdicts else "met" if all(v.met for v in verdicts.values()) else "SHORT")
        rows.append(row)
    head = ["network", "our step", "PyTorch", "best of the others", "which is", *older]
    return table([*head, "verdict"] if floors else head, rows)


def _ratio(outcome: Outcome, name: str | None, verdict: Verdict | None) -> str:
    ratio = None if name is None else outcome.ratio(name)
    return "" if ratio is None else times(ratio) + (f" (floor {verdict.floor:g})" if verdict else "")


def rates_table(rates: Rates) -> str:
    """The whole step of the largest case against products alone."""
    shown = [replace(rates.step, what=f"whole step of {rates.step.what}")]
    shown += sorted(rates.products, key=lambda rate: -rate.flops)
    rows = [
        (rate.what, f"{rate.flops / 1e9:.1f}", f"{rate.most / 1e9:.1f}", f"{rates.step.flops / rate.flops:.0%}")
        for rate in shown
    ]
    return table(("float32", "GFLOP/s (median)", "most", "the step's share of it"), rows)


def rates_shortfalls(results: Results) -> list[str]:
    """Whether the largest step runs at its share of the products' rate."""
    rates = results.rates
    if rates is None or rates.step.flops >= STEP_FLOOR * rates.best.flops:
        return []
    share = rates.step.flops / rates.best.flops
    text = (
        f"{rates.step.what}, {on(rates.threads)}: {share:.0%} of the rate of {rates.best.what}, floor {STEP_FLOOR:.0%}"
    )
    bound = least(named(rates.step.what), results)
    if bound.memory:
        text += (
            f" (its products take {seconds(bound.products)} at least and Adam's passes over memory "
            f"{seconds(bound.memory)}: one after the other, {bound.products / bound.in_turn:.0%} is the most)"
        )
    return [text]


def limits_table(outcomes: Sequence[Outcome], results: Results) -> str:
    """For each case the least a step can take here, our step, and how far ahead that would be at most."""
    rows = []
    for outcome in outcomes:
        ours = outcome.timings.get(OURS)
        if ours is None:
            continue
        bound = least(outcome.case, results)
        ahead = (
            times(outcome.timings[name].step / bound.step) if name in outcome.timings else ""
            for name in ("PyTorch", outcome.best_other)
        )
        rows.append(
            (
                outcome.case.name,
                f"{outcome.case.flops / 1e6:,.2f}",
                seconds(bound.products),
                seconds(bound.memory) if bound.memory else "",
                seconds(ours.step),
                f"{bound.step / ours.step:.0%}",
                *ahead,
            )
        )
    head = ("network", "MFLOP", "products", "memory", "our step", "reached", "PyTorch at most", "others at most")
    return table(head, rows)


def argument(outcome: Outcome, verdict: Verdict, results: Results) -> str:
    """A missed floor against what the machine's limits would allow; empty where they are far away."""
    most = outcome.timings[verdict.peer].step / least(outcome.case, results).step
    if most > FAR * verdict.floor:
        return ""
    limit = f" (products at {peak(results) / 1e9:.0f} GFLOP/s and memory allow {times(most)} at most"
    return f"{limit}, less than the floor)" if most < verdict.floor else f"{limit})"


def quickest(outcome: Outcome, verdict: Verdict) -> str:
    """A missed floor by the quickest turn of each, in which the least else went on; and the cores our threads had."""
    ours, theirs = outcome.timings[OURS], outcome.timings[verdict.peer]
    ratio = min(theirs.seconds) / theirs.steps / (min(ours.seconds) / ours.steps)
    few = 1.01 < ours.busy < 0.95 * ours.threads
    cores = f", and our {ours.threads} threads had {ours.busy:.2f} cores" if few else ""
    return f"; by the quickest turn of each {ratio:.2f}{cores}"


def shortfalls(results: Results) -> list[str]:
    """Every missed floor, with the least time the limits allow."""
    lines = []
    for outcome in results.outcomes:
        known = results.rates is not None and results.rates.threads == outcome.threads
        missed = [verdict for verdict in outcome.verdicts if not verdict.met]
        for verdict, text in zip(missed, outcome.shortfalls):
            lines.append(text + quickest(outcome, verdict) + (argument(outcome, verdict, results) if known else ""))
    lines += rates_shortfalls(results)
    return [*lines, *(line for finding in results.findings for line in finding.short)]


def reading(results: Results) -> str:
    """The tables' results in words."""
    parts = []
    for threads in results.threads:
        outcomes = [outcome for outcome in results.on(threads) if OURS in outcome.timings]
        first = sum(min(o.timings, key=lambda name: o.timings[name].step) == OURS for o in outcomes)
        text = f"On {on(threads)} Fallline has the shortest step on {first} of {len(outcomes)} networks."
        for who, name in (("PyTorch", "PyTorch"), (f"the best of {listed(OTHERS)}", BEST)):
            found = sorted((r, o.case.name) for o in outcomes if (r := o.ratio(name)) is not None)
            if len(found) > 1:
                (low, least_of), (high, most_of) = found[0], found[-1]
                text += f" A step of {who} takes {times(low)} ({least_of}) to {times(high)} ({most_of}) as long."
        parts.append(text)
    if results.rates is not None:
        near = [
            (least(o.case, results).step / o.timings[OURS].step, o.case.name)
            for o in results.on(results.rates.threads)
            if OURS in o.timings
        ]
        if near:
            share, name = max(near)
            parts.append(
                "Small networks gain from the absence of Python calls, allocations and dispatch for each "
                "op. Large ones come to the same products for everybody, and only the rest can be saved: of our step "
                f"on {name}, {share:.0%} is time that no library has undercut on this machine."
            )
    short = shortfalls(results)
    parts.append(f"{len(short)} of the floors are missed; see the end." if short else "Every floor is met.")
    busy = max((outcome.foreign or 0.0 for outcome in results.outcomes), default=0.0)
    if busy > QUIET:
        parts.append(f"The machine was not quiet: something else took up to {busy:.0%} of it during a race.")
    return "\n\n".join(parts)


def finding_text(finding: Finding) -> str:
    """A finding without its heading: how it was measured, its table, its picture."""
    shown = [finding.about, table(finding.head, finding.rows) if finding.rows else "Could not be measured."]
    return "\n\n".join([*shown, *([f"```text\n{finding.picture}\n```"] if finding.picture else [])])


def page(results: Results) -> str:
    """The whole page of results."""
    parts = [
        "# Benchmarks",
        f"Made by `{results.command}` in {results.seconds / 60:.1f} minutes. {results.machine}",
        *filter(None, [results.libraries]),
        "## In short",
        reading(results),
        *(f"On {on(threads)}:\n\n{glance(results.on(threads))}" for threads in results.threads),
        "## How it is measured",
        "Every competitor trains the same network from the same parameters on the same batches, in float32, in a "
        "process of its own kept to as many processors as everybody has threads. Before it is timed, its loss curve "
        "over 64 steps (16 of the large networks) has to agree with one computed in double precision to "
        f"{TOLERANCE:.0%} of the effect of a learning rate wrong by {WRONG - 1:.0%}; one that does not is not timed. "
        "They take turns: each round runs all of them, one after the other, and waits until a thread pool has gone "
        "to sleep. A step is the median over rounds; `times ours` is the median of the rounds' own ratios. PyTorch "
        "and JAX scan race on one thread too, and count with the quicker time: see `threads`; `busy` counts the "
        "threads that were at work, waiting in circles included. Libraries are as their users get them. Adam with "
        "learning rate 0.001 unless said otherwise (0.0001 for the largest network).",
    ]
    for threads in results.threads:
        parts.append(f"## On {on(threads)}")
        for outcome in results.on(threads):
            parts += [f"### {outcome.case.name}", race_table(outcome)]
    if results.rates is not None:
        parts += ["## How near the limit", *_limits(results, results.rates)]
    for finding in results.findings:
        parts += [f"## {finding.heading}", finding_text(finding)]
    parts += ["## Short of the floors", "\n".join(f"- {line}" for line in shortfalls(results)) or "Nothing."]
    return "\n\n".join(parts) + "\n"


def _limits(results: Results, rates: Rates) -> list[str]:
    parts = [
        f"On {on(rates.threads)}, measured in turn in one process. The floor for the step is {STEP_FLOOR:.0%} of the "
        "fastest product.",
        rates_table(rates),
    ]
    outcomes = results.on(rates.threads)
    if not outcomes:
        return parts
    cache = f"{rates.cache / 2**20:.0f} MiB" if rates.cache else "of unknown size"
    return [
        *parts,
        "The least a step can take here: its products at the most that anything has reached in a round, "
        f"{peak(results) / 1e9:.0f} GFLOP/s, or what Adam reads and writes (six numbers for each parameter) at "
        f"{rates.memory / 1e9:.0f} GB/s where theta, gradient and moments do not fit the last cache ({cache}), "
        "whichever is more. `reached` is its share of our step. `at most` is how far ahead of the others' steps it "
        "would be: no floor above that can be reached with these products.",
        limits_table(outcomes, results),
    ]


def block(results: Results) -> str:
    """The README's: the networks on the most threads, where and when, and where the rest is."""
    threads = max(results.threads)
    return (
        f"On {on(threads)}:\n\n{glance(results.on(threads), floors=False)}\n\n"
        f"Made by `{results.command}`. {results.machine}\n"
        "All of it, with floors, limits and how cost grows: [docs/benchmarks.md](docs/benchmarks.md).\n"
    )


def filled(readme: str, results: Results) -> str:
    """A README with these results in their place. Errors: ValueError where it has none."""
    check_place(readme)
    return BLOCK.sub(lambda found: found.group(1) + block(results) + found.group(2), readme)


def check_place(readme: str) -> None:
    if not BLOCK.search(readme):
        raise ValueError("it has no place for benchmarks: lines <!-- benchmarks: ... --> and <!-- /benchmarks -->")
