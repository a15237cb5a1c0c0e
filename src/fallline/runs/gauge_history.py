"""The gauges of a run as columns: one entry for each sample, by the name of the gauge and the path."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fallline.errors import UnknownColumnError, nearest
from fallline.graph.op import Array
from fallline.runs.events import Event, Gauged


class GaugeHistory(dict[str, dict[str, Array]]):
    """Gauge -> path -> (samples,) numbers, or (samples, ...) arrays of them; NaN where a sample lacks it.

    steps: (samples,), the step that each sample was taken before. epochs: the epoch of each.
    Errors: UnknownColumnError, which is a KeyError too, for a gauge that was not watched.
    """

    steps: Array
    epochs: Array

    @staticmethod
    def of(events: Iterable[Event]) -> "GaugeHistory":
        """The columns of the events Gauged among these."""
        found = [event for event in events if isinstance(event, Gauged)]
        made = GaugeHistory()
        made.steps = np.array([event.step for event in found], np.int64)
        made.epochs = np.array([event.epoch for event in found], np.int64)
        keys = dict.fromkeys((name, path) for event in found for name in event.values for path in event.values[name])
        for name, path in keys:
            made.setdefault(name, {})[path] = _column([event.values.get(name, {}).get(path) for event in found])
        return made

    def __missing__(self, name: str) -> Any:
        if not self:
            raise UnknownColumnError(f"the run has no gauge {name!r}: none were watched\n  try: gauges=True in fl.fit")
        raise UnknownColumnError(f"the run has no gauge {name!r}{nearest(name, self)}\n  known: {', '.join(self)}")


def _column(values: Sequence[Array | None]) -> Array:
    """Values of one shape, that of the first, as rows; NaN where there is none, or one of another shape."""
    shape = next(np.shape(value) for value in values if value is not None)
    rows = [np.asarray(value) if value is not None and np.shape(value) == shape else np.full(shape, np.nan)
            for value in values]  # fmt: skip
    found: Array = np.stack(rows).astype(np.float64)
    return found
