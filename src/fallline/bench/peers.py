"""The competitors: each library's training of a dense network as its users would write it to be fast.

Imports each library only inside its class, which is only made where the library is installed.
A competitor is built from a problem and a number of threads; `start(steps)` goes back to the first parameters, and
`run()` trains that many steps and returns the loss of each (or, where its library keeps no more, of each epoch). Only
`run` is timed, and the timed code is the checked code.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fallline.bench.cases import BETA1, BETA2, EPS, Array, Problem
from fallline.bench.ours import Ours


class Competitor(Protocol):
    """The interface that the worker drives."""

    def start(self, steps: int) -> None: ...

    def run(self) -> Array: ...


class TorchEager:
    """PyTorch: `nn.Sequential`, a fused optimizer, batches that are views of the data."""

    def __init__(self, problem: Problem, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.torch, self.problem, self.case = torch, problem, problem.case
        self.x, self.y = (torch.from_numpy(rows).split(self.case.batch) for rows in (problem.x, problem.y))
        self.model = self.network()
        self.loss_of = self.forward

    def network(self) -> Any:
        nn = self.torch.nn
        between = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}[self.case.activation]
        layers: list[Any] = []
        for n, m in pairwise(self.case.sizes):
            layers += [nn.Linear(n, m), between()]
        return nn.Sequential(*layers[:-1])

    def forward(self, x: Any, y: Any) -> Any:
        functional = self.torch.nn.functional
        loss = {"cross_entropy": functional.cross_entropy, "squared_error": functional.mse_loss}[self.case.loss]
        return loss(self.model(x), y)

    def start(self, steps: int) -> None:
        self.steps, torch = steps, self.torch
        with torch.no_grad():
            for layer, (w, b) in zip(self.model[::2], self.problem.params):
                layer.weight.copy_(torch.from_numpy(w.T.copy()))
                layer.bias.copy_(torch.from_numpy(b))
        make = {"adam": torch.optim.Adam, "gradient_descent": torch.optim.SGD}[self.case.optimizer]
        self.optimizer = make(self.model.parameters(), lr=self.case.learning_rate, fused=True)

    def run(self) -> Array:
        losses = []
        for count in self.problem.epochs(self.steps):
            for x, y in zip(self.x[:count], self.y[:count]):
                losses.append(self.step(x, y))
        curve: Array = self.torch.stack(losses).numpy()
        return curve

    def step(self, x: Any, y: Any) -> Any:
        """Train on one batch; returns its loss."""
        loss = self.loss_of(x, y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()


class TorchCompile(TorchEager):
    """PyTorch with network and loss compiled; the backward pass comes compiled with them."""

    def __init__(self, problem: Problem, threads: int) -> None:
        super().__init__(problem, threads)
        # It stops compiling a function that it has compiled for too many networks.
        self.torch.compiler.reset()
        self.loss_of = self.torch.compile(self.forward)


class JaxStep:
    """JAX: one compiled call per step, with the state's buffers given back to it.

    Its threads are those its process was started with: one for each processor it may use, or none by its flags.
    """

    def __init__(self, problem: Problem, threads: int) -> None:
        import jax

        self.jax, self.problem, self.case = jax, problem, problem.case
        self.x, self.y = jax.numpy.asarray(problem.x), jax.numpy.asarray(problem.y)
        self.value_and_grad = jax.value_and_grad(self.loss_of)
        self.compiled = jax.jit(self.step, donate_argnums=0)

    def loss_of(self, params: Any, x: Any, y: Any) -> Any:
        jax, jnp = self.jax, self.jax.numpy
        between = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}[self.case.activation]
        for w, b in params[:-1]:
            x = between(x @ w + b)
        z = x @ params[-1][0] + params[-1][1]
        if self.case.loss == "squared_error":
            return jnp.mean((z - y) ** 2)
        return -jnp.mean(jnp.sum(jax.nn.log_softmax(z) * jax.nn.one_hot(y, z.shape[1]), axis=1))

    def step(self, state: Any, batch: Any) -> Any:
        jnp, tree = self.jax.numpy, self.jax.tree
        params, first, second, count = state
        loss, g = self.value_and_grad(params, *batch)
        if self.case.optimizer == "gradient_descent":
            params = tree.map(lambda p, g: p - self.case.learning_rate * g, params, g)
            return (params, first, second, count), loss
        count = count + 1
        first = tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, first, g)
        second = tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, second, g)
        one, two = 1 - BETA1**count, 1 - BETA2**count
        params = tree.map(
            lambda p, m, v: p - self.case.learning_rate * (m / one) / (jnp.sqrt(v / two) + EPS), params, first, second
        )
        return (params, first, second, count), loss

    def start(self, steps: int) -> None:
        self.steps = steps
        jnp, tree = self.jax.numpy, self.jax.tree
        params = tree.map(jnp.array, [list(layer) for layer in self.problem.params])
        moments = () if self.case.optimizer == "gradient_descent" else params
        zeros = [tree.map(jnp.zeros_like, moments) for _ in range(2)]
        self.state = self.jax.block_until_ready((params, *zeros, jnp.zeros((), jnp.float32)))

    def run(self) -> Array:
        losses, batch = [], self.case.batch
        for count in self.problem.epochs(self.steps):
            for i in range(0, count * batch, batch):
                rows = slice(i, i + batch)
                self.state, loss = self.compiled(self.state, (self.problem.x[rows], self.problem.y[rows]))
                losses.append(loss)
        return np.array(self.jax.device_get(losses))


class JaxScan(JaxStep):
    """JAX with the loop over all steps compiled too: `lax.scan` over the order, rows gathered inside."""

    def __init__(self, problem: Problem, threads: int) -> None:
        super().__init__(problem, threads)
        self.scan = self.jax.jit(self.all_steps, donate_argnums=0)

    def all_steps(self, state: Any, rows: Any, x: Any, y: Any) -> Any:
        return self.jax.lax.scan(lambda s, row: self.step(s, (x[row], y[row])), state, rows)

    def run(self) -> Array:
        case = self.case
        rows = np.resize(np.arange(case.rows).reshape(-1, case.batch), (self.steps, case.batch))
        self.state, losses = self.scan(self.state, rows, self.x, self.y)
        return np.asarray(losses)


class SklearnPartialFit:
    """scikit-learn's MLP, one `partial_fit` per batch. The threads are its BLAS's."""

    def __init__(self, problem: Problem, threads: int) -> None:
        self.problem, self.case = problem, problem.case
        self.x, self.y = problem.x, problem.y
        if self.classifies and self.case.sizes[-1] == 2:
            # With two classes it would train another network, of one logistic output; from class indicators it
            # makes two outputs, and `start` sets softmax over them.
            self.y = np.eye(2, dtype=np.int64)[self.y]

    @property
    def classifies(self) -> bool:
        return self.case.loss == "cross_entropy"

    @property
    def loss_scale(self) -> float:
        """How many times the case's loss its own is, as it steps: it halves squares and sums them over a row."""
        return 1.0 if self.classifies else self.case.sizes[-1] / 2

    def made(self) -> Any:
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        case, scale = self.case, self.loss_scale
        solvers: dict[str, dict[str, Any]] = {
            # It adds epsilon before correcting v for its bias; scaled like this it is ours at the first step, where
            # steps are the learning rate times the gradient's sign and tiny gradients make the difference.
            "adam": {"learning_rate_init": self.case.learning_rate, "epsilon": scale * EPS * float(np.sqrt(1 - BETA2))},
            "gradient_descent": {
                "solver": "sgd",
                "momentum": 0.0,
                "learning_rate_init": self.case.learning_rate / scale,
            },
        }
        return (MLPClassifier if self.classifies else MLPRegressor)(
            hidden_layer_sizes=case.sizes[1:-1],
            activation={"relu": "relu", "sigmoid": "logistic"}[case.activation],
            alpha=0.0,
            beta_1=BETA1,
            beta_2=BETA2,
            batch_size=case.batch,
            shuffle=False,
            max_iter=1,
            n_iter_no_change=1_000_000_000,
            **solvers[case.optimizer],
        )

    def start(self, steps: int) -> None:
        self.steps, self.model = steps, self.made()
        classes = {"classes": np.arange(self.case.sizes[-1])} if self.classifies else {}
        self.model.partial_fit(self.x[: self.case.batch], self.y[: self.case.batch], **classes)
        self.model.coefs_ = [w.copy() for w, _ in self.problem.params]
        self.model.intercepts_ = [b.copy() for _, b in self.problem.params]
        if self.classifies:
            self.model.out_activation_ = "softmax"
        self.model.loss_curve_ = []
        del self.model._optimizer  # it holds the moments and the arrays of the step just taken

    @property
    def curve(self) -> Array:
        """Its loss as the case counts it: it reports half the mean of squares."""
        return np.array(self.model.loss_curve_) * (1.0 if self.classifies else 2.0)

    def run(self) -> Array:
        batch = self.case.batch
        for count in self.problem.epochs(self.steps):
            for i in range(0, count * batch, batch):
                self.model.partial_fit(self.x[i : i + batch], self.y[i : i + batch])
        return self.curve


