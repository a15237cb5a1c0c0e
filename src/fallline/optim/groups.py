"""Groups: an optimizer for each part of the parameters, found by patterns on their names."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import shown, takes
from fallline.config import saved
from fallline.errors import ArgumentError, ArgumentTypeError
from fallline.graph.inside import Inside
from fallline.graph.op import Array
from fallline.nn.theta import FROZEN, Layout
from fallline.ops.view import cut, join
from fallline.optim.minimiser import Minimiser
from fallline.optim.optimizer import LearningRate, Optimizer, State
from fallline.optim.stability import Stability
from fallline.ranges import STEPS, short


@saved
@dataclass(frozen=True, repr=False)
class Groups(Optimizer):
    """Several optimizers, each for the parameters whose names fit its pattern; itself an optimizer.

    groups: pattern -> optimizer, a dict or pairs. A parameter belongs to the first pattern that fits its name, such as
        "0.weight"; patterns are those of file names: "*.weight", "0.*", "*" for all that are left.
    Each group has its own learning rate, schedule, weight decay and clipping. clip_norm, clip_value: of the whole
    gradient, before it is divided among the groups.
    `learning_rate` and the events of a training give the rate of the first group.
    Errors: ArgumentError for a parameter that no pattern fits, for a pattern that fits none, and for one whose
        parameters an earlier pattern takes; ArgumentTypeError for a value that is no optimizer.
    Example: Groups({"*.weight": Muon(0.02), "*": Adam(1e-3)})
    Source: parameter groups, as PyTorch calls them; patterns instead of lists of parameters.
    """

    name = "groups"
    no_border = "the largest stable step of one of its groups is not known, or its moments were not given"
    groups: Any  # given as a dict or as pairs, held as a tuple of (pattern, optimizer)
    # Those of the groups count.
    learning_rate: LearningRate = field(default=1.0, init=False, repr=False)
    weight_decay: Any = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        given: Any = self.groups
        try:
            pairs = tuple((pattern, made) for pattern, made in (given.items() if isinstance(given, Mapping) else given))
        except (TypeError, ValueError):
            raise ArgumentTypeError(f"Groups takes a dict of pattern -> optimizer, got {shown(given)}") from None
        if not pairs:
            raise ArgumentError("Groups needs one pattern with its optimizer at least, and has none")
        for pattern, made in pairs:
            if not isinstance(pattern, str) or not isinstance(made, Optimizer):
                raise ArgumentTypeError(
                    f"Groups takes a dict of pattern -> optimizer, got {shown(pattern)}: {shown(made)}\n"
                    '  try: optim.Groups({"*": optim.Adam(1e-3)})'
                )
            if isinstance(made, Minimiser):
                raise ArgumentError(f"{short(made)} searches its steps along all parameters at once, so it has no group"
                                    f"\n  try: optimizer={short(made)}")  # fmt: skip
        patterns = [pattern for pattern, _ in pairs]
        twice = next((pattern for pattern in patterns if patterns.count(pattern) > 1), None)
        if twice is not None:
            raise ArgumentError(f"Groups has the pattern {twice!r} twice")
        object.__setattr__(self, "groups", pairs)
        object.__setattr__(self, "learning_rate", pairs[0][1].learning_rate)
        super().__post_init__()

    def _to_fields(self) -> dict[str, Any]:
        return {"groups": self.groups, "clip_norm": self.clip_norm, "clip_value": self.clip_value}

    def parts(self, layout: Layout) -> list[tuple[Optimizer, Layout]]:
        """Each group's optimizer, and the layout in which only its slots are trainable; groups of none are left out."""
        taken: dict[str, int] = {}
        patterns = [pattern for pattern, _ in self.groups]
        for path, _ in layout.items():
            fitting = (place for place, pattern in enumerate(patterns) if fnmatchcase(path, pattern))
            taken[path] = next(fitting, -1)
        self._check(patterns, taken)
        found = []
        for place, (_, made) in enumerate(self.groups):
            slots = [slot if taken[path] == place else replace(slot, kind=FROZEN) for path, slot in layout.items()]
            found.append((made, replace(layout, slots=tree.unflatten(layout.slots, slots))))
        return found

    def _check(self, patterns: list[str], taken: dict[str, int]) -> None:
        left = [path for path, place in taken.items() if place < 0]
        if left:
            more = f" and {len(left) - 1} more" * (len(left) > 1)
            raise ArgumentError(
                f"Groups: no pattern fits the parameter {left[0]!r}{more}; patterns: {', '.join(map(repr, patterns))}\n"
                '  try: a last pattern "*", for all that are left'
            )
        for place, pattern in enumerate(patterns):
            fitting = [path for path in taken if fnmatchcase(path, pattern)]
            if not fitting:
                raise ArgumentError(
                    f"Groups: the pattern {pattern!r} fits no trainable parameter\n  known: {', '.join(taken):.400}; "
                    "frozen ones, and those that layers keep, need no optimizer"
                )
            takers = {taken[path] for path in fitting}
            if place not in takers and pattern.strip("*"):
                raise ArgumentError(
                    f"Groups: all that {pattern!r} fits belongs to {patterns[min(takers)]!r}, which stands before it\n"
                    f"  try: {pattern!r} before it"
                )

    def start(self, theta: Array, layout: Layout) -> dict[str, Array]:
        return {
            f"{place}.{name}": array
            for place, (made, its) in enumerate(self.parts(layout))
            for name, array in (made.started(its.pack(theta), its.trained) if its.count() else {}).items()
        }

    def moved(
        self, theta: Any, g: Any, state: State, step: Any, layout: Layout, learning_rate: Any = None
    ) -> tuple[Any, State]:
        """As of every optimizer; `learning_rate` is not looked at: each group has its own."""
        g, after, pieces = self.clipped(g), {}, {}
        for place, (made, its) in enumerate(self.parts(layout)):
            if not its.count():
                continue
            prefix = f"{place}."
            own = {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
            with Inside(partial(self._named, place), ours_pass=type(made).__module__.startswith("fallline.")):
                new, own = made.moved(its.pack(theta), its.pack(g), own, step, its.trained)
            after.update({prefix + name: array for name, array in own.items()})
            for path, slot in its.trained.items():
                pieces[path] = cut(new, 0, slot.start, slot.stop)
        parts = [pieces[path] for path, _ in layout.items()]
        return parts[0] if len(parts) == 1 else join(*parts, axis=0), after

    def stability(self, state: State, step: int, layout: Layout) -> Stability | None:
        """Of all groups together, for the learning rate of the first; the others keep their ratio to it."""
        last = np.int64(max(step - 1, 0))
        scale, shift, first = np.zeros(layout.size), np.zeros(layout.size), float(self.rate_at(last))
        for place, (made, its) in enumerate(self.parts(layout)):
            prefix = f"{place}."
            own = {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
            found = made.stability(own, step, its.trained) if its.count() else None
            if its.count() and (found is None or not first):
                return None
            if found is not None:
                ratio = float(made.rate_at(last)) / first
                extra = 0.0 if made.decoupled else made.decay_at(last) * its.trained.decay_mask(np.float64)
                scale = its.unpack(scale, ratio * found.scale)
                shift = its.unpack(shift, ratio * (found.shift + found.scale * extra))
        return Stability(scale, shift, 1.0, "1 / lambda, each group's curvature divided by what its rule bears")

    def _named(self, place: int) -> str:
        pattern, made = self.groups[place]
        return f"group {pattern!r}: {short(made)}"

    @property
    def inputs(self) -> dict[str, float]:
        return {}

    def slower(self, rate: float) -> str:
        return "smaller learning rates of the groups"

    @property
    def has_end(self) -> bool:
        return any(made.has_end for _, made in self.groups)

    def at_rate(self, learning_rate: Any) -> Optimizer:
        raise ArgumentError("Groups have a learning rate each, so there is none to set\n"
                            "  try: optimizer=, with the groups as they are meant")  # fmt: skip

    @takes(total_steps=STEPS)
    def resolve(self, total_steps: int) -> Optimizer:
        """Each group's optimizer resolved."""
        made = []
        for pattern, optimizer in self.groups:
            try:
                made.append((pattern, optimizer.resolve(total_steps)))
            except ArgumentError as error:
                raise ArgumentError(f"group {pattern!r}: {error}") from None
        return replace(self, groups=tuple(made))

    def __repr__(self) -> str:
        pairs = ", ".join(f"{pattern!r}: {short(made)}" for pattern, made in self.groups)
        return f"Groups({{{pairs}}})"
