"""Verdict `alike_units`: units of a layer that have the same weights, as first weights that are all 0 or equal give."""

from collections.abc import Iterator

import numpy as np

from fallline import tree
from fallline.diagnosis.case import Case, LayerSeen
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.gradient_flow import learning
from fallline.diagnosis.verdict_table import verdict

# Weights that differ by less than this, relative to the largest, are the same: rounding of float32 over many steps.
SAME = 1e-5
# The share of a layer's units that are different ones, at most.
FEW = 0.5


def different_in(seen: LayerSeen) -> tuple[int, int] | None:
    """How many units of a layer have weights that no other has, and how many units there are; None without weights."""
    units = seen.output.shape[-1]
    parts = [leaf.reshape(-1, units) for leaf in tree.leaves(seen.params) if leaf.ndim and leaf.shape[-1] == units]
    if not parts or units < 2 or not any(len(one) > 1 for one in parts):
        return None
    weights = np.concatenate([np.asarray(one, np.float64) for one in parts])
    top = float(np.abs(weights).max())
    steps = np.round(weights / (SAME * top)) if top else weights
    return len(np.unique(steps, axis=1).T), units


@verdict("alike_units", "units of a layer have the same weights", order=9, once=True)
def alike_units(case: Case) -> Iterator[Finding]:
    """Units that began with the same weights get the same gradient, and stay one unit for ever."""
    begun = {one.name: different_in(one) for one in learning(case.layers_at_first)}
    for seen in learning(case.layers)[:-1]:
        now, then = different_in(seen), begun.get(seen.name)
        if now is None or now[0] > FEW * now[1] or (then is not None and then[0] > FEW * then[1]):
            continue
        first = () if then is None else (Evidence("before the first step", f"{then[0]} of {then[1]}"),)
        yield Finding(
            "alike_units",
            f"In {seen.name} the {now[1]} units have {now[0]} set{'s' * (now[0] > 1)} of weights between them: units "
            f"that begin alike get the same gradient, stay alike, and do the work of {now[0]}.",
            (
                Evidence("different units", f"{now[0]} of {now[1]}", threshold=f"above {100 * FEW:.0f} %"),
                *first,
            ),
            tries=("first weights drawn at random: nn.Dense(units) draws them as suits by itself",),
            part=case.part.name,
            explains=("plateau", "same_answer", "vanishing_gradient", "worse_than_linear", "underfitting"),
        )
        return


__all__ = ["different_in"]
