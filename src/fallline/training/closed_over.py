"""Variables that a loss or a layer reads and a training therefore keeps at their first values: changes are reported."""

import warnings
from typing import Any

from fallline.graph.reach import Variable, reach


class Frozen:
    """The numbers in variables that a training's functions read, as they were when it was traced."""

    def __init__(self, *functions: Any) -> None:
        self.variables: list[Variable] = reach(*functions).variables

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
