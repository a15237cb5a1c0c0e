"""Checks of arguments: the one place where public functions and records refuse wrong types.

`@takes(path=PATH, k=Range(...))` checks the named arguments of a function, and reports all problems at once.
A call that does not fit the signature says which name was meant, and shows the example of the docstring.
"""

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import FrameType, FunctionType
from typing import Any, Protocol, TypeVar

import numpy as np

from fallline.arrays import plain
from fallline.errors import ArgumentError, ArgumentTypeError, FalllineError, OutOfRangeError, UnknownNameError, hint

# numpy may be installed under the same prefix as the user's code, so both folders are named exactly.
OWN = (os.path.dirname(os.path.abspath(__file__)) + os.sep, os.path.dirname(np.__file__) + os.sep)

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


class Rule(Protocol):
    """A form that an argument may have; a `ranges.Range` is one."""

    def problem(self, value: Any) -> str | None:
        """The problem of a value, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """An argument that is no number: its form in words, and a check of a value."""

    said: str
    fits: Callable[[Any], bool]
    optional: bool = False

    def problem(self, value: Any) -> str | None:
        if (value is None and self.optional) or self.fits(value):
            return None
        return f"has to be {self.said}{', or None' * self.optional}, got {shown(value)}"


def shown(value: Any) -> str:
    """A value in an error message: short, and whatever its repr does."""
    try:
        text = repr(value)
    except Exception:  # a repr of somebody else's
        text = f"a {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:77] + "..."


def _is_path(value: Any) -> bool:
    if not isinstance(value, str | os.PathLike):
        return False
    text = os.fspath(value)
    return isinstance(text, str) and text != "" and "\0" not in text


PATH = Form("a path, a str or os.PathLike", _is_path)
FUNCTION = Form("a function", callable)
NAME = Form("a name, a str", lambda value: isinstance(value, str))


def of(kind: type, said: str) -> Form:
    """The form of an instance of this class."""
    return Form(said, lambda value: isinstance(value, kind))


def takes(**rules: Rule) -> Callable[[F], F]:
    """Check these arguments at every call, and that the others are among those the function has.

    Errors: ArgumentTypeError where a type is wrong or the signature is not met; ArgumentError out of range.
    """

    def declare(function: F) -> F:
        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            if not rules:  # a call that fits is not looked at
                try:
                    return function(*args, **kwargs)
                except TypeError as error:
                    if not isinstance(error, FalllineError):
                        bound_to(function, args, kwargs)
                    raise
            bound = bound_to(function, args, kwargs)
            wrong = [(name, rules[name], value) for name, value in bound.arguments.items() if name in rules]
            problems = [(rule, f"{name} {text}") for name, rule, value in wrong if (text := rule.problem(value))]
            if problems:
                kind: type[FalllineError] = (
                    ArgumentTypeError if all(isinstance(rule, Form) for rule, _ in problems) else ArgumentError
                )
                lines = [text for _, text in problems]
                raise kind("\n  and ".join([f"{function.__name__}: {lines[0]}", *lines[1:]]) + example(function))
            return function(*args, **kwargs)

        return checked  # type: ignore[return-value]

    return declare


def record(cls: C) -> C:
    """Give a class errors for calls that do not fit: the name that was meant, and its example."""
    init = cls.__init__  # type: ignore[misc]

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except TypeError as error:
            if isinstance(error, FalllineError):
                raise
            try:
                _signature(init).bind(self, *args, **kwargs)
            except TypeError:
                raise misfit(init, type(self).__name__, (self, *args), kwargs, type(self)) from None
            raise

    cls.__init__ = __init__  # type: ignore[misc]
    for verb in _VERBS:
        if isinstance(vars(cls).get(verb), FunctionType):
            setattr(cls, verb, raises_ours(vars(cls)[verb]))
    return cls


def bound_to(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
    """The arguments by their names, or the error for a call that does not fit."""
    try:
        return _signature(function).bind(*args, **kwargs)
    except TypeError:
        raise misfit(function, function.__name__, args, kwargs) from None


# Methods of layers, losses, optimizers and schedules that are called with arrays, of which NumPy would complain.
_VERBS = (
    *("__call__", "init", "apply", "function", "start", "rule", "update", "rate_at", "clipped"),
    "resolve",
)


def is_users(frame: FrameType) -> bool:
    """Whether a frame is of the user's code: outside this package and NumPy."""
    return not frame.f_code.co_filename.startswith(OWN)


