"""Numbers drawn while a function is traced are refused where the trace is kept, and nothing else is."""

import functools
import random
import secrets
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.stats

import fallline as fl
from fallline import nn
from fallline.errors import TraceError

X = np.linspace(-1, 1, 12).reshape(6, 2)
GENERATOR = np.random.default_rng(0)
OLD = np.random.RandomState(0)
BITS = np.random.Philox(0)
PYTHONS = random.Random(0)
FIXED = GENERATOR.normal(size=2)
draw = GENERATOR.normal
DRAWS = iter(np.random.default_rng(5).normal(size=100))
HELD = {"deep": [(GENERATOR,)]}


def helper(shape: tuple[int, ...]) -> Any:
    return GENERATOR.normal(size=shape)


class Drawer:
    def __init__(self) -> None:
        self.rng = np.random.default_rng(1)
        self.calls = 0

    def noise(self, shape: tuple[int, ...]) -> Any:
        return self.rng.normal(size=shape)

    def seeded_by_call(self, shape: tuple[int, ...]) -> Any:
        self.calls += 1
        return np.random.default_rng(self.calls).normal(size=shape)


class Slotted:
    __slots__ = ("rng",)

    def __init__(self) -> None:
        self.rng = np.random.default_rng(1)


DRAWER, SLOTTED = Drawer(), Slotted()


def inner_generator() -> Callable[[Any], Any]:
    rng = np.random.default_rng(2)

    def function(x: Any) -> Any:
        def add(x: Any) -> Any:
            return x + rng.normal(size=x.shape)

        return add(x)

    return function


def mask_in_default(x: Any, rng: Any = np.random.default_rng(3)) -> Any:  # noqa: B008
    return x * rng.integers(0, 2, x.shape)


def branch(x: Any) -> Any:
    return x * 2 if np.random.rand() < 0.5 else x


DRAWN: dict[str, Callable[[Any], Any]] = {
    "np.random.normal": lambda x: x + np.random.normal(size=x.shape),
    "np.random.rand": lambda x: x * np.random.rand(),
    "np.random.randint": lambda x: x * np.random.randint(0, 1000, x.shape),
    "children of a generator": lambda x: x + GENERATOR.spawn(1)[0].normal(),
    "an iterator": lambda x: x + sum(value for _, value in zip(range(1), DRAWS)),
    "np.random.permutation": lambda x: fl.ops.gather(x, np.random.permutation(1000)[:2] % 2, axis=1) + np.random.rand(),
    "a branch": branch,
    "thrown away": lambda x: x if np.random.rand() < 2 else -x,
    "a generator in a global": lambda x: x + GENERATOR.normal(size=x.shape),
    "a bound method": lambda x: x + draw(size=x.shape),
    "a generator deep in a global": lambda x: x + HELD["deep"][0][0].normal(size=x.shape),
    "a generator in a closure": inner_generator(),
    "a generator in a default": mask_in_default,
    "a generator in a partial": functools.partial(lambda rng, x: x + rng.normal(), GENERATOR),
    "a generator in a helper": lambda x: x + helper(x.shape),
    "a generator in an object": lambda x: x + DRAWER.noise(x.shape),
    "a generator in slots": lambda x: x + SLOTTED.rng.normal(),
    "a generator seeded by calls": lambda x: x + DRAWER.seeded_by_call(x.shape),
    "a generator of bits": lambda x: x + np.random.Generator(BITS).normal(),
    "RandomState": lambda x: x + OLD.randn(*x.shape),
    "default_rng inside": lambda x: x + np.random.default_rng().normal(size=x.shape),
    "RandomState inside": lambda x: x + np.random.RandomState().randn(),
    "Python's random": lambda x: x * random.random(),
    "a Random": lambda x: x * PYTHONS.gauss(0, 1),
    "a new Random": lambda x: x * random.Random().random(),
    "secrets": lambda x: x * secrets.randbelow(2**60),
    "uuid": lambda x: x * uuid.uuid4().int.bit_length() + uuid.uuid4().int % 10**9,
    "the clock": lambda x: x + time.perf_counter(),
    "SciPy": lambda x: x + scipy.stats.norm.rvs(size=x.shape),
    "SciPy's own generator": lambda x: x + scipy.stats.qmc.Sobol(2, scramble=True).random(1),
}

