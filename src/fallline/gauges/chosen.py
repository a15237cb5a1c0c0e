"""Which gauges a training watches, and how often: `gauges=` of `fit`, looked up and checked."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

from fallline import ranges
from fallline.arguments import record, shown
from fallline.errors import ArgumentTypeError, unknown
from fallline.gauges.gauge_table import GAUGES, Gauge, usual_gauges
from fallline.ranges import option

EVERYTHING, USUAL = "all", "usual"


@record
@dataclass(frozen=True)
class Gauges:
    """The gauges that a training watches, and how often it looks at them.

    names: of gauges, a name or several, from `fl.gauges.GAUGES`; "usual" stands for the usual ones, "all" for all.
    share: of the training's time that gauges may take, 0 < share < 1; the time between two samples follows from it.
    every: steps between two samples, whatever they cost: then the steps that are looked at, and so all values, follow
        from the seed alone. None: by time.
    rows: of the training data, drawn from the seed, on which activations, units and classes are looked at; >= 1.
    Errors: ArgumentError outside the ranges, and for a name that is none, with the nearest one.
    Example: fl.fit(model, (x, y), gauges=fl.gauges.Gauges(["alpha", "noise_scale"], every=100))
    """

    names: Any = USUAL
    _: KW_ONLY
    share: float = option(0.05, "of the training's time that gauges may take", above=0, below=1)
    every: int | None = option(None, "steps between two samples", at_least=1, whole=True, optional=True)
    rows: int = option(512, "rows on which activations, units and classes are looked at", at_least=1, whole=True)

    def __post_init__(self) -> None:
        ranges.check(self)
        given = (self.names,) if isinstance(self.names, str) else self.names
        # No name at all is no wish that could be met: nothing would be watched, in silence.
        if not isinstance(given, tuple | list) or not given or not all(isinstance(name, str | Gauge) for name in given):
            raise ArgumentTypeError(f"gauges takes names of gauges, got {shown(self.names)}\n"
                                    '  try: gauges=True, or ["gradient_norm", "alpha"]')  # fmt: skip
        object.__setattr__(self, "names", tuple(given))
        _ = self.chosen  # so that wrong names are told at once

    @property
    def chosen(self) -> tuple[Gauge, ...]:
        """The gauges, each once, in the order in which they were named."""
        found: dict[str, Gauge] = {}
        for name in self.names:
            if isinstance(name, Gauge):
                found[name.name] = name
                continue
            if name not in (EVERYTHING, USUAL) and name not in GAUGES:
                raise unknown("gauge", name, [*GAUGES, EVERYTHING, USUAL])
            several = GAUGES if name == EVERYTHING else usual_gauges() if name == USUAL else (name,)
            found.update({one: GAUGES[one] for one in several})
        return tuple(found.values())


def resolve(given: Any) -> Gauges | None:
    """The gauges of a training: True for the usual ones, None and False for none."""
    if given is None or given is False:
        return None
    if given is True:
        return Gauges()
    return given if isinstance(given, Gauges) else Gauges(given)
