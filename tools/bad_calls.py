"""Calls of the public surface with wrong arguments, drawn from a seed: each succeeds or fails with an error of ours.

    python tools/bad_calls.py --calls 5000 --seed 1

The calls follow from the signatures of all public names: functions, classes, methods of models and runs, and NumPy's
functions on traced values. A call in code that is traced has to name its line.
"""

import argparse
import contextlib
import functools
import inspect
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import fallline as fl
from fallline.arguments import OWN
from fallline.errors import FalllineError
from fallline.graph.op import NUMPY
from fallline.nn.layer_table import examples

X = np.linspace(-1.0, 1.0, 24).reshape(8, 3).astype(np.float32)
Y = X[:, :1] * 2
NETWORK = fl.nn.Sequential(fl.nn.Dense(3), fl.nn.Tanh(), fl.nn.Dense(1))


class Nothing:
    """An object that can do nothing."""


# Values that fit hardly anything, made anew for every call.
WRONG: tuple[Callable[[], Any], ...] = (
    lambda: None, lambda: True, lambda: 0, lambda: -1, lambda: 3, lambda: 2.5, lambda: 10**30, lambda: float("nan"),
    lambda: float("inf"), lambda: 1j, lambda: "", lambda: "relu", lambda: "no such thing", lambda: "a\0b",
    lambda: "no/such/file", lambda: b"bytes", lambda: (), list, dict, lambda: set(), lambda: (1, 2, 3),
    lambda: [[1.0], [2.0, 3.0]], lambda: {"a": 1}, lambda: {1: 2, "b": 3}, lambda: print,
    lambda: lambda: None, lambda: lambda *a, **k: "text",
    lambda: int, lambda: Nothing, Nothing, lambda: range(3), lambda: iter([1.0, 2.0]), lambda: slice(1),
    lambda: Ellipsis, lambda: np.float32(2), lambda: np.int64(-5), lambda: np.array(3.0), lambda: np.zeros(0),
    lambda: np.zeros((2, 3)), lambda: np.zeros((8, 3), np.float32), lambda: np.arange(8), lambda: np.array("text"),
    lambda: np.array([None, "a"], object), lambda: np.array([1 + 2j]), lambda: np.ma.array([1.0, 2.0], mask=[0, 1]),
    lambda: np.matrix([[1.0, 2.0]]), lambda: np.array(["2020-01-01"], "datetime64[D]"), lambda: np.zeros(3, "f2"),
    lambda: np.zeros(2, [("a", "f4")]), lambda: np.zeros((1,) * 9), lambda: fl.nn.ReLU(), lambda: fl.nn.ReLU,
    lambda: fl.optim.Adam(), lambda: fl.optim.Cosine(), lambda: fl.nn.Huber(), lambda: NETWORK, lambda: model(),
    lambda: fl, lambda: np, lambda: NotImplemented, lambda: Exception("x"), lambda: memoryview(b"abc"),
)  # fmt: skip

# Values that are right for an argument of this name, so that a call gets past the first check.
RIGHT: dict[str, Callable[[], Any]] = {
    "model": lambda: NETWORK, "data": lambda: (X, Y), "x": lambda: X, "y": lambda: Y, "network": lambda: NETWORK,
    "loss": lambda: "squared_error", "function": lambda: square, "params": lambda: X, "epochs": lambda: 1,
    "input_shape": lambda: 3, "units": lambda: 2, "hidden": lambda: (2,), "outputs": lambda: 1, "k": lambda: 2,
    "args": lambda: (X,), "variants": lambda: [{"seed": 1}], "theta": lambda: model().theta, "total_steps": lambda: 5,
    "rng": lambda: np.random.default_rng(0), "shape": lambda: (3,), "dtype": lambda: np.float32, "step": lambda: 1,
    "a": lambda: X, "order": lambda: 1, "models": lambda: [model()], "networks": lambda: (NETWORK,),
}  # fmt: skip


def square(x: Any) -> Any:
    return np.sum(x * x)


@functools.cache
def model() -> fl.nn.Model:
    return fl.nn.Model.init(NETWORK, 3)


@functools.cache
def run() -> fl.Run:
    return fl.fit(NETWORK, (X, Y), loss="squared_error", epochs=1, threads=1)


@dataclass(frozen=True, slots=True)
class Target:
    """Something that can be called. parameters: its arguments' names, with whether each can be positional."""

    name: str
    call: Callable[..., Any]
    parameters: tuple[tuple[str, bool], ...]
    traced: bool = False
    returned: tuple[str, ...] = ()  # arguments that the result is called with


