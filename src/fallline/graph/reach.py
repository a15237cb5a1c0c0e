"""State that a function could read apart from its arguments: generators of random numbers, numbers in variables, other
libraries.

Found by walking over closures, globals its code names, defaults, bound objects and their classes; never by running it.
"""

import functools
import os
import random
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fallline.graph.calls import Counter

# Large enough for any program's own code; a data set in a global is not walked through.
_MOST, _MOST_MEMBERS = 5000, 500
_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_FOLDERS = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
_LIBRARIES = (*(folder + os.sep for folder in (*_FOLDERS, _OWN)), "<frozen")
_KNOWN = ("numpy", "fallline", "builtins", "math", "cmath", "functools", "itertools", "operator", "dataclasses",
          "typing", "types", "collections", "numbers", "abc", "enum", "copy", "argparse")  # fmt: skip
# Names by which code comes to numbers that are others at every call, without a generator that could be looked at.
_SOURCES = frozenset({
    "default_rng", "RandomState", "SeedSequence", "PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64", "Random",
    "SystemRandom", "urandom", "getrandom", "secrets", "uuid1", "uuid4", "time", "time_ns", "perf_counter",
    "perf_counter_ns", "monotonic", "process_time", "now", "utcnow", "today", "next", "send", "spawn", "jumped",
    "pop", "popleft", "id",
})  # fmt: skip
_PLAIN = (np.ndarray, str, bytes, int, float, complex, np.generic, np.dtype, type(None), type(Ellipsis))


@dataclass(slots=True)
class Variable:
    """A number, a text or an array that a function reads: where it lies, and its value when it was found."""

    name: str
    read: Callable[[], Any]
    then: Any = None

    def __post_init__(self) -> None:
        self.then = _copied(self.read())

    @property
    def has_changed(self) -> bool:
        try:
            now = self.read()
        except (KeyError, ValueError, AttributeError):
            return False
        if isinstance(now, np.ndarray) or isinstance(self.then, np.ndarray):
            return not (type(now) is type(self.then) and np.array_equal(now, self.then))
        return bool(type(now) is not type(self.then) or (now != self.then and now == now))


@dataclass(slots=True)
class Reach:
    """generators: all that were met, counters those of contexts that numbers are drawn from. is_open: whether the code
    goes where nobody looks: other libraries, clocks."""

    generators: list[Any] = field(default_factory=list)
    counters: list[Counter] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    is_open: bool = False


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray | list) else value


def reach(*roots: Any) -> Reach:
    """The objects that these functions and objects can reach."""
    found, seen, left = Reach(), set[int](), list(roots)
    kept = []  # alive, so that no other object takes an identity that was seen
    while left and len(seen) < _MOST:
        it = left.pop()
        if id(it) in seen or isinstance(it, _PLAIN):
            continue
        seen.add(id(it))
        kept.append(it)
        left += _inside(it, found)
    found.is_open |= bool(left)
    return found


def _inside(it: Any, found: Reach) -> list[Any]:
    """The contents of an object; state of interest goes to `found`."""
    if isinstance(it, np.random.Generator | np.random.RandomState | np.random.BitGenerator | random.Random):
        found.generators.append(it)
        found.is_open |= isinstance(it, random.SystemRandom)
        return []
    if isinstance(it, Counter):
        found.counters.append(it)
        return []
    if isinstance(it, types.FunctionType):
        return _in_function(it, found)
    if isinstance(it, types.MethodType):
        found.variables += _members("self", it.__self__, *_mentioned(it.__func__))
    if isinstance(it, types.MethodType | functools.partial | staticmethod | classmethod | property):
        return [getattr(it, name, None) for name in ("__func__", "__self__", "func", "args", "keywords", "fget")]
    if isinstance(it, dict):
        return list(it.values())[:_MOST_MEMBERS]
    if isinstance(it, list | tuple | set | frozenset):
        return list(it)[:_MOST_MEMBERS]
    if isinstance(it, type):
        return [*vars(it).values(), *it.__bases__] if _is_of_the_user(it) else []
    if isinstance(it, types.ModuleType):
        return []
    found.is_open |= hasattr(type(it), "__next__")
    own = getattr(it, "__self__", None)  # a method of a generator that was put into a variable
    if own is not None and not isinstance(own, types.ModuleType):
        return [own]
    return _in_instance(it, found)


