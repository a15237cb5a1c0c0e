"""The table of a race. Knows the shape of its results and nothing of how they came about."""

from __future__ import annotations

from fallline.bench.markdown import seconds, table
from fallline.bench.results import Outcome

# The share of the processors that something else may take without mention.
QUIET = 0.05


def race_table(outcome: Outcome) -> str:
    """One case: each competitor's step, its rounds' spread, its total, and how many of our steps go into its step."""
    rows = []
    judged = {verdict.peer: verdict for verdict in outcome.verdicts}
    for name, timing in sorted(outcome.timings.items(), key=lambda item: item[1].step):
        ratio, verdict = outcome.ratio(name), judged.get(name)
        low, high = (f(timing.seconds) / timing.steps for f in (min, max))
        rows.append(
            (
                name,
                seconds(timing.step),
                f"{seconds(low)} to {seconds(high)}",
                f"{seconds(sum(timing.seconds))} / {timing.steps * len(timing.seconds):,}",
                str(timing.threads),
                f"{timing.busy:.2f}",
                "" if ratio is None else f"{ratio:.2f}",
                "" if verdict is None else f"{verdict.floor:g}",
                "" if verdict is None else "met" if verdict.met else "SHORT",
            )
        )
    head = ("", "step (median)", "least to most", "total / steps", "threads", "busy", "times ours", "floor", "verdict")
    text = table(head, rows)
    if outcome.foreign is not None and outcome.foreign > QUIET:
        text += f"\n\nSomething else took {outcome.foreign:.0%} of the processors meanwhile: repeat this."
    for name, why in outcome.left_out.items():
        text += f"\n\nLeft out: {name}: {why}."
    return text
