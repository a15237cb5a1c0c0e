"""The constructor of an estimator that takes a person's choices: its arguments are the fields of `recipe.Choices`.

Where scikit-learn has a name for the same concept, the argument has that name; `NAMES` is the whole list.
"""

import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from inspect import Parameter, Signature
from typing import Any, TypeVar

from sklearn.utils import check_random_state

from fallline.errors import ArgumentError, ArgumentTypeError, hint
from fallline.jobs.settings import SEED_LIMIT
from fallline.recipe import Choices

# Field of Choices -> scikit-learn's name of the same thing.
NAMES = {
    "hidden": "hidden_layer_sizes",
    "epochs": "max_iter",
    "validation": "validation_fraction",
    "early_stopping": "n_iter_no_change",
    "seed": "random_state",
}
C = TypeVar("C", bound=type)


def defaults() -> dict[str, Any]:
    """The arguments that are choices, by scikit-learn's names, with their defaults."""
    made = Choices()
    return {
        NAMES.get(one.name, one.name): getattr(made, one.name) if one.default is MISSING else one.default
        for one in fields(Choices)
    }


def takes_choices(**own: Any) -> Callable[[C], C]:
    """Give a class the constructor: all choices, and `own` arguments with their defaults, each by its name alone.

    It stores what it is given and checks nothing, as scikit-learn wants it; `choices_of` checks.
    """
    arguments = {**defaults(), **own}
    parameters = [Parameter(name, Parameter.KEYWORD_ONLY, default=value) for name, value in arguments.items()]

    def init(self: Any, **given: Any) -> None:
        for name in given:
            if name not in arguments:
                told = hint(name, arguments)
                raise ArgumentTypeError(f"{type(self).__name__} takes no argument {name!r}{told}")
        for name, default in arguments.items():
            setattr(self, name, given.get(name, default))

    init.__name__ = "__init__"
    init.__signature__ = Signature([Parameter("self", Parameter.POSITIONAL_ONLY), *parameters])  # type: ignore[attr-defined]

    def decorate(cls: C) -> C:
        init.__qualname__ = f"{cls.__name__}.__init__"
        cls.__init__ = init  # type: ignore[misc]
        return cls

    return decorate


def choices_of(estimator: Any, **changed: Any) -> Choices:
    """The choices of an estimator. changed: some of them, by the names of Choices.

    Errors: ArgumentError with all that is outside its range, by the estimator's names.
    """
    given = {one.name: getattr(estimator, NAMES.get(one.name, one.name)) for one in fields(Choices)}
    given["seed"] = seed_of(given["seed"])
    try:
        return Choices(**{**given, **changed})
    except ArgumentError as error:
        raise ArgumentError(f"{type(estimator).__name__}: {_by_their_names(str(error))}") from None


def seed_of(random_state: Any) -> int:
    """A whole number as it is; from a RandomState, or None for NumPy's global one, a number drawn.

    Errors: ArgumentError for anything else.
    """
    if isinstance(random_state, int) and not isinstance(random_state, bool) and 0 <= random_state < SEED_LIMIT:
        return random_state
    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError:
        raise ArgumentError(
            f"random_state is a whole number >= 0, a RandomState or None, got {random_state!r:.60}"
        ) from None


def _by_their_names(message: str) -> str:
    for field, name in NAMES.items():
        message = re.sub(rf"(^|\n\s*and |\n\s*){field}(?= has to|: | is )", rf"\g<1>{name}", message)
    return message
