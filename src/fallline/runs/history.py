"""The history of a run as columns by name, which suggests the nearest name where one is unknown."""

from fallline.errors import UnknownColumnError, nearest
from fallline.graph.op import Array
from fallline.nn.metric import METRICS

_ELSEWHERE = ("val_", "valid_", "test_", "eval_")
_OF_VALIDATION = "validation_"


class History(dict[str, Array]):
    """Column name -> one number for each epoch.

    Errors: UnknownColumnError, which is a KeyError too, for a name that is not there.
    """

    def __missing__(self, name: str) -> Array:
        meant = _spelt(str(name))
        if meant in self:
            raise UnknownColumnError(f"the history has no column {name!r}; did you mean {meant!r}?")
        if meant.startswith(_OF_VALIDATION) and _OF_VALIDATION + "loss" not in self:
            raise UnknownColumnError(
                f"the history has no {meant!r}, as the run had no validation rows\n  try: validation=0.2 in fl.fit"
            )
        raise UnknownColumnError(
            f"the history has no column {name!r}{nearest(meant, self)}\n  known: {', '.join(self)}"
        )


def _spelt(name: str) -> str:
    """A column's name as it is spelt here: `val_loss` is validation_loss, and `accuracy` that of the validation."""
    prefix = next((prefix for prefix in _ELSEWHERE if name.startswith(prefix)), "")
    rest = name.removeprefix(prefix)
    rest = {"acc": "accuracy"}.get(rest, rest)
    return _OF_VALIDATION + rest if prefix or rest in METRICS else name
