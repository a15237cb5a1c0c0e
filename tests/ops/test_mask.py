"""Gradients of choices: those of the branch taken, to every order, whatever the other branch would have been.

The oracle evaluates expressions number by number in Taylor arithmetic (value, first and second derivative) and only the
branch that is taken, so it never meets the other one.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline.graph.verify import verify

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

POINTS = np.array([0.0, 1.0, -1.0, 0.5, -0.25, 2.0, 3.5, -7.0, 40.0, 800.0, -900.0])


class Jet:
    """v + d t + dd t^2 / 2: a number that depends on t, up to its second derivative at t = 0."""

    def __init__(self, v, d=0.0, dd=0.0):
        self.v, self.d, self.dd = v, d, dd

    def through(self, f, df, ddf):
        return Jet(f, df * self.d, ddf * self.d**2 + df * self.dd)

    def __add__(self, other):
        return Jet(self.v + other.v, self.d + other.d, self.dd + other.dd)

    def __mul__(self, other):
        dd = self.v * other.dd + 2 * self.d * other.d + self.dd * other.v
        return Jet(self.v * other.v, self.v * other.d + self.d * other.v, dd)

    def inverse(self):
        return self.through(1 / self.v, -1 / self.v**2, 2 / self.v**3)


class OutOfReach(Exception):
    """The branch taken has no finite derivative here, or a kink."""


# name -> (on arrays, on a jet)
ONE = {
    "sqrt": (np.sqrt, lambda a: a.through(math.sqrt(a.v), 0.5 / math.sqrt(a.v), -0.25 * a.v**-1.5)),
    "log": (np.log, lambda a: a.through(math.log(a.v), 1 / a.v, -1 / a.v**2)),
    "exp": (np.exp, lambda a: a.through(math.exp(a.v), math.exp(a.v), math.exp(a.v))),
    "inverse": (lambda a: 1 / a, Jet.inverse),
    "sin": (np.sin, lambda a: a.through(math.sin(a.v), math.cos(a.v), -math.sin(a.v))),
    "tanh": (np.tanh, lambda a: a.through(math.tanh(a.v), 1 - math.tanh(a.v) ** 2,
                                          -2 * math.tanh(a.v) * (1 - math.tanh(a.v) ** 2))),
    "square": (lambda a: a**2, lambda a: a * a),
    "power": (lambda a: a**1.5, lambda a: a.through(a.v**1.5, 1.5 * a.v**0.5, 0.75 * a.v**-0.5)),
    "negative": (lambda a: -a, lambda a: Jet(-1.0) * a),
    "half": (lambda a: 0.5 * a, lambda a: Jet(0.5) * a),
}  # fmt: skip
TWO = {
    "add": (lambda a, b: a + b, lambda a, b: a + b),
    "multiply": (lambda a, b: a * b, lambda a, b: a * b),
    "divide": (lambda a, b: a / b, lambda a, b: a * b.inverse()),
}
EXTREMES = {"maximum": (np.maximum, 1), "minimum": (np.minimum, -1)}


def drawn(rng, size):
    """A program: steps that may use x (number 0) and any step before."""
    steps = []
    for at in range(1, size + 1):
        pick = lambda at=at: int(rng.integers(max(0, at - 4), at)) if rng.random() < 0.8 else 0
        kind = rng.choice(["one", "two", "where", "extreme"], p=[0.45, 0.15, 0.3, 0.1])
        if kind == "one":
            steps.append((rng.choice(list(ONE)), pick()))
        elif kind == "two":
            steps.append((rng.choice(list(TWO)), pick(), pick()))
        elif kind == "where":
            steps.append(
                ("where", int(pick() if rng.random() < 0.3 else 0), rng.choice([0.0, 0.75, -0.5, 1.5]), pick(), pick())
            )
        else:
            steps.append((rng.choice(list(EXTREMES)), pick(), float(rng.choice([-1.25, 0.3, 2.2]))))
    return [*steps, ("where", 0, 0.3, size, size - 1 if size > 1 else 0)]


def on_arrays(steps, x):
    values = [x]
    for name, *rest in steps:
        if name == "where":
            test, threshold, a, b = rest
            values.append(np.where(values[test] > threshold, values[a], values[b]))
        elif name in EXTREMES:
            values.append(EXTREMES[name][0](values[rest[0]], rest[1]))
        else:
            values.append((ONE.get(name) or TWO[name])[0](*(values[i] for i in rest)))
    return values[-1]


def on_branch_taken(steps, x):
    """The last step's jet; steps are evaluated only when they are asked for."""
    known = {0: Jet(x, 1.0)}

    def value(i):
        if i not in known:
            known[i] = found = step(*steps[i - 1])
            if not all(map(math.isfinite, (found.v, found.d, found.dd))) or abs(found.dd) > 1e9 or abs(found.v) > 1e9:
                raise OutOfReach
        return known[i]

    def step(name, *rest):
        if name == "where":
            test, threshold, a, b = rest
            return value(a if value(test).v > threshold else b)
        if name in EXTREMES:
            a, bound = value(rest[0]), rest[1]
            if a.v == bound:
                raise OutOfReach
            return a if (a.v - bound) * EXTREMES[name][1] > 0 else Jet(bound)
        return (ONE.get(name) or TWO[name])[1](*(value(i) for i in rest))

    return value(len(steps))