PURE: dict[str, Callable[[Any], Any]] = {
    "no draw": np.tanh,
    "an array drawn before": lambda x: x + FIXED,
    "a seeded generator inside": lambda x: x + np.random.default_rng(7).normal(size=x.shape),
    "np.random seeded inside": lambda x: (np.random.seed(3), x + np.random.normal(size=x.shape))[1],
    "a generator that is not drawn from": lambda x: x + (0 if GENERATOR is None else 1),
    "a clock that is only read": lambda x: (time.perf_counter(), x)[1],
    "ops with a key": lambda x: x + fl.ops.uniform(x.shape, 3, np.float64),
    "a library without draws": lambda x: x + scipy.stats.norm.ppf(0.9),
    "NaN": lambda x: x * np.array([np.nan, 1]) + next(iter([1])),
}


@pytest.mark.parametrize("name", DRAWN)
def test_what_a_compiled_function_draws_is_refused_with_its_place_and_a_hint(name: str) -> None:
    with pytest.raises(TraceError, match=r"(?s)stay the same for ever.*\n  at test_draws.py:\d+\n  try: .*normal\("):
        fl.compile(DRAWN[name])(X)


@pytest.mark.parametrize("name", PURE)
def test_functions_that_are_the_same_at_every_call_are_compiled(name: str) -> None:
    np.testing.assert_allclose(fl.compile(PURE[name])(X), PURE[name](X), rtol=1e-12)


@pytest.mark.parametrize("name", DRAWN)
def test_a_gradient_that_is_traced_at_every_call_may_draw(name: str) -> None:
    fl.grad(lambda x: np.sum(DRAWN[name](x)))(X)


@pytest.mark.parametrize("name", ["np.random.normal", "a generator in an object", "default_rng inside", "a branch"])
def test_layers_losses_and_gradients_that_draw_are_refused(name: str) -> None:
    drawn, x, y = DRAWN[name], X, X[:, 0]

    @dataclass(frozen=True)
    class WhileTraining:
        def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
            return {}, shape

        def apply(self, params: Any, x: Any, context: Any) -> Any:
            return drawn(x) if context.training else x

    for layer in (drawn, WhileTraining()):
        with pytest.raises((TraceError, fl.errors.ArgumentError), match="stay the same for ever"):
            fl.fit(nn.Sequential(nn.Dense(2), layer, nn.Dense(1)), (x, y), loss="squared_error", epochs=1)
    with pytest.raises(TraceError, match="stay the same for ever"):
        fl.fit(nn.Dense(1), (x, y), loss=lambda o, y: np.mean(np.square(drawn(o) - y)), epochs=1)
    with pytest.raises(TraceError, match="stay the same for ever"):
        fl.compile(fl.value_and_grad(lambda x: np.sum(drawn(x))))(X)


def test_draws_of_other_threads_are_not_taken_for_the_function_s_own() -> None:
    stop = threading.Event()

    def other() -> None:
        while not stop.is_set():
            np.random.rand()
            GENERATOR.random()

    thread = threading.Thread(target=other)
    thread.start()
    try:
        for name, function in PURE.items():
            if "seeded inside" not in name:
                fl.compile(function)(X)
        for name in ("np.random.normal", "a generator in a helper"):
            with pytest.raises(TraceError, match="stay the same for ever"):
                fl.compile(DRAWN[name])(X)
    finally:
        stop.set()
        thread.join()


def test_a_function_that_draws_nothing_is_traced_once() -> None:
    calls = []
    fl.compile(lambda x: (calls.append(1), np.tanh(x))[1])(X)
    assert len(calls) == 1