class SklearnFit(SklearnPartialFit):
    """scikit-learn's MLP, `fit` over whole epochs: its own loop."""

    def run(self) -> Array:
        epochs, rows = self.problem.whole_epochs(self.steps)
        self.model.set_params(warm_start=True, max_iter=epochs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # stopping at max_iter is intended
            self.model.fit(self.x[:rows], self.y[:rows])
        return self.curve


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the table: the module that has to be installed, and how to build it.

    alone_too: may be quicker on one thread than on several; then both are measured, and the quicker one counts.
    always: raced on any number of threads; else only where everybody has one.
    home: the virtual environment below `peers/` of this one that it runs in, where it is an older version of a library
        that is here too; empty for this environment.
    """

    needs: str
    build: Callable[[Problem, int], Competitor]
    alone_too: bool = False
    always: bool = True
    home: str = ""

    @property
    def python(self) -> str:
        """The interpreter that it runs in."""
        if not self.home:
            return sys.executable
        return str(
            Path(sys.prefix, "peers", self.home, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))
        )

    @property
    def is_installed(self) -> bool:
        return Path(self.python).exists() if self.home else importlib.util.find_spec(self.needs) is not None


COMPETITORS: dict[str, Entry] = {
    "Fallline": Entry("fallline", Ours),
    "PyTorch": Entry("torch", TorchEager, alone_too=True),
    "torch.compile": Entry("torch", TorchCompile),
    "JAX step": Entry("jax", JaxStep, always=False),
    "JAX scan": Entry("jax", JaxScan, alone_too=True),
    # The last version before its compiler for CPUs became slower (jax#26145).
    "JAX 0.4.31 scan": Entry("jax", JaxScan, alone_too=True, home="jax-0.4.31"),
    "sklearn fit": Entry("sklearn", SklearnFit),
    "sklearn partial_fit": Entry("sklearn", SklearnPartialFit, always=False),
}
