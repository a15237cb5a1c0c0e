"""Verdicts `vanishing_gradient` and `exploding_gradient`: how the derivative of the loss changes on its way back, and
the layer where it begins to.
"""

from collections.abc import Iterator

import numpy as np

from fallline import tree
from fallline.arrays import Array
from fallline.diagnosis.case import Case, LayerSeen
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.idle_units import idle_in
from fallline.diagnosis.judged_rows import are_constant, constant_loss
from fallline.diagnosis.verdict_table import verdict
from fallline.typesetting import number

# Below this share of the largest sensitivity, a layer's weights move a thousand times too slowly.
VANISHED = 1e-3
FADED = 0.1
# The growth of the derivative on its way back from which on a step that suits the last layer shatters the first.
EXPLODED = 1e3
# In networks of bounded activations the sensitivity itself grows on its way back; of healthy runs at most 20 times.
SHATTERED = 100.0


def sensitivity(seen: LayerSeen, least: float = 0.0) -> float:
    """How much a row's loss changes with what a layer gives, relative to its size: a number without a unit.

        sqrt(mean_i ||delta_i||^2 ||out_i||^2)        delta_i, out_i: of row i

    least: added to the size of an output, so that one near 0 has a size.
    In a network of ReLU without biases and with one output it is the same for all layers, however weights are scaled.
    """
    n = len(seen.output)
    out, delta = seen.output.reshape(n, -1), n * seen.delta.reshape(n, -1)
    return float(np.sqrt(np.mean((np.square(out).sum(axis=1) + least**2) * np.square(delta).sum(axis=1))))


def length(delta: Array) -> float:
    """The root mean square over rows of a delta's norm."""
    rows = len(delta) * delta.reshape(len(delta), -1)
    return float(np.sqrt(np.mean(np.square(rows).sum(axis=1))))


def learning(layers: tuple[LayerSeen, ...]) -> list[LayerSeen]:
    """The layers with weights, from the first to the last."""
    return [one for one in layers if any(leaf.ndim > 1 for leaf in tree.leaves(one.params))]


def _is_zero(seen: LayerSeen) -> bool:
    return not any(np.any(leaf) for leaf in tree.leaves(seen.params) if leaf.ndim > 1)


@verdict("vanishing_gradient", "the gradient fades on its way back to the first layers", order=32)
def vanishing_gradient(case: Case) -> Iterator[Finding]:
    """Layers that learn a thousand times more slowly than others, as hardly any gradient comes back to them."""
    told = learning(case.layers)
    sizes = [sensitivity(one) for one in told]
    top = max(sizes, default=0.0)
    if len(told) < 2 or not 0 < top < np.inf:
        return
    if are_constant(case) or any(one.dead == one.units for one in idle_in(case.layers)):
        return  # which is told as such
    # A layer that gives 0 has no sensitivity either; what vanishes here is the derivative.
    longest = max(length(one.delta) for one in told)
    faded = [
        place
        for place, size in enumerate(sizes[: int(np.argmax(sizes))])
        if size < VANISHED * top and length(told[place].delta) < FADED * longest
    ]
    if not faded:
        return
    begins = faded[-1]
    steps = [sizes[i] / sizes[i + 1] if sizes[i + 1] else 0.0 for i in range(len(sizes) - 1)]
    at_first = [sensitivity(one) for one in learning(case.layers_at_first)]
    evidence = [
        Evidence(one.name, size / top, threshold=f"at least {VANISHED:g} of the largest" if not place else "")
        for place, (one, size) in enumerate(zip(told, sizes, strict=True))
    ]
    if at_first and max(at_first) > 0:
        evidence.append(Evidence(f"{told[0].name}, before the first step", at_first[0] / max(at_first)))
    whole = sizes[0] / top
    says = (
        f"The gradient vanishes on its way back: from {told[begins].name} down, a row's loss depends less than "
        f"{VANISHED:g} times as much on what a layer gives as at {told[int(np.argmax(sizes))].name}"
    )
    says += "; nothing reaches the first layer." if not whole else f"; at the first layer {number(whole, 2)} times."
    slowest = min(range(len(steps)), key=steps.__getitem__)
    says += f" It falls most between {told[slowest + 1].name} and {told[slowest].name}, to {number(steps[slowest], 2)}."
    zero = next((one.name for one in told if _is_zero(one)), "")
    tries: tuple[str, ...] = (
        "--activation relu or tanh in the place of sigmoid, and the initialiser that suits",
        "fewer layers",
    )
    if zero:
        says += f" All weights of {zero} are 0, and no derivative passes them."
        tries = ("first weights that differ from 0 and from one another: Dense(units) draws them by itself",)
    yield Finding(
        "vanishing_gradient",
        says,
        tuple(evidence),
        tries=tries,
        part=case.part.name,
    )


@verdict("exploding_gradient", "the gradient grows on its way back to the first layers", order=33)
def exploding_gradient(case: Case) -> Iterator[Finding]:
    """Derivatives that grow on their way back, so that no step suits the first and the last layer."""
    told = learning(case.layers)
    if len(told) < 2:
        return
    # Outputs near 0, as of a network that has found nothing, would make all before them look large.
    y = np.asarray(case.rows.y, np.float64)
    least = float(np.sqrt(np.mean(np.square(y)))) if case.part.model.task == "regression" else 1.0
    lengths, sizes = [length(one.delta) for one in told], [sensitivity(one) for one in told]
    sizes[-1] = sensitivity(told[-1], least)
    last, usual = lengths[-1], constant_loss(case)
    if not last > 0 or not np.isfinite(lengths).all():
        return
    shattered = max(sizes) > SHATTERED * sizes[-1]
    # However weights are scaled, a network of ReLU has one sensitivity; large weights make that one large.
    blown = max(lengths) > EXPLODED * last and max(sizes) > EXPLODED * usual
    if not shattered and not blown:
        return
    seen, word = (sizes, "sensitivity of a row's loss") if shattered else (lengths, "gradient")
    grown = [one / seen[-1] for one in seen]
    worst, border = int(np.argmax(grown)), SHATTERED if shattered else EXPLODED
    begins = next(place for place in reversed(range(len(told))) if grown[place] > 10)
    evidence = [
        Evidence(one.name, size, "times", f"at most {border:g}" if place == worst else "")
        for place, (one, size) in enumerate(zip(told, grown, strict=True))
    ]
    first = learning(case.layers_at_first)
    at_first = [sensitivity(one, least * (one is first[-1])) if shattered else length(one.delta) for one in first]
    if at_first and at_first[-1] > 0:
        evidence.append(Evidence("before the first step", at_first[worst] / at_first[-1], "times", told[worst].name))
    begun = not at_first or not at_first[-1] > 0 or at_first[worst] / at_first[-1] > border
    if (case.part.run or case.opened.run).diverged is not None and not begun:
        return  # weights that steps drove up, which is told as such
    yield Finding(
        "exploding_gradient",
        f"The gradient explodes on its way back: the {word} at {told[worst].name} is {number(grown[worst], 2)} times "
        f"that at {told[-1].name}. It begins to grow at {told[begins].name}.",
        tuple(evidence),
        tries=(
            "smaller first weights: Dense(units) takes the initialiser that suits by itself"
            if begun
            else "a learning rate of a tenth: it began well, and steps that are too long made it so",
            "fl.fit(..., optimizer=fl.optim.Adam(1e-3, clip_norm=1.0))",
        ),
        part=case.part.name,
    )


__all__ = ["EXPLODED", "SHATTERED", "VANISHED", "learning", "sensitivity"]
