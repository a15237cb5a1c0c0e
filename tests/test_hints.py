"""The advice of error messages is run: each bad call is refused with its hint, and the hint works.

`test_every_hint_is_tried` finds the hints in the sources, so a new one needs a line here or in the list of those that
tests elsewhere follow.
"""

import ast
import math
import tempfile
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special

import fallline as fl
from fallline import nn
from fallline.config import saved, to_config
from fallline.errors import FalllineError
from fallline.nn import loss as losses
from fallline.nn.inputs import cast_whole
from fallline.nn.intake import Problems
from fallline.nn.loss import Loss
from fallline.program import reference

SOURCES = Path(fl.__file__).parent
RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))
Y, CODES, NAMES = X[:, 0], np.arange(12) % 3, np.array(["a", "b", "c"])[np.arange(12) % 3]
W = np.ones((2, 3))
PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")
A, I, MASK = np.arange(12.0).reshape(4, 3), np.array([2, 0]), np.array([True, False, True])


def fit(network: Any = None, data: Any = (X, Y), loss: Any = "default", **settings: Any) -> fl.Run:
    loss = ("squared_error" if not isinstance(network, nn.Model) else None) if loss == "default" else loss
    return fl.fit(network or nn.Dense(1), data, loss=loss, epochs=1, **settings)


def on(function: Callable[..., Any], *arrays: Any) -> Any:
    """The function traced, and its graph run by the reference: no kernel has to be compiled for it."""
    results = reference.run(fl.graph_of(function, *arrays), arrays)
    return results[0] if len(results) == 1 else results


def batches() -> Any:
    yield X[:7], Y[:7]
    yield X[7:], Y[7:]


class Rows:
    """A Source of 12 rows in any form."""

    rows = 12

    def __init__(self, form: Any) -> None:
        self.form = form

    def read(self, rows: Any, into: Any) -> None:
        for name, array in into.items():
            array[...] = {"x": X, "y": CODES}[name][rows]


class Counted:
    """Batches of as many rows as it says."""

    rows = 12

    def __iter__(self) -> Any:
        return batches()


class Elsewhere:
    """Rows that are read when they are needed."""

    rows = 12
    form = types.MappingProxyType({"x": fl.Form((3,), X.dtype), "y": fl.Form((), CODES.dtype)})

    def read(self, rows: Any, into: Any) -> None:
        for name, array in into.items():
            array[...] = {"x": X, "y": CODES}[name][rows]


def model(loss: Any = "squared_error", outputs: int = 1) -> nn.Model:
    return nn.Model.init(nn.Dense(outputs), 3, loss=loss)


def normed() -> nn.Model:
    return nn.Model.init(nn.Sequential(nn.BatchNorm(), nn.Dense(1)), 3)


def diverged() -> fl.Run:
    return fit(optimizer=fl.optim.GradientDescent(1e30), batch_size=2)


def on_disk() -> fl.Run:
    with tempfile.TemporaryDirectory() as folder:
        fit(out=folder + "/run")
        run = fl.load_run(folder + "/run")
        assert run.state is not None
        return replace(run, ended_with=run.state)


def joined(x: Any) -> Any:
    return np.concatenate([x["age"], x["image"]], axis=1)


def whole(x: Any) -> None:
    """x for a network of uint8."""
    problems = Problems()
    cast_whole(x, np.dtype(np.uint8), "x", problems)
    problems.raise_if_any()


@dataclass(frozen=True)
class StepsOnly(fl.optim.Minimiser):
    """A minimiser whose step returns the point alone."""

    def step(self, here: Any, state: Any, evaluate: Any) -> Any:
        return evaluate(here.theta - 0.1 * here.gradient)


def pair(x: Any) -> tuple[Any, Any]:
    """A loss, and how many numbers are positive."""
    return np.mean(np.square(x)), np.sum(x > 0)


def put(a: Any, value: Any) -> Any:
    np.copyto(a, value)
    return a


def assigned(x: Any) -> Any:
    x[0] = 1.0
    return x


def stored(x: Any) -> Any:
    a = np.zeros(3)
    a[0] = x[0]
    return a


def grown(x: Any) -> Any:
    h = np.exp(x)
    h += 1
    return h


def filled(x: Any) -> Any:
    x.fill(1.0)
    return x


def keeping(kept: list[Any]) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        kept.append(x)
        return x * kept[0]

    return function


@dataclass(frozen=True)
class Unsaved:
    """A layer that no file can hold, until its class is saved."""

    scale: float = 2.0

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return {}, shape

    def apply(self, params: Any, x: Any) -> Any:
        return x * self.scale


class Newer(fl.optim.Adam):
    """One that asks its parents as it should."""

    def start(self, theta, layout=None):
        return super().start(theta)


def older():
    """An optimizer that asks its parents as one used to."""
    return type("Older", (fl.optim.Adam,), {"init": lambda self, theta: super(type(self), self).init(theta)})


def keep_a_mean():
    """A step in which a layer writes its parameter."""
    made, one = fl.optim.Adam(), normed()
    return made.update(one.params, made.init(one.params, one.layout), one.params, one.layout, {"0.mean": np.ones(3)})


class Fading(Unsaved):
    """One that multiplies by the share of the training that is left."""

    def apply(self, params: Any, x: Any, context: Any) -> Any:
        return x * (1 - context.progress if context.training else 1)


class Treated(Unsaved):
    """One that gives a factor to what is computed from a parameter, or to the parameter itself."""

    def __init__(self, computed: bool = False) -> None:
        self.computed = computed

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return {"bias": np.zeros(shape, dtype)}, shape

    def apply(self, params: Any, x: Any, context: Any) -> Any:
        context.treat(2 * params["bias"] if self.computed else params["bias"], rate=0.1)
        return x + params["bias"]


class Steady(Unsaved):
    """One that writes its parameter in every training step."""

    least = 0

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return {"mean": np.zeros(shape, dtype), "w": np.ones((*shape, 1), dtype)}, (1,)

    def apply(self, params: Any, x: Any, context: nn.Context) -> Any:
        if context.training and len(x) > self.least:
            context.keep(params["mean"], np.mean(x, axis=0))
        return (x - params["mean"]) @ params["w"]


class Fickle(Steady):
    """One that does so for large batches alone."""

    least = 11


class Unstarted(Unsaved):
    """One whose init returns nothing."""

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        pass


class Silent(Unsaved):
    """One whose apply returns nothing."""

    def apply(self, params: Any, x: Any) -> Any:
        pass


class Noisy(Unsaved):
    """One with a verb that is no more."""

    def apply_noisily(self, params: Any, x: Any, noise: Any) -> Any:
        return x + noise(x.shape)


@saved
@dataclass(frozen=True)
class SavedLayer(Unsaved):
    """The same with @saved."""


@dataclass(frozen=True)
class Entries(Loss):
    """A loss with one number for each entry, unless their mean is asked for."""

    name = "entries"
    mean: bool = False

    def function(self, output: Any, y: Any) -> Any:
        return np.mean(np.square(output - y)) if self.mean else np.square(output - y)


def mean_difference(output: Any, y: Any) -> Any:
    return np.mean(np.square(output - y))


def from_file() -> nn.Model:
    trained = fit(loss=mean_difference).model
    return nn.Model.from_config(trained.to_config(), trained.theta)