def kind_for(error: Exception) -> type[FalllineError]:
    """Our class for an error of Python's or NumPy's about arguments."""
    if isinstance(error, TypeError | AttributeError):
        return ArgumentTypeError
    return OutOfRangeError if isinstance(error, IndexError) else ArgumentError


def raises_ours(function: F) -> F:
    """A function of arrays that, where the user calls it himself with a value of another kind, raises as ours do."""

    each = f"{function.__qualname__}: an argument"

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        for arg in args:
            plain(arg, each)
            if type(arg) is np.ndarray and arg.dtype.kind not in "fiubO":
                raise ArgumentTypeError(f"{function.__qualname__}: an argument holds {arg.dtype}, not real numbers")
        try:
            return function(*args, **kwargs)
        except (FalllineError, Warning, FloatingPointError):
            raise
        except Exception as error:
            if not is_users(sys._getframe(1)):
                raise
            name = function.__qualname__
            try:
                _signature(function).bind(*args, **kwargs)
            except TypeError:
                raise misfit(function, name, args, kwargs) from None
            names = [one for one in _signature(function).parameters if one != "self"]
            said = f"there is no {error} among them" if isinstance(error, KeyError) else error
            raise kind_for(error)(f"{name}({', '.join(names)}) cannot take these arguments: {said}") from error

    return checked  # type: ignore[return-value]


_signature = functools.lru_cache(maxsize=None)(inspect.signature)


def misfit(
    function: Callable[..., Any],
    name: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    shows: Any = None,
    settings: bool = True,
) -> FalllineError:
    """The error for a call that does not fit the signature of a function.

    shows: whose docstring has the example; the function's own if left out. settings: whether a `**` parameter takes any
    keyword.
    """
    parameters = dict(_signature(function).parameters)
    receiver = next(iter(parameters)) if next(iter(parameters), "") in ("self", "cls") else ""
    parameters.pop(receiver, None)
    given = args[1:] if receiver else args
    positional = [p.name for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    known = [*(p.name for p in parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL))]
    takes_any = settings and any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    wrong, more = [], []
    for one in kwargs:
        if one not in known and not takes_any:
            head, *rest = hint(one, known).split("\n")
            wrong.append(f"there is no argument {one!r}{head}")
            more += rest
    spread = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
    if len(given) > len(positional) and not spread:
        count = f"{len(positional)} positional argument{'s' * (len(positional) != 1)}"
        names = f" ({', '.join(positional)})" if positional else ""
        wrong.append(f"takes {count if positional else 'no positional arguments'}{names}, got {len(given)}")
    twice = [one for one in positional[: len(given)] if one in kwargs]
    wrong += [f"{one} is given twice, by its place and by its name" for one in twice]
    needed = [p.name for p in parameters.values() if p.default is p.empty and p.name in known]
    missing = [one for one in needed if one not in kwargs and one not in positional[: len(given)]]
    if missing:
        wrong.append(f"needs {' and '.join(missing)}")
    if not wrong:
        wrong.append("does not take these arguments")
    tail = "".join(f"\n{line}" for line in more) or example(function if shows is None else shows)
    return ArgumentTypeError(f"{name}: {'; '.join(wrong)}\n  it takes: {', '.join(known) or 'nothing'}{tail}")


def example(of: Any) -> str:
    """The statement of a docstring's example that calls the object, else its first, as a hint; nothing where there is
    none."""
    doc = inspect.getdoc(of) or ""
    _, found, text = doc.partition("Example:" if "Example:" in doc else ">>>")
    if not found:
        return ""
    statements, shows = list[str](), ""
    for line in text.split("\n\n")[0].strip().split("\n"):
        shows += f" {line.strip().removeprefix('>>> ')}"
        if shows.count("(") == shows.count(")"):  # a statement may go over several lines
            statements.append(shows)
            shows = ""
    name = f"{getattr(of, '__name__', '')}("
    return f"\n  try:{next((one for one in statements if name in one), (statements or [shows])[0])}"


def module_attributes(module: str, known: Iterable[str]) -> Callable[[str], Any]:
    """A module's `__getattr__`, which suggests the nearest name for an unknown one."""

    def __getattr__(name: str) -> Any:
        raise UnknownNameError(f"module {module!r}", name, lambda: known)

    return __getattr__