def target(name: str, call: Callable[..., Any], **facts: Any) -> Target | None:
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):
        return None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = [
        (p.name, p.kind in kinds)
        for p in signature.parameters.values()
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    return Target(name, call, tuple(found), **facts)


TRANSFORMS = ("grad", "value_and_grad", "jacobian", "hessian", "jvp", "vjp", "hvp", "compile")
METHODS = ("outputs", "predict", "predict_proba", "rows", "prepare", "with_theta", "for_targets", "summary", "apply",
           "objective", "to_config", "marked")  # fmt: skip


HOT = ("model.outputs", "model.predict", "model.predict_proba")


def surface() -> list[Target]:
    """Everything public that can be called."""
    found: list[Target | None] = []
    for room, prefix in ((fl, "fl"), (fl.nn, "fl.nn"), (fl.optim, "fl.optim"), (fl.ops, "fl.ops")):
        for name in room.__all__:
            one = getattr(room, name)
            if callable(one) and one not in (fl.nn.Layer, fl.Source):
                found.append(target(f"{prefix}.{name}", one))
    found += [target(f"fl.{name}(f)", getattr(fl, name)(square)) for name in TRANSFORMS]
    found.append(target("fl.testing.check_grads", fl.testing.check_grads))
    found.append(target("fl.testing.check_layer", fl.testing.check_layer))
    for name in ("uniform", "normal", "integers", "keep", "note", "apply", "within", "freeze", "kept"):
        found.append(target(f"Context().{name}", getattr(fl.nn.Context(training=True), name)))
    found += [target(f"model.{name}", getattr(model(), name)) for name in METHODS]
    found += [target("Model.init", fl.nn.Model.init), target("Model.from_config", fl.nn.Model.from_config)]
    found += [target(f"run.{name}", getattr(run(), name)) for name in ("save", "profile", "summary")]
    for table, prefix in ((fl.optim.OPTIMIZERS, "optim"), (fl.optim.SCHEDULES, "optim")):
        for cls in table.values():
            one = cls()
            for name in ("resolve", "__call__", "update", "init", "rule", "rate_at", "clipped"):
                if hasattr(one, name):
                    found.append(target(f"{prefix}.{cls.__name__}().{name}", getattr(one, name)))
    layers = [examples(name)[0][0] for name in fl.nn.LAYERS if name != "Function"]
    for layer in (*layers, *fl.nn.LOSSES.values(), *fl.nn.INITIALIZERS.values()):
        for name in ("init", "apply", "function", "__call__"):
            if hasattr(layer, name):
                found.append(target(f"{type(layer).__name__}().{name}", getattr(layer, name)))
    for original, stand_in in NUMPY.items():
        named = target(original.__name__, stand_in)
        assert named is not None
        found.append(Target(f"np.{original.__name__}", original, named.parameters, traced=True))
    methods = ("reshape", "transpose", "astype", "sum", "mean", "std", "take", "repeat", "clip", "round")
    for name in methods:
        bound = functools.partial(lambda name, a, *args, **kwargs: getattr(a, name)(*args, **kwargs), name)
        found.append(Target(f"a.{name}", bound, (("a", True), ("axis", True), ("dtype", True)), traced=True))
    return [one for one in found if one is not None]


def drawn(one: Target, rng: np.random.Generator) -> tuple[list[Any], dict[str, Any]]:
    """Arguments for a call: some right, some wrong, some too many, too few or of unknown names."""
    args, kwargs, by_place = [], {}, True
    for name, positional in one.parameters:
        choice = rng.random()
        if choice < 0.12 or (choice < 0.5 and name not in RIGHT):
            by_place = False
            continue  # left out
        right = RIGHT.get(name) if choice < 0.7 else None
        value = (right or WRONG[rng.integers(len(WRONG))])()
        if positional and by_place:
            args.append(value)
        else:
            kwargs[name] = value
    if rng.random() < 0.05:
        args.append(WRONG[rng.integers(len(WRONG))]())
    if rng.random() < 0.05:
        kwargs[str(rng.choice(["lr", "verbose", "axes", "zzz", "activation"]))] = WRONG[rng.integers(len(WRONG))]()
    return args, kwargs


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that ended in something else than an error of ours. why: the problem."""

    name: str
    text: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}\n    {self.why}"


def attempt(one: Target, args: list[Any], kwargs: dict[str, Any]) -> str:
    """The problem with how a call ends; nothing if it succeeds or fails as it should."""

    def in_traced_code(a: Any) -> Any:
        given = [a, *args[1:]] if args else [a]
        return one.call(*given, **{name: value for name, value in kwargs.items() if name != one.parameters[0][0]})

    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            fl.graph_of(in_traced_code, X) if one.traced else one.call(*args, **kwargs)
    except FalllineError as error:
        text = str(error)
        if len(text) < 10:
            return f"says nothing: {text!r}"
        at_a_line = f"{os.path.basename(__file__)}:" in text
        return "" if at_a_line or not one.traced else f"names no line: {text}"
    except Exception as error:
        trace = inspect.trace()
        files = [frame.filename for frame in trace]
        inside = files[len(files) - files[::-1].index(__file__) :]
        theirs = one.traced and not any(file.startswith(OWN[0]) for file in inside)
        # A model's rows are given by place; one that is missing is Python's error: a wrapper costs what a row costs.
        theirs = theirs or (one.name in HOT and "x" not in kwargs and len(args) != 1)
        if theirs or trace[-1].function == "square" or "square() " in str(error):
            return ""  # NumPy, or the function itself, did not take the call before it reached us
        return f"{type(error).__name__}: {error!s:.300}"
    return ""


def failures(calls: int, seed: int, only: str = "") -> Iterator[Failure]:
    """The calls that end in something else than success or an error of ours."""
    rng = np.random.default_rng(seed)
    every = [one for one in surface() if only in one.name]
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # a path among the arguments leads to a file
        try:
            for _ in range(calls):
                one = every[rng.integers(len(every))]
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # np.matrix
                    args, kwargs = drawn(one, rng)
                why = attempt(one, args, kwargs)
                if why:
                    given = [*map(in_short, args), *(f"{name}={in_short(value)}" for name, value in kwargs.items())]
                    yield Failure(one.name, f"({', '.join(given)})", why)
        finally:
            os.chdir(before)


def in_short(value: Any) -> str:
    try:
        return " ".join(repr(value).split())[:60]
    except RuntimeError:
        return type(value).__name__


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="part of the name of what is called")
    given = parser.parse_args()
    count = 0
    for failure in failures(given.calls, given.seed, given.only):
        print(failure, flush=True)
        count += 1
    print(f"{count} of {given.calls} calls ended in something else than an error of ours")
    sys.exit(count > 0)


if __name__ == "__main__":
    main()