def _in_instance(it: Any, found: Reach) -> list[Any]:
    root = type(it).__module__.partition(".")[0]
    if root not in _KNOWN and not _is_of_the_user(type(it)):
        return []
    held = dict(getattr(it, "__dict__", None) or {})
    for cls in type(it).__mro__:
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            held.setdefault(name, getattr(it, name, None))
    if not _is_of_the_user(type(it)):
        return [*held.values()]
    for method in ("apply", "function", "rule", "__call__"):
        found.variables += _members(type(it).__name__, it, *_mentioned(getattr(type(it), method, None)))
    return [*held.values(), type(it)]


def _mentioned(function: Any) -> tuple[set[str], set[str]]:
    """Names and texts in the code of a function."""
    code = getattr(function, "__code__", None)
    if code is None or _is_library(code.co_filename):
        return set(), set()
    return set(_names(code)), {text for text in code.co_consts if isinstance(text, str)}


def _members(label: str, it: Any, names: set[str], texts: set[str]) -> Iterator[Variable]:
    """The numbers that code with these names and texts in it may read from a dict or an object."""
    if isinstance(it, dict):
        for key in texts & it.keys():
            if _is_small(it[key]):
                yield Variable(f"{label}[{key!r}]", functools.partial(it.__getitem__, key))
        return
    held = getattr(it, "__dict__", None)
    if isinstance(held, dict) and not isinstance(it, type | types.ModuleType | types.FunctionType):
        for name in names & held.keys():
            if _is_small(held[name]):
                yield Variable(f"{label}.{name}", functools.partial(held.__getitem__, name))


def _in_function(it: types.FunctionType, found: Reach) -> list[Any]:
    inside = [it.__defaults__, it.__kwdefaults__, *vars(it).values()]
    of_user = not _is_library(it.__code__.co_filename)
    names, texts = _mentioned(it)
    for name, cell in zip(it.__code__.co_freevars, it.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:  # not bound yet
            continue
        inside.append(value)
        found.variables += _members(name, value, names, texts)
        if of_user and _is_small(value):
            found.variables.append(Variable(name, _reader(cell)))
    if not of_user:
        return inside
    found.is_open |= not names.isdisjoint(_SOURCES)
    for name in names & it.__globals__.keys():
        value = it.__globals__[name]
        if isinstance(value, types.ModuleType):
            inside += _in_module(value, names, found)
            continue
        home = getattr(value, "__module__", None)
        found.is_open |= callable(value) and isinstance(home, str) and _is_foreign(home)
        inside.append(value)
        found.variables += _members(name, value, names, texts)
        if _is_small(value):
            found.variables.append(Variable(name, functools.partial(it.__globals__.__getitem__, name)))
    return inside


def _in_module(module: types.ModuleType, names: set[str], found: Reach) -> list[Any]:
    """The members of a module of the user's that the code may mean."""
    if module.__name__.partition(".")[0] in _KNOWN or module is random:
        return []
    if _is_library(getattr(module, "__file__", None) or os.sep):
        found.is_open |= module.__name__ != "scipy.special"
        return []
    return [vars(module)[name] for name in names & vars(module).keys()]


def _reader(cell: types.CellType) -> Callable[[], Any]:
    return lambda: cell.cell_contents


def _names(code: types.CodeType) -> Iterator[str]:
    """Global names and attributes in a function's code and in the functions inside it."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _names(inner)


def _is_small(value: Any) -> bool:
    """Whether a value is one that a program would keep as a number."""
    if isinstance(value, list | tuple):
        return len(value) <= 100 and all(isinstance(one, int | float | np.generic) for one in value)
    return isinstance(value, int | float | str | np.generic) or (isinstance(value, np.ndarray) and value.size <= 1000)


def _is_library(file: str) -> bool:
    return file.startswith(_LIBRARIES) or "site-packages" in file


def _is_foreign(module: str) -> bool:
    """Whether a module is neither the user's nor one whose functions give the same answers at every call."""
    if module.partition(".")[0] in _KNOWN or module.startswith("scipy.special"):
        return False
    return _is_library(getattr(sys.modules.get(module), "__file__", None) or os.sep)


def _is_of_the_user(cls: type) -> bool:
    if cls.__module__ in ("builtins", "typing", "abc"):
        return False
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    return file is None or not _is_library(file)