def two_members(**settings: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        fit(ensemble=2, out=Path(folder) / "run", **settings)


def broken() -> nn.Model:
    whole = model("cross_entropy", 3)
    return whole.with_theta(np.full_like(whole.theta, np.nan))


IMAGES = np.zeros((4, 2, 5))
# A wrong call, its hint, and the advice of the hint.
TRACED: list[tuple[Callable[[], Any], str, Callable[[], Any]]] = [
    (lambda: on(lambda x: x.exp(), Y), "np.exp(a)", lambda: on(lambda x: np.exp(x), Y)),
    (lambda: on(lambda x: np.concatenate(x, x), Y), "np.concatenate([a, b])",
     lambda: on(lambda x: np.concatenate([x, x]), Y)),
    (lambda: on(lambda x: x.detach(), Y), "fl.ops.stop_gradient(a)", lambda: on(lambda x: fl.ops.stop_gradient(x), Y)),
    (lambda: on(lambda i: A[i], I), "fallline.ops.gather(a, i, axis=0)",
     lambda: on(lambda i: fl.ops.gather(A, i, axis=0), I)),
    (lambda: on(lambda i: np.take(A, i, 0), I), "fallline.ops.gather(a, i, axis=0)",
     lambda: on(lambda i: fl.ops.gather(A, i, axis=0), I)),
    (lambda: on(lambda x: A.dot(x), X.T[:, :2]), "np.dot(a, x), not a.dot(x)",
     lambda: on(lambda x: np.dot(A, x), X.T[:, :2])),
    (lambda: on(lambda x: math.exp(x[0]), Y), "np.exp, not math.exp", lambda: on(lambda x: np.exp(x[0]), Y)),
    (lambda: on(lambda x: np.array([x[0], x[1]]), Y), "np.stack([...])",
     lambda: on(lambda x: np.stack([x[0], x[1]]), Y)),
    (lambda: on(lambda x: float(x[0]) * x, Y), "only after the function has returned",
     lambda: float(on(lambda x: x[0], Y))),
    (lambda: on(lambda x: x if x[0] > 0 else -x, Y), "np.where(condition, a, b)",
     lambda: on(lambda x: np.where(x[0] > 0, x, -x), Y)),
    (lambda: on(lambda x: x * (1.0 in x), Y), "np.any(a == value)", lambda: on(lambda x: x * np.any(x == 1.0), Y)),
    (lambda: on(lambda x: x.sort(), Y), "np.sort(a)", lambda: on(lambda x: np.sort(x), Y)),
    (lambda: on(filled, Y), "np.full_like(a, value)", lambda: on(lambda x: x + np.full_like(x, 1.0), Y)),
    (lambda: on(assigned, Y), "np.where(mask, new, old), or np.concatenate",
     lambda: (on(lambda x: np.where(np.arange(12) == 0, 1.0, x), Y), on(lambda x: np.concatenate([[1.0], x[1:]]), Y))),
    (lambda: on(stored, Y), "np.stack or np.concatenate of the parts, or np.where(mask, new, old)",
     lambda: on(lambda x: np.stack([x[0], 0, 0]), Y)),
    (lambda: on(lambda x: put(x, 1.0), Y), "np.where(mask, new, old), or np.concatenate",
     lambda: on(lambda x: np.where(True, 1.0, x), Y)),
    (lambda: on(grown, Y), "a new name, `h = h + b` instead of `h += b`", lambda: on(lambda x: np.exp(x) + 1, Y)),
    (lambda: on(lambda x: np.sum(x, out=np.zeros(())), Y), "the returned value", lambda: on(lambda x: np.sum(x), Y)),
    (lambda: on(lambda x: (np.add.at(x, I, 1.0), x)[1], Y), "np.where, or indexing with take and sum",
     lambda: on(lambda x: x + np.sum(np.where(np.arange(12) == I[:, None], 1.0, 0.0), axis=0), Y)),
    (lambda: on(lambda x: np.exp(x, where=x > 0), Y), "np.where(condition, a, b)",
     lambda: on(lambda x: np.where(x > 0, np.exp(x), x), Y)),
    (lambda: on(lambda x: np.sum(x, where=x > 0), Y), "np.sum(a, axis=None",
     lambda: on(lambda x: np.sum(x, axis=None), Y)),
    (lambda: on(lambda x: x[x > 0], Y), "np.where(mask, x, 0), or x * mask; a mask that is a plain array works",
     lambda: (on(lambda x: np.where(x > 0, x, 0), Y), on(lambda x: x * (x > 0), Y), on(lambda x: x[Y > 0], Y))),
    (lambda: on(lambda x: x[:, True], X), "a mask with the shape of the array, or np.where",
     lambda: on(lambda x: x[X > 0], X)),
    (lambda: on(lambda x: np.take(x, I, mode="no"), Y), "mode='raise', 'clip' or 'wrap'",
     lambda: [on(lambda x, m=m: np.take(x, I, mode=m), Y) for m in ("raise", "clip", "wrap")]),
    (lambda: on(lambda x: np.ravel(x, order="F"), X), "order='C' after a transpose",
     lambda: np.testing.assert_array_equal(on(lambda x: np.ravel(x.T, order="C"), X), np.ravel(X, order="F"))),
    (lambda: on(lambda x, n: np.repeat(x, n), Y, np.int64(2)), "a whole number or a plain array",
     lambda: on(lambda x: (np.repeat(x, 2), np.repeat(x, np.arange(12))), Y)),
    (lambda: on(lambda x: np.pad(x, 1, mode="mean"), Y), "constant, edge, reflect, symmetric or wrap",
     lambda: [on(lambda x, m=m: np.pad(x, 1, mode=m), Y) for m in PAD_MODES]),
    (lambda: on(lambda x: np.pad(x[:0], 1, mode="edge"), Y), "mode='constant'",
     lambda: on(lambda x: np.pad(x[:0], 1, mode="constant"), Y)),
    (lambda: on(lambda x: np.ma.masked_array(Y, Y > 0) + x, Y), ".filled(...), or np.where(mask, a, b)",
     lambda: on(lambda x: (np.ma.masked_array(Y, Y > 0).filled(0) + x, np.where(Y > 0, 0, Y) + x), Y)),
    (lambda: on(lambda x: np.pad(x, 1, constant_values=(1, 2)), Y), "one number, or np.concatenate",
     lambda: on(lambda x: (np.pad(x, 1, constant_values=1), np.concatenate([[1.0], x, [2.0]])), Y)),
    (lambda: on(lambda x: np.where(x > 0), Y), "np.where(condition, x, y)",
     lambda: on(lambda x: np.where(x > 0, x, 1), Y)),
    (lambda: on(lambda x: x & x, I), "of comparisons, such as (a > 0) & (b > 0)",
     lambda: on(lambda a: np.logical_and(a > 0, a < 1) & (a > 0) & (a < 2), Y)),
    (lambda: on(lambda x: np.einsum(x, [0, 1], X.T, [1, 2]), X), "a string, such as np.einsum('ij,jk->ik', a, b)",
     lambda: on(lambda a: np.einsum("ij,jk->ik", a, X.T), X)),
    (lambda: on(lambda x: np.einsum("ij->i", x, optimize="greedy", order="F"), X), "np.einsum(subscripts, *operands)",
     lambda: on(lambda x: np.einsum("ij->i", x), X)),
    (lambda: on(lambda x: np.linalg.norm(x, ord=2), X), "ord='fro', 1, -1, np.inf or -np.inf",
     lambda: [on(lambda x, o=o: np.linalg.norm(x, ord=o), X) for o in ("fro", 1, -1, np.inf, -np.inf)]),
    (lambda: on(lambda x: np.linalg.norm(x, ord="fro"), Y), "a number, np.inf or -np.inf",
     lambda: [on(lambda x, o=o: np.linalg.norm(x, ord=o), Y) for o in (3, np.inf, -np.inf)]),
    (lambda: on(lambda x: scipy.special.logsumexp(x), Y), "fallline.ops.logsumexp, which is the same",
     lambda: on(lambda x: fl.ops.logsumexp(x), Y)),
    (lambda: fl.compile(lambda x: x + np.random.normal())(Y), "fallline.ops.normal(shape, key), uniform or integers",
     lambda: on(lambda x, step: x + fl.ops.normal(x.shape, step, np.float64), Y, np.int64(3))),
    (lambda: on(lambda x: x.tobytes(), Y), "fallline.ops.supported() lists what can be traced",
     lambda: [getattr(np, name.removeprefix("np.")) for name in fl.ops.supported() if name.count(".") == 1]),
    (lambda: on(lambda x: None, Y), "a return statement at its end", lambda: on(lambda x: x, Y)),
    (lambda: on(lambda x: "text", Y), "returning only arrays and numbers", lambda: on(lambda x: (x, 2.0), Y)),
    (lambda: [on(f, Y) for f in [keeping([])] for Y in (X[0], X)], "returning it from the traced function",
     lambda: on(lambda x: (x, x * x), Y)),
    (lambda: on(lambda i: i + 10**30, I), "array.astype(float), or a wider dtype",
     lambda: on(lambda i: i.astype(float) + 10**30, I)),
    (lambda: on(lambda x: -(x > 0), X), "a ^ b or ~a of masks; a.astype(float)",
     lambda: on(lambda x: (~(x > 0), (x > 0) ^ (x > 1), -(x > 0).astype(float)), X)),
    (lambda: on(lambda i: i**-1, I), "np.float_power", lambda: on(lambda i: np.float_power(i + 1, -1), I)),
    (lambda: on(lambda x: x, Y + 1j), "the real and imaginary parts as two real arrays",
     lambda: on(lambda x, y: (x, y), Y, Y)),
    (lambda: on(lambda x: x, Y.astype(np.longdouble)), "x.astype(np.float32) or x.astype(np.float64)",
     lambda: (on(lambda x: x, Y.astype(np.float32)), on(lambda x: x, Y.astype(np.float64)))),
    (lambda: fl.grad(np.sum(Y)), "fallline.grad(f)(x), not fallline.grad(f(x))", lambda: fl.grad(np.sum)(Y)),
    (lambda: fl.grad(np.sum)(np.arange(3)), "3.0 instead of 3, or x.astype(float)",
     lambda: (fl.grad(np.square)(3.0), fl.grad(np.sum)(np.arange(3).astype(float)))),
    (lambda: fl.grad(np.tanh)(Y), "np.sum or np.mean of the result; fallline.jacobian differentiates arrays",
     lambda: (fl.grad(lambda x: np.mean(np.tanh(x)))(Y), fl.jacobian(np.tanh)(Y))),
    (lambda: fl.value_and_grad(pair)(Y), "fallline.value_and_grad(lambda *args: f(*args)[0])",
     lambda: (fl.value_and_grad(lambda *args: pair(*args)[0])(Y), pair(Y)[1])),
    (lambda: fl.grad(lambda x: np.sum(x > 0))(Y), "a float, such as the np.mean", lambda: fl.grad(np.mean)(Y)),
    (lambda: fl.jacobian(lambda x: x > 0)(Y), "returning only real numbers", lambda: fl.jacobian(lambda x: x * 1.0)(Y)),
    (lambda: fl.vmap(np.dot, in_axes={"a": 0}), "in_axes=({'a': 0},)",
     lambda: fl.vmap(lambda d: d["a"] + 1, in_axes=({"a": 0},))({"a": Y})),
    (lambda: fl.vmap(np.dot, in_axes=(0,))(X, Y), "one entry for each, None for an argument that is the same",
     lambda: fl.vmap(np.dot, in_axes=(0, None))(X, Y[:3])),
    (lambda: fl.vmap(np.multiply)(X, 2.0), "None in its place in in_axes, for an argument",
     lambda: fl.vmap(np.multiply, in_axes=(0, None))(X, 2.0)),
    (lambda: fl.vmap(np.dot, in_axes=None)(X, Y), "in_axes=0, or a tuple with 0 for each argument",
     lambda: (fl.vmap(np.dot, in_axes=0)(X, X), fl.vmap(np.dot, in_axes=(0, None))(X, Y[:3]))),
    (lambda: fl.vmap(np.dot)(X, Y[:3]), "None in in_axes for an argument that is the same for every row",
     lambda: fl.vmap(np.dot, in_axes=(0, None))(X, Y[:3])),
    (lambda: fl.vmap(lambda x: (x, x), out_axes=(0, 0, 0))(X), "one axis, or None, for all of it",
     lambda: fl.vmap(lambda x: (x, x), out_axes=0)(X)),
    (lambda: fl.vmap(np.sum, out_axes=None)(X), "out_axes=0", lambda: fl.vmap(np.sum, out_axes=0)(X)),
    (lambda: fl.vmap(lambda x: x + np.random.normal())(Y), "the key is an argument with rows, such as np.arange",
     lambda: fl.vmap(lambda x, key: x + fl.ops.normal((), key, np.float64))(Y, np.arange(len(Y)))),
]  # fmt: skip

LOOPED: list[tuple[Callable[[], Any], str, Callable[[], Any]]] = [
    (lambda: fl.scan(lambda c, x: (c, x), 0.0, 3), "xs=np.arange(n)",
     lambda: fl.scan(lambda c, x: (c, x), 0.0, np.arange(3))),
    (lambda: fl.scan(lambda c, x: (c, x), 0.0), "length=n", lambda: fl.scan(lambda c, x: (c, x), 0.0, length=3)),
    (lambda: fl.scan(lambda c, x: c + x, 0.0, A[0]), "return carry, None",
     lambda: fl.scan(lambda c, x: (c + x, None), 0.0, A[0])),
    (lambda: fl.scan(lambda c, x: (x, c), (0.0, 1.0), A[0]), "return (carry, y)",
     lambda: fl.scan(lambda c, x: (c, x), (0.0, 1.0), A[0])),
    (lambda: fl.scan(lambda c, x: (c + x, None), 0.0, A), "beginning with np.zeros((3,))",
     lambda: fl.scan(lambda c, x: (c + x, None), np.zeros((3,)), A)),
    (lambda: fl.scan(lambda c, x: (c + x, None), np.array(0), A[0]), "init.astype(np.float64)",
     lambda: fl.scan(lambda c, x: (c + x, None), np.array(0).astype(np.float64), A[0])),
]  # fmt: skip

TRAINED: list[tuple[Callable[[], Any], str, Callable[[], Any]]] = [
    (lambda: nn.Context(training=True, key=1).progress,
     "if context.training: around it; nn.Context(training=True, key=step, progress=step / steps)",
     lambda: (fit(nn.Sequential(Fading(), nn.Dense(1))), nn.Context(training=True, key=1, progress=0.5).progress)),
    (lambda: fit(nn.Sequential(Treated(True), nn.Dense(1))), 'context.treat(params["bias"], rate=0.1)',
     lambda: fit(nn.Sequential(Treated(), nn.Dense(1)))),
    (lambda: nn.Model.init(nn.Sequential(nn.Heads(2)), 3), "nn.SharedDense(64, 8) before it",
     lambda: nn.Model.init(nn.Sequential(nn.SharedDense(64, 8), nn.Heads(2)), 3)),
    (lambda: nn.ByColumns((0, 1)), "nn.ByColumns((((0, 1), nn.Periodic()), ((2,), nn.Identity())))",
     lambda: nn.ByColumns((((0, 1), nn.Periodic()), ((2,), nn.Identity())))),
    (lambda: fl.optim.LBFGS(weight_decay=lambda step: 0.1), "weight_decay=0.01",
     lambda: fl.optim.LBFGS(weight_decay=0.01)),
    (lambda: nn.Objective("squared_error", penalty=0.1), "penalty=nn.L2(1e-4)",
     lambda: fit(loss=nn.Objective("squared_error", penalty=nn.L2(1e-4)))),
    (lambda: fit(loss=nn.Objective("squared_error", penalty="small")), "loss=nn.Objective(loss, penalty=your_function)",
     lambda: fit(loss=nn.Objective("squared_error", penalty=lambda params: np.sum(params["weight"])))),
    (lambda: fit(loss=nn.Objective("squared_error", penalty=lambda params: params["weight"][:, 0])), "np.sum(...)",
     lambda: fit(loss=nn.Objective("squared_error", penalty=lambda params: np.sum(params["weight"])))),
    (lambda: fit(loss=nn.Pinball((0.1, 0.9))), "nn.Dense(2) as its last layer",
     lambda: fit(nn.Dense(2), loss=nn.Pinball((0.1, 0.9)))),
    (lambda: fit(optimizer="lbfgs", early_stopping=fl.EarlyStopping(2, rate_factor=0.5)),
     "EarlyStopping without rate_factor; or optimizer=optim.Adam(1e-3)",
     lambda: (fit(optimizer="lbfgs", early_stopping=fl.EarlyStopping(2)),
              fit(optimizer=fl.optim.Adam(1e-3), early_stopping=fl.EarlyStopping(2, rate_factor=0.5)))),
    (lambda: nn.Dense(1)(X), "fl.fit(network, (x, y), loss=...).model.predict(x)", lambda: fit().model.predict(X)),
    (lambda: model()(X), "model.predict(x), or model.outputs(x)", lambda: (model().predict(X), model().outputs(X))),
    (lambda: fit()(X), "run.model.predict(x)", lambda: fit().model.predict(X)),
    (lambda: fit(Unstarted()), "return {}, shape, for a layer without",
     lambda: fit(nn.Sequential(Unsaved(), nn.Dense(1)))),
    (lambda: fit(nn.Sequential(Silent(), nn.Dense(1))), "return y, (N, ...)",
     lambda: fit(nn.Sequential(Unsaved(), nn.Dense(1)))),
    (lambda: model().apply(5, X), "model.theta; params is its tree",
     lambda: (model().apply(model().theta, X), model().apply(model().params, X))),
    (lambda: model().evaluate(X), "(x, y), x an array of rows and y their targets", lambda: model().evaluate((X, Y))),
    (lambda: model().with_params({}), "a tree like model.params", lambda: model().with_params(model().params)),
    (lambda: nn.Model.init(nn.Residual(nn.Dense(3)), 3)[:1],
     "nn.Model.init(layer, shape).with_params(model.params[name])",
     lambda: nn.Model.init(nn.Dense(3), 3).with_params(nn.Model.init(nn.Residual(nn.Dense(3)), 3).params[0])),
    (lambda: nn.Model.init(nn.mlp((2,), 1), 3)[1:1], "model[:2]", lambda: nn.Model.init(nn.mlp((2,), 1), 3)[:2]),
    (lambda: nn.Model.init(nn.mlp((2,), 1), 3)["weight"], "model.params[name], for parameters by their name",
     lambda: model().params["weight"]),
    (lambda: fl.optim.Adam().update(W, W, W), "params, state = optimizer.update(grads, state, params)",
     lambda: fl.optim.Adam().update(W, fl.optim.Adam().init(W), W)),
    (lambda: fl.optim.Adam().update([W], fl.optim.Adam().init(W), W), "grads = fl.grad(loss)(params, ...)",
     lambda: fl.optim.Adam().update(fl.grad(np.sum)(W), fl.optim.Adam().init(W), W)),
    (lambda: fl.optim.Adam().init(W.astype(int)), ".astype(float)", lambda: fl.optim.Adam().init(W.astype(float))),
    (lambda: fl.optim.Adam().init(W, model().layout), "model.params",
     lambda: fl.optim.Adam().init(model().params, model().layout)),
    (older, "start(self, theta, layout), and super().start(theta, layout)", lambda: Newer().init(W)),
    (lambda: fl.optim.Groups({"*": "adam"}), 'optim.Groups({"*": optim.Adam(1e-3)})',
     lambda: fl.optim.Groups({"*": fl.optim.Adam(1e-3)}).init(W)),
    (lambda: fl.optim.Groups({"*": fl.optim.LBFGS()}), "optimizer=LBFGS()", lambda: fit(optimizer=fl.optim.LBFGS())),
    (lambda: fl.optim.Adam().update(W, fl.optim.Adam().init(W), W, kept={"mean": W}),
     "optimizer.update(grads, state, params, model.layout, kept)",
     lambda: keep_a_mean()),
    (lambda: fl.optim.Adam().update(W, {"step": np.int64(0)}, W),
     "state = optimizer.init(params), or init(params, model.layout) where update gets the layout too",
     lambda: fl.optim.Adam().update(W, fl.optim.Adam().init(W), W)),
    (lambda: fl.optim.Adam().init(normed().params), "optimizer.init(params, model.layout)",
     lambda: fl.optim.Adam().init(normed().params, normed().layout)),
    (lambda: fl.optim.Adam().update(normed().params, {"step": np.int64(0)}, normed().params),
     "optimizer.update(grads, state, params, model.layout)", lambda: keep_a_mean()),
    (lambda: fl.optim.Adam().update(normed().params, {"step": np.int64(0)}, normed().params, normed().layout),
     "kept = context.kept(params), of the nn.Context(training=True, ...) of the pass, and update(grads, state, params, "
     "layout, kept); or kept={}, which leaves them as they are", lambda: keep_a_mean()),
    (lambda: fl.optim.LBFGS().minimise(fl.value_and_grad(np.sum), normed().params),
     "fl.fit(model, data, optimizer=...), which knows them",
     lambda: fl.fit(normed(), (X, Y), optimizer=fl.optim.LBFGS(), epochs=1)),
    (lambda: fl.optim.Groups({"w": fl.optim.Adam()}).init([W]), 'a last pattern "*"',
     lambda: fl.optim.Groups({"w": fl.optim.Adam(), "*": fl.optim.Adam()}).init({"w": W, "b": W})),
    (lambda: fl.optim.Groups({"*": fl.optim.Adam(), "w": fl.optim.Adam()}).init({"w": W}), "'w' before it",
     lambda: fl.optim.Groups({"w": fl.optim.Adam(), "*": fl.optim.Adam()}).init({"w": W})),
    (lambda: fl.optim.Groups({"*": fl.optim.Adam()}).at_rate(0.1), "optimizer=, with the groups as they are meant",
     lambda: fit(optimizer=fl.optim.Groups({"*": fl.optim.Adam(0.1)}))),
    (lambda: fit(optimizer=fl.optim.Muon()), 'optim.Groups({"*.weight": optim.Muon(0.02), "*": optim.Adam(1e-3)})',
     lambda: fit(optimizer=fl.optim.Groups({"*weight": fl.optim.Muon(0.02), "*": fl.optim.Adam(1e-3)}))),
    (lambda: fit(loss=nn.Huber), "Huber()", lambda: fit(loss=nn.Huber())),
    (lambda: fit(optimizer=fl.optim.Cosine(0.1)), "optim.Adam(Cosine(learning_rate=0.1))",
     lambda: fit(optimizer=fl.optim.Adam(fl.optim.Cosine(learning_rate=0.1)))),
    (lambda: fit(data=[(X, Y)] * 4), "a function that gives the batches of an epoch, data=lambda: iter(batches)",
     lambda: fit(data=lambda: iter([(X, Y)] * 4))),
    (lambda: fit(data=[*zip(X, Y)]), "(np.stack([x for x, y in data]), np.stack([y for x, y in data]))",
     lambda: fit(data=(np.stack([x for x, y in zip(X, Y)]), np.stack([y for x, y in zip(X, Y)])))),
    (lambda: fit(data={"x": X, "y": Y, "sample_weight": np.ones(12)}), "the name 'weight', for weights of rows",
     lambda: fit(data={"x": X, "y": Y, "weight": np.ones(12)})),
    (lambda: fit(data=types.SimpleNamespace(x=X, y=Y, weights=np.ones(12))),
     "(data.x, data.y, data.weights), or (data.x, data.y) without them", lambda: fit(data=(X, Y, np.ones(12)))),
    (lambda: nn.standardise(batches()), "nn.standardise of some rows in memory, such as next(iter(batches))[0]",
     lambda: nn.standardise(next(iter(batches()))[0])),
    (lambda: fit(data=[*batches()]), "a function that gives the batches of an epoch, data=lambda: iter(batches)",
     lambda: fit(data=lambda: iter([*batches()]))),
    (lambda: fit(nn.Sequential(joined, nn.Dense(1)), ({"a.b": X, "a": {"b": X}}, Y)), "keys without dots",
     lambda: fit(nn.Sequential(joined, nn.Dense(1)), ({"age": X, "image": X}, Y))),
    (lambda: fit(data=({1: X, 2: X}, Y)), "{str(key): array for key, array in x.items()}",
     lambda: fit(nn.Sequential(lambda x: x["1"] + x["2"], nn.Dense(1)), ({"1": X, "2": X}, Y))),
    (lambda: fit().model.predict(x for x, _ in batches()), "np.concatenate([model.predict(x) for x in batches])",
     lambda: np.concatenate([fit().model.predict(x) for x, _ in batches()])),
    (lambda: fit(data=Rows({"x": 3})), 'form = {"x": fl.Form((3,), np.dtype("float32")), "y": ',
     lambda: fit(data=Rows({"x": fl.Form((3,), np.dtype("float32")), "y": fl.Form((), np.dtype("int64"))}))),
    (lambda: fit(data=(X, Y, Y * 0 + 1e38)), "weight / weight.max()", lambda: fit(data=(X, Y, np.ones(12)))),
    (lambda: fit(data=(X, Y, X, Y)), "data=(x, y), validation=(x_validation, y_validation)",
     lambda: fit(data=(X, Y), validation=(X, Y))),
    (lambda: fit(init="folder"), "init=fl.load_run(folder), for one on disk", lambda: fit(init=on_disk())),
    (lambda: fit(init=diverged()), "fl.fit(run.model, data), which begins anew from its last good parameters",
     lambda: fit(diverged().model)),
    (lambda: fit(init=fit(ensemble=2)), "fl.fit(run.model, data), which begins anew from its parameters",
     lambda: fit(fit(ensemble=2).model)),
    (lambda: fit(init=fit(), optimizer="momentum"), "leaving optimizer= out, which goes on with that of the run",
     lambda: fit(init=fit())),
    (lambda: fit(fit().model.marked("bias", kind="frozen"), init=fit()),
     "fl.fit(model, data), which begins anew from the parameters of this model",
     lambda: fit(fit().model.marked("bias", kind="frozen"))),
    (lambda: fit(init=fit(optimizer=fl.optim.LBFGS()), optimizer=fl.optim.LBFGS(memory=3)),
     "fl.fit(run.model, data), which begins anew", lambda: fit(fit().model, optimizer=fl.optim.LBFGS(memory=3))),
    (lambda: fit(init=fit(nn.Dense(1, bias=False))), "None in its place, for the model of the run",
     lambda: fl.fit(None, (X, Y), init=fit(), epochs=1)),
    (lambda: fit(gauges=True, ensemble=2), "fl.race with a variant for each seed",
     lambda: fl.race(nn.Dense(1), (X, Y), [{"seed": 1}], loss="squared_error", epochs=1, gauges=True)),
    (lambda: fit(init=fit(), ensemble=2), "ensemble=None", lambda: fit(init=fit(), ensemble=None)),
    (lambda: fit(data={"x": X, "y": Y, "age": X}), "several inputs in a dict of their own",
     lambda: fit(nn.Sequential(joined, nn.Dense(1)), {"x": {"age": X, "image": X}, "y": Y})),
    (lambda: fit(data={"x": {"a": X, "b": X}, "y": Y}), "a layer before it that joins them",
     lambda: fit(nn.Sequential(lambda x: np.concatenate([x["a"], x["b"]], axis=1), nn.Dense(1)),
                 {"x": {"a": X, "b": X}, "y": Y})),
    (lambda: fit(data=(X, Y, np.abs(Y)[:, None])), "weight.reshape(-1)", lambda: fit(data=(X, Y, np.abs(Y)))),
    (lambda: fit(data=X), "(x, y), x an array of rows and y their targets", lambda: fit()),
    (lambda: fit(data="rows.csv"), "`fallline train FILE`", lambda: fit()),
    (lambda: fit(nn.ReLU(), (X, X)), "nn.Dense(1) in it", lambda: fit(nn.Sequential(nn.ReLU(), nn.Dense(1)))),
    (lambda: fit(Fickle()), "context.keep wherever context.training is true, for batches of two rows and more",
     lambda: fit(Steady())),
    (lambda: nn.Model.init(5, 3), "nn.mlp((64,), 10)", lambda: nn.Model.init(nn.mlp((64,), 10), 3)),
    (lambda: nn.Model.init(nn.ReLU, 3), "nn.mlp((64,), 10)", lambda: nn.Model.init(nn.mlp((64,), 10), 3)),
    (lambda: fit(nn.Sequential(nn.Tanh(), nn.Flatten(), lambda x: x[:, None]), (X, Y)), "nn.Dense",
     lambda: fit(nn.Sequential(nn.Tanh(), nn.Flatten(), nn.Dense(1)), (X, Y))),
    (lambda: nn.Model.init(nn.Dense(2), (2, 5)), "nn.Flatten() before it",
     lambda: nn.Model.init(nn.Sequential(nn.Flatten(), nn.Dense(2)), (2, 5))),
    (lambda: fit(data=(Y, Y)), "x.reshape(-1, 1), for one feature", lambda: fit(data=(Y.reshape(-1, 1), Y))),
    (lambda: nn.Sequential(nn.Dense), "Dense(...)", lambda: nn.Sequential(nn.Dense(3))),
    (lambda: nn.Sequential([nn.Dense(3)]), "Sequential(*layers)", lambda: nn.Sequential(*[nn.Dense(3)])),
    (lambda: nn.Sequential(nn.Softmax(), nn.Dense(3)), "nn.Tanh() or nn.ReLU()",
     lambda: nn.Sequential(nn.Tanh(), nn.Dense(3))),
    (lambda: nn.Sequential(nn.Dense(1), nn.Huber()), "loss=Huber()", lambda: fit(loss=nn.Huber())),
    (lambda: nn.Sequential(model(), nn.Softmax()), "model.network",
     lambda: nn.Sequential(model().network, nn.Softmax())),
    (lambda: nn.Ensemble((model(), model())), "nn.averaged(models)", lambda: nn.averaged([model(), model()])),
    (lambda: fit(nn.Sequential(lambda x: np.sum(x, axis=0), nn.Dense(1))), "a function that keeps the first axis",
     lambda: fit(nn.Sequential(lambda x: x - 1, nn.Dense(1)))),
    (lambda: fit(nn.Sequential(lambda x: x - np.mean(x, axis=0), nn.Dense(1))),
     "mean = x.mean(axis=0), and in the layer x - mean",
     lambda: (fit(nn.Sequential(lambda x: x - np.mean(x, axis=-1, keepdims=True), nn.Dense(1))),
              fit(nn.Sequential(partial(np.subtract, X.mean(axis=0)), nn.Dense(1))))),
    (lambda: fit(nn.Residual(nn.Dense(2))), "nn.Dense(3) as its last layer",
     lambda: fit(nn.Sequential(nn.Residual(nn.Dense(2), nn.Dense(3)), nn.Dense(1)))),
    (lambda: fit(nn.Dense(2)), "nn.Dense(1) as its last layer", lambda: fit(nn.Dense(1))),
    (lambda: fit(nn.Dense(2), (X, CODES), "cross_entropy"), "nn.Dense(3) as its last layer",
     lambda: fit(nn.Dense(3), (X, CODES), "cross_entropy")),
    (lambda: fit(nn.Dense(2), (X, np.eye(3)[CODES]), "cross_entropy"), "nn.Dense(3) as its last layer",
     lambda: fit(nn.Dense(3), (X, np.eye(3)[CODES]), "cross_entropy")),
    (lambda: fit(nn.Dense(3), (X, np.ones((12, 3))), "cross_entropy"), "one column of labels",
     lambda: fit(nn.Dense(3), (X, CODES), "cross_entropy")),
    (lambda: fit(nn.Dense(3), (X, np.stack([NAMES] * 2, 1)), "cross_entropy"), "one column of labels",
     lambda: fit(nn.Dense(3), (X, NAMES), "cross_entropy")),
    (lambda: fit(data=(X, CODES), loss="hinge"), "loss='cross_entropy'",
     lambda: fit(nn.Dense(3), (X, CODES), "cross_entropy")),
    (lambda: fit(nn.Dense(2), (X, CODES > 0), "hinge"), "nn.Dense(1) as its last layer, or loss='cross_entropy'",
     lambda: (fit(nn.Dense(1), (X, CODES > 0), "hinge"), fit(nn.Dense(2), (X, CODES > 0), "cross_entropy"))),
    (lambda: fit(nn.Dense(3), (X, Y), "cross_entropy"), "loss='squared_error'", lambda: fit()),
    (lambda: fit(nn.Dense(3), (X, NAMES)), "loss='cross_entropy'",
     lambda: fit(nn.Dense(3), (X, NAMES), "cross_entropy")),
    (lambda: fit(nn.Dense(3), (X, np.array([1, "a"] * 6, dtype=object)), "cross_entropy"), "y.astype(str)",
     lambda: fit(nn.Dense(2), (X, np.array([1, "a"] * 6, dtype=object).astype(str)), "cross_entropy")),
    (lambda: fit(loss=lambda o, y: np.square(o - y)), "np.mean(...)", lambda: fit(loss=lambda o, y: np.mean(o - y))),
    (lambda: Entries(True).weighted(X, X, Y), "each(self, output, y) instead of function",
     lambda: nn.Hinge().weighted(X, X, np.abs(Y))),
    (lambda: losses.get(mean_difference).weighted(X, X, Y), "np.mean(..., axis=1); its mean is then the loss",
     lambda: losses.get(lambda o, y: np.mean(o - y, axis=1)).weighted(X, X, np.abs(Y))),
    (lambda: whole(np.array([300])), "x.astype(float), for numbers of any size", lambda: whole(np.array([300.0]))),
    (lambda: fit(loss=Entries()), "np.mean(...) around it", lambda: fit(loss=Entries(True))),
    (lambda: fit(from_file()), "loss=your_function", lambda: fit(from_file(), loss=mean_difference)),
    (lambda: fit(nn.Sequential(nn.Dense(4), lambda x: np.reshape(x, (x.shape[0], 2, 2)))),
     "nn.Flatten() and nn.Dense(K) at its end",
     lambda: fit(nn.Sequential(nn.Dense(4), lambda x: np.reshape(x, (x.shape[0], 2, 2)), nn.Flatten(), nn.Dense(1)))),
    (lambda: broken().predict(X), "np.isfinite(model.theta).all(), to check the model",
     lambda: (np.isfinite(broken().theta).all() or model("cross_entropy", 3)).predict(X)),
    (lambda: fit(loss=lambda o, y: np.mean(o[:, 0] - y)), "output - y, as y is a column",
     lambda: (fit(loss=lambda o, y: np.mean(o - y)), fit(loss=lambda o, y: np.mean(o[:, 0] - y[:, 0])))),
    (lambda: fit(nn.Dense(12), loss=lambda o, y: np.mean(o - y), batch_size=None), "y[:, None] with output",
     lambda: fit(nn.Dense(12), loss=lambda o, y: np.mean(o - y[:, None]), batch_size=None)),
    (lambda: fit(data=(X * 1e300, Y)), 'dtype="float64", or smaller units',
     lambda: (fit(data=(X * 1e20, Y), dtype="float64"), fit(data=(X, Y)))),
    (lambda: fit(data=(np.where(X > 0, np.nan, X), Y)), "leave those rows out, or fill them in",
     lambda: fit(data=(np.nan_to_num(np.where(X > 0, np.nan, X)), Y))),
    (lambda: model().between("standard", None), "nn.standardise(x)", lambda: model().between(nn.standardise(X), None)),
    (lambda: fit(encoder="standard"), "encoder=nn.standardise(x)", lambda: fit(encoder=nn.standardise(X))),
    (lambda: fit(data=([[1, 2], [3]], Y)), "rows of equal length", lambda: fit(data=([[1, 2], [3, 4]], [0.0, 1]))),
    (lambda: fit(data=(types.SimpleNamespace(toarray=lambda: X), Y)), ".toarray()", lambda: fit(data=(X, Y))),
    (lambda: fit(data=([["a", 1]] * 12, Y)), "leave that column out, or turn its values into numbers",
     lambda: fit(data=([[1]] * 12, Y))),
    (lambda: fit(data=(np.array([[10**400]], dtype=object), [1.0])), "smaller units",
     lambda: fit(data=([[10.0]], [1.0]))),
    (lambda: model("poisson").predict_proba(X), "predict(x), or training with loss='cross_entropy'",
     lambda: (model("poisson").predict(X), fit(nn.Dense(3), (X, CODES), "cross_entropy").model.predict_proba(X))),
    (lambda: model().predict(X[0]), "x[None], for a single row", lambda: model().predict(X[0][None])),
    (lambda: model().predict(X[0].tolist()), "[x], for a single row", lambda: model().predict([X[0].tolist()])),
    (lambda: nn.Model.init(nn.Sequential(nn.Flatten(), nn.Dense(1)), (2, 5)).predict(IMAGES.reshape(4, 10)),
     "x.reshape(-1, 2, 5)",
     lambda: nn.Model.init(nn.Sequential(nn.Flatten(), nn.Dense(1)), (2, 5)).predict(
         IMAGES.reshape(4, 10).reshape(-1, 2, 5))),
    (lambda: fit(data=(X[:1], Y[:1]), validation=0.2), "validation=None",
     lambda: fit(data=(X[:1], Y[:1]), validation=None)),
    (lambda: fit(nn.Dense(12), (X, np.arange(12)), "cross_entropy", validation=0.2), "validation=None",
     lambda: fit(nn.Dense(12), (X, np.arange(12)), "cross_entropy", validation=None)),
    (lambda: fl.plan(nn.Dense(1), (12, 3), loss="squared_error", validation=(X, Y)), "validation=0.2",
     lambda: fl.plan(nn.Dense(1), (12, 3), loss="squared_error", validation=0.2)),
    (lambda: fl.plan(nn.Dense(1), (12, 3), loss=lambda o, y: np.mean(o - y)), "data=(x, y)",
     lambda: fl.plan(nn.Dense(1), (X, Y), loss=lambda o, y: np.mean(o - y))),
    (lambda: fl.optim.LBFGS(clip_norm=1.0), "lbfgs without clip_norm", fl.optim.LBFGS),
    (lambda: fl.optim.LBFGS(fl.optim.Cosine(0.1)), "learning_rate=1.0", lambda: fl.optim.LBFGS(learning_rate=1.0)),
    (lambda: fl.optim.LBFGS().update(np.ones(2), fl.optim.LBFGS().init(np.ones(2)), np.ones(2)),
     "fl.fit(model, data, optimizer=...), or its minimise(fl.value_and_grad(loss), params)",
     lambda: (fit(optimizer=fl.optim.LBFGS()),
              fl.optim.LBFGS().minimise(fl.value_and_grad(lambda w: np.sum(w * w)), np.ones(2)))),
    (lambda: fit(optimizer="lbfgs", batch_size=4), 'batch_size="full"; or optimizer="adam"',
     lambda: (fit(optimizer="lbfgs", batch_size="full"), fit(optimizer="adam", batch_size=4))),
    (lambda: fit(nn.Sequential(nn.Dropout(0.5), nn.Dense(1)), optimizer="lbfgs"), "without layers such as Dropout",
     lambda: fit(nn.Dense(1), optimizer="lbfgs")),
    (lambda: fit(measure="gradient norm"), 'measure={"gradient norm": fl.measure.norm("gradient", "*.weight")}',
     lambda: fit(measure={"gradient norm": fl.measure.norm("gradient", "weight")})),
    (lambda: fit(measure=[fl.measure.norm("gradient")] * 2), "a dict, with a name for each",
     lambda: fit(measure={"a": fl.measure.norm("gradient"), "b": fl.measure.norm("gradient")})),
    (lambda: fit(optimizer="lbfgs", measure=fl.measure.norm("update")), 'fl.measure.value("parameter")',
     lambda: fit(optimizer="lbfgs", measure=fl.measure.value("parameter"))),
    (lambda: fit(optimizer=StepsOnly()), "return point, state", lambda: fit(optimizer=fl.optim.LBFGS())),
    (lambda: fl.fit(nn.Dense(1), batches, loss="squared_error"), "epochs=10",
     lambda: fl.fit(nn.Dense(1), batches, loss="squared_error", epochs=10)),
    (lambda: fit(data=batches, optimizer=fl.optim.Adam(fl.optim.Cosine(0.1))),
     "a schedule that is given its number of steps, or an iterable with an attribute `rows`",
     lambda: (fit(data=batches, optimizer=fl.optim.Adam(fl.optim.Cosine(0.1, steps=3))),
              fit(data=Counted(), optimizer=fl.optim.Adam(fl.optim.Cosine(0.1))))),
    (lambda: fit(data=batches, batch_size="full"), "batch_size=32", lambda: fit(data=batches, batch_size=32)),
    (lambda: fit(data=batches, optimizer=fl.optim.LBFGS()), 'arrays; or optimizer="adam", for steps from mini-batches',
     lambda: (fit(optimizer=fl.optim.LBFGS()), fit(data=batches, optimizer="adam"))),
    (lambda: fit(nn.Dense(3), lambda: iter([(X, NAMES)]), "cross_entropy"),
     "whole numbers from 0 on, or decoder=nn.Labels(...), which names the classes",
     lambda: (fit(nn.Dense(3), lambda: iter([(X, CODES)]), "cross_entropy"),
              fit(nn.Dense(3), lambda: iter([(X, NAMES)]), "cross_entropy", decoder=nn.Labels("y", ("a", "b", "c"))))),
    (lambda: fl.plan(nn.Dense(1), batches(), loss="squared_error"), "a function that makes it",
     lambda: fl.plan(nn.Dense(1), lambda: batches(), loss="squared_error")),
    (lambda: fit(nn.Dense(3), Elsewhere(), "cross_entropy", validation=0.25),
     "y[:] in memory, or validation=(x, y), or row numbers",
     lambda: (fit(nn.Dense(3), (X, CODES), "cross_entropy", validation=0.25),
              fit(nn.Dense(3), Elsewhere(), "cross_entropy", validation=(X, CODES)),
              fit(nn.Dense(3), Elsewhere(), "cross_entropy", validation=np.arange(3)))),
    (lambda: fl.optim.Cosine(0.1)(3), ".resolve(total_steps)", lambda: fl.optim.Cosine(0.1).resolve(10)(3)),
    (lambda: model().marked("*", kind="kept"), "context.keep(params", lambda: fit([nn.BatchNorm(), nn.Dense(1)])),
    (lambda: fit([Noisy(), nn.Dense(1)]), "apply(self, params, x, context), with context.training",
     lambda: fit([nn.Dropout(), nn.Dense(1)])),
    (lambda: two_members(resume=True), "overwrite=True", lambda: two_members(overwrite=True)),
    (lambda: fl.explain(nn.Dense(2), X[0], [0.0, 1], weight="weight[0,9]"), "weight[2,1], the last one",
     lambda: fl.explain(nn.Dense(2), X[0], [0.0, 1], weight="weight[2,1]")),
    (lambda: fl.explain(nn.Model.init(nn.Sequential(lambda x: x * 1.0, nn.Dense(1)), 2, input_dtype="int64"), [1, 2],
                        [0.5], to="x[0]"), "the parameter that they choose from, one of 1.bias",
     lambda: fl.explain(nn.Model.init(nn.Sequential(lambda x: x * 1.0, nn.Dense(1)), 2, input_dtype="int64"), [1, 2],
                        [0.5], to="1.bias")),
    (lambda: fl.explain(nn.mlp((30, 30, 30), 1, "tanh"), X[0], [0.5], to="x[0]", paths="all"),
     "paths=20, the strongest",
     lambda: fl.explain(nn.mlp((30, 30, 30), 1, "tanh"), X[0], [0.5], to="x[0]", paths=20)),
    (lambda: fl.explain(nn.mlp((100, 100), 1), np.ones((7000, 3)), np.ones(7000), paths=2),
     "fewer rows, or a weight of a later layer; paths=None leaves them out",
     lambda: (fl.explain(nn.mlp((100, 100), 1), np.ones((9, 3)), np.ones(9), paths=2),
              fl.explain(nn.mlp((100, 100), 1), np.ones((7000, 3)), np.ones(7000), weight="4.weight", paths=2),
              fl.explain(nn.mlp((100, 100), 1), np.ones((7000, 3)), np.ones(7000)))),
    (lambda: fl.explain(fit(), X[0], Y[0], optimizer=0.1), "optimizer=fl.optim.GradientDescent(0.1)",
     lambda: fl.explain(fit(), X[0], Y[0], optimizer=fl.optim.GradientDescent(0.1))),
    (lambda: fl.drawing(nn.Dense(1)), "fl.drawing(fl.nn.Model.init(network, 4))",
     lambda: fl.drawing(nn.Model.init(nn.Dense(1), 4))),
    (lambda: replace(fit(), job=None).profile(), "run.profile((x, y))",
     lambda: replace(fit(), job=None).profile((X, Y), seconds=0.01)),
    (lambda: to_config(Unsaved()), "@saved, from fallline.config, above the class Unsaved",
     lambda: to_config(SavedLayer())),
    (lambda: to_config(nn.Function(np.sin)), "a dataclass of your own", lambda: to_config(nn.Sequential(SavedLayer()))),
    (lambda: to_config(np.array([np.inf])), "finite real numbers", lambda: to_config(np.array([1.0]))),
]  # fmt: skip


def refused(bad: Callable[[], Any]) -> str:
    with warnings.catch_warnings(), pytest.raises(FalllineError) as raised:
        warnings.simplefilter("ignore")
        bad()
    return str(raised.value)


@pytest.mark.parametrize("row", [*TRACED, *LOOPED, *TRAINED], ids=lambda row: row[1][:50])
def test_what_a_hint_says_works(row: tuple[Callable[[], Any], str, Callable[[], Any]]) -> None:
    bad, hint, good = row
    told = refused(bad)
    assert "try: " in told and hint in told.partition("try: ")[2], told
    good()


# Hints that other tests follow, or that speak of a disk, of source files of kernels, or of what nobody can try here.
ELSEWHERE = {
    "committee/entry.py": "tests/committee/test_timed.py",
    "insight/opened.py": "tests/insight/test_opened.py",
    "insight/gauge_reader.py": "tests/gauges/test_reader.py",
    "diagnosis": "tests/diagnosis: each verdict is tried on a run that has it",
    "gauges": "tests/gauges/test_choice.py",
    "runs/gauge_history.py": "tests/gauges/test_choice.py",
    "graph/op.py": "tests/passes/test_batch.py",
    "curvature": "tests/curvature/test_eigen.py",
    "exports": "tests/exports",
    "plots": "tests/plots",
    "sklearn": "tests/sklearn",
    "insight/run_curvature.py": "tests/insight/test_landscape.py, tests/insight/test_run_curvature.py",
    "insight/landscape.py": "tests/insight/test_landscape.py",
    "insight/between_runs.py": "tests/insight/test_landscape.py",
    "insight/directions.py": "tests/insight/test_landscape.py",
    "insight/trajectory.py": "tests/insight/test_landscape.py",
    "insight/attribution.py": "tests/insight/test_tables.py",
    "insight/intervals.py": "tests/insight/test_intervals.py",
    "report": "tests/report/test_whole_page.py",
    "exercises": "tests/exercises",
    "cli": "tests/cli run the command line's advice",
    "config.py": "tests/test_config.py",
    "runs/events.py": "tests/training/test_events.py",
    "jobs/validation.py": "tests/training/test_metric.py",
    "runs/kept.py": "tests/training/test_folder.py",
    "nn/context.py": "tests/nn/test_context.py",
    "testing/layers.py": "tests/nn/test_table.py",
    "nn/class_metrics.py": "tests/nn/test_metric.py",
    "nn/measured.py": "tests/nn/test_metric.py",
    "nn/metric.py": "tests/nn/test_metric.py",
    "table.py": "tests/test_table.py",
    "data/parquet.py": "tests/data/test_parquet.py",
    "data/target_column.py": "tests/data/test_target.py",
    "data/reading.py": "tests/data/test_files.py",
    "data/several.py": "tests/data/test_files.py",
    "data/json_lines.py": "tests/data/test_files.py",
    "data/understood.py": "tests/data/test_understood.py",
    "data/understand.py": "tests/data/test_understand.py",
    "data/raw_bytes.py": "tests/data/test_raw_bytes.py",
    "data/dialect.py": "tests/data/test_bank.py",
    "data/records.py": "tests/data/test_bank.py",
    "data/delimited.py": "tests/data/test_delimited.py",
    "data/header.py": "tests/data/test_bank.py",
    "data/utf8.py": "tests/data/test_delimited.py",
    "data/piece.py": "tests/data/test_files.py",
    "data/spool.py": "tests/data/test_spool.py",
    "data/files.py": "tests/data/test_files.py",
    "data/columnar.py": "tests/data/test_files.py",
    "runs/folder.py": "tests/training/test_folder.py",
    "runs/disk.py": "tests/training/test_folder.py",
    "runs/model_file.py": "tests/training/test_folder.py",
    "training/training.py": "tests/training/test_divergence.py and test_disk.py",
    "experiments/variants.py": "tests/training/test_race.py",
    "feeds/stream.py": "tests/training/test_window.py and test_unread.py",
    "jobs/streamed.py": "tests/training/test_unread.py",
    "runs/history.py": "tests/training/test_run_history.py",
    "training/run.py": "tests/training/test_length.py, and run.profile((x, y)) above",
    "training/closed_over.py": "docs/noise.md, which the tests run",
    "program/kernels": "tests/program/kernels",
    "bench": "tests/bench",
}


def fragments(node: ast.expr) -> list[str]:
    """The constant pieces of a hint, without what is filled in."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return [piece for text in texts for piece in text.split("\n") if len(piece) > 3]


def hints_of(source: Path) -> dict[int, list[str]]:
    """Line -> the constant pieces after `try: ` in a text, and in the second argument of `refuse`."""
    found: dict[int, list[str]] = {}
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "refuse" and len(node.args) > 1:
            found[node.lineno] = fragments(node.args[1])
        if isinstance(node, ast.JoinedStr | ast.Constant):
            pieces = fragments(node) if isinstance(node, ast.JoinedStr) or isinstance(node.value, str) else []
            after = [i for i, piece in enumerate(pieces) if "try: " in piece]
            if after and not ast.unparse(node).startswith(('"""', "'''")):
                tail = [pieces[after[0]].partition("try: ")[2], *pieces[after[0] + 1 :]]
                found[node.lineno] = [piece for piece in tail if len(piece) > 3]
    return found


def test_every_hint_is_tried() -> None:
    told = "\n".join(refused(bad) for bad, _, _ in [*TRACED, *LOOPED, *TRAINED])
    missing = []
    for source in sorted(SOURCES.rglob("*.py")):
        name = source.relative_to(SOURCES).as_posix()
        if any(name == place or name.startswith(f"{place}/") for place in ELSEWHERE):
            continue
        for line, pieces in hints_of(source).items():
            if pieces and not any(piece in told for piece in pieces):
                missing.append(f"{name}:{line}: {pieces}")
    assert not missing, "\n".join(["give each a row that runs it, or the test that does to ELSEWHERE:", *missing])