def oracle(steps, x):
    try:
        jet = on_branch_taken(steps, x)
        return jet.v, jet.d, jet.dd
    except (OutOfReach, ValueError, ZeroDivisionError, OverflowError, TypeError):
        return math.nan, math.nan, math.nan


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 9))
def test_derivatives_are_those_of_the_branch_taken(seed, size):
    steps = drawn(np.random.default_rng(seed), size)
    jets = np.array([oracle(steps, float(x)) for x in POINTS])
    known = np.isfinite(jets).all(axis=1)
    if not known.any():
        return
    x, (values, first, second) = POINTS[known], jets[known].T
    ones = np.ones_like(x)

    def total(x):
        return np.sum(on_arrays(steps, x))

    np.testing.assert_allclose(on_arrays(steps, x), values, rtol=1e-9, err_msg=str(steps))
    for got, want in (
        (fl.grad(total)(x), first),
        (fl.jvp(lambda x: on_arrays(steps, x))(x, ones)[1], first),
        (fl.hvp(total)(x, ones), second),
    ):
        np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-7, err_msg=f"{steps} at {x}")


# Functions of x (4, 3), with zeros and both signs in it, that are smooth where they take their branches; `c` > 0.
X = np.array([[1.0, -2.0, 0.0], [0.0, 0.0, 0.0], [-0.5, 4.0, 3.0], [-1.0, -3.0, -0.7]])
ROW = np.array([0.0, -1.0, 2.0])
SPREAD = {
    "both branches dangerous": lambda x: np.where(x > 0.1, np.log(x), np.where(x < -0.1, np.sqrt(-x), 0 * x)),
    "a row in the branch": lambda x: np.where(x > 0.1, x, 0.0) + np.where(x[2] > 0.1, np.log(x[2]), 1.0),
    "a row of which no element is taken": lambda x: np.where(np.abs(x) > 9, np.sqrt(x[3]) * x, x),
    "a number of which no element is taken": lambda x: np.where(x > 9, 1 / x[1, 0], x * x),
    "a choice by rows": lambda x: np.where(np.any(x != 0, axis=1), np.sqrt(np.sum(x * x, axis=1)), 0.0),
    "rows divided by their length": lambda x: np.where(np.sum(x * x, 1, keepdims=True) > 0,
                                                       x / np.sqrt(np.sum(x * x, axis=1, keepdims=True)), 0.0),
    "a fold of the branch": lambda x: np.where(np.max(x, axis=1) > -0.1, 0.0, np.sum(np.log(-x), axis=1)),
    "a mean of a choice": lambda x: np.mean(np.where(x > 0.1, np.log(x), 0.0), axis=0),
    "turned": lambda x: np.where(x.T > 0.1, np.sqrt(x.T), 0.0),
    "laid anew": lambda x: np.where(x.reshape(2, 6) > 0.1, np.sqrt(x).reshape(2, 6), 0.0),
    "cut": lambda x: np.where(x[1:, ::2] > 0.1, np.sqrt(x)[1:, ::2], 0.0),
    "picked": lambda x: np.where(x[[0, 2, 2]] > 0.1, np.sqrt(x)[[0, 2, 2]], 0.0),
    "joined": lambda x: np.where(np.vstack([x, x]) > 0.1, np.concatenate([np.log(x), np.sqrt(x)]), 0.0),
    "repeated": lambda x: np.where(x[0] > 0.1, np.broadcast_to(np.sqrt(x[0]), (4, 3)), x)[:, :2],
    "summed on the way": lambda x: np.where(x[:, :1] + x[:, 1:2] > -3, 0.0, np.cumsum(np.sqrt(-x), axis=1)),
    "shared by both": lambda x: np.where(x > 0.1, np.log(np.abs(x) + 1), np.sin(np.abs(x) + 1)),
    "used outside too": lambda x: (lambda h: np.where(x > 0.1, np.log(h), 0.0) + h)(x * x),
    "two choices by equal conditions": lambda x: (lambda h: np.where(x > 0.1, h, 0.0) * np.where(x > 0.1, 1 / h, 2.0)
                                                  + np.where(x > 0.1, h, 1.0))(np.sqrt(x)),
    "select": lambda x: np.select([x > 0.1, x < -0.1], [np.log(x), np.log(-x)], 0.0),
    "clip": lambda x: np.clip(1 / x, -0.4, 0.4) * 0 + np.clip(x, -0.9, 0.9) * 0 + np.minimum(np.exp(400 * x), 3.0) * x,
    "a bound in front of a slope without one": lambda x: np.sqrt(np.maximum(x - 0.1, 0))
                                                         + np.arccos(np.clip(0.9 * x, -1, 1)),
    "a plain mask": lambda x: np.where(X > 0.1, np.sqrt(x), 0.0),
    "a condition of its own shape": lambda x: np.where(ROW > 0.1, x, np.where(ROW < -0.1, x * x, x)) * 2,
    "padded": lambda x: np.where(np.pad(x, 1) > 0.1, np.pad(np.sqrt(x), 1), 0.0),
    "inside a product": lambda x: np.where(x > 0.1, np.sqrt(x), 0.0) @ np.ones((3, 2)),
    "products of a choice": lambda x: np.prod(np.where(x > 0.1, 1 / x, 1.5), axis=1),
    "the greatest of a choice": lambda x: np.max(np.where(x > 0.1, np.log(x), -5.0), axis=1),
    "a norm where there is one": lambda x: (lambda n: np.where(n > 0, 1 / n, 0.0))(np.linalg.norm(x, axis=1)),
}  # fmt: skip


@pytest.mark.parametrize("name", SPREAD)
def test_masks_pass_whatever_lays_elements_anew(name):
    function, rng = SPREAD[name], np.random.default_rng(0)
    seed, direction = rng.standard_normal(np.shape(function(X))), rng.standard_normal(X.shape) * (X != 0)
    total = lambda x: np.sum(np.sin(function(x)) * seed)
    h = 1e-6
    quotient = (total(X + h * direction) - total(X - h * direction)) / (2 * h)
    gradient = fl.grad(total)
    got = fl.compile(gradient)(X)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(np.sum(got * direction), quotient, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(gradient(X), got, rtol=1e-12)
    np.testing.assert_allclose(fl.jvp(total)(X, direction)[1], quotient, rtol=1e-6, atol=1e-8)
    verify(fl.graph_of(fl.hessian(total), X))
    moved = (gradient(X + h * direction) - gradient(X - h * direction)) / (2 * h)
    second = fl.hvp(total)(X, direction)
    np.testing.assert_allclose(np.sum(second * direction), np.sum(moved * direction), rtol=1e-4, atol=1e-6)
