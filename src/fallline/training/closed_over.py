"""Variables that a loss or a layer reads and a training therefore keeps at their first values: changes are reported."""

import warnings
from functools import partial
from typing import Any

from fallline.graph.reach import Variable, reach
from fallline.jobs.shared_cache import ByIdentity, SharedCache


class ClosedOver:
    """The numbers in variables that a training's functions read, as they were when it was traced."""

    def __init__(self, cache: SharedCache, *functions: Any) -> None:
        """cache: of trainings that share programs, which were traced once for all of them."""
        self.variables: list[Variable] = []
        for one in functions:
            self.variables += cache.once(("variables", ByIdentity(one)), partial(_read_by, one))

    def warn(self) -> None:
        """Tell of each variable that has changed, once."""
        if not self.variables:
            return
        changed = [one for one in self.variables if one.has_changed]
        self.variables = [one for one in self.variables if one not in changed]
        for one in {one.name: one for one in changed}.values():
            warnings.warn(
                f"{one.name} was {one.then!r:.40} when the training began and is {one.read()!r:.40} now; the training "
                "keeps the first value, as a loss or a layer is traced once\n  try: train(run.model, ...) with the "
                "new loss, or a loop of your own over a compiled function that takes the number (docs/noise.md)",
                stacklevel=2,
            )


def _read_by(function: Any) -> list[Variable]:
    return reach(function).variables
