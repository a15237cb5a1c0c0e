"""Our own competitor: the public function for training, from the event that says all is built to the last one.

The one file of the benchmark that knows the library. Its imports happen late, so that the table of peers loads light.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fallline.bench.cases import Array, Case, Problem


def network(case: Case) -> Any:
    """The case's layers, as a user writes them."""
    import fallline as fl

    between = {"relu": fl.nn.ReLU, "sigmoid": fl.nn.Sigmoid}[case.activation]
    layers = [layer for width in case.sizes[1:] for layer in (fl.nn.Dense(width), between())]
    return fl.nn.Sequential(*layers[:-1])


def settings(case: Case) -> dict[str, Any]:
    """Settings of `fl.train` and `fl.fit` apart from the network and the data."""
    import fallline as fl

    make = {"adam": fl.optim.Adam, "gradient_descent": fl.optim.GradientDescent}[case.optimizer]
    return {"optimizer": make(case.learning_rate), "batch_size": case.batch}


class Ours:
    """Fallline: `fl.train`, its events read to the end."""

    def __init__(self, problem: Problem, threads: int) -> None:
        self.problem, self.threads = problem, threads

    def start(self, steps: int) -> None:
        import fallline as fl

        case = self.problem.case
        model = fl.nn.Model.init(network(case), case.sizes[0], loss=case.loss)
        for place, (weight, bias) in enumerate(self.problem.params):
            layer = model.params[2 * place]  # every other layer is an activation
            layer["weight"][...], layer["bias"][...] = weight, bias
        epochs, rows = self.problem.whole_epochs(steps)
        data = self.problem.x[:rows], self.problem.y[:rows]
        options = {**settings(case), "epochs": epochs, "shuffle": False, "threads": self.threads}
        self.events = fl.train(model, data, **options)
        next(self.events)  # TrainingStarted: traced, planned and lowered; the peers' compiling is not timed either

    def run(self) -> Array:
        from fallline.runs.events import EpochEnded

        return np.array([event.loss for event in self.events if isinstance(event, EpochEnded)])


def fit(problem: Problem) -> Any:
    """One epoch over all rows: from the layers to the finished run."""
    import fallline as fl

    case = problem.case
    return fl.fit(network(case), (problem.x, problem.y), loss=case.loss, epochs=1, **settings(case))


def predictor(sizes: Sequence[int]) -> Callable[[Array], Array]:
    """How a trained classifier of these layers predicts, on one thread, in a process that has trained."""
    import fallline as fl

    x = np.random.default_rng(0).standard_normal((sizes[-1] * 4, sizes[0]), np.float32)
    y = np.arange(len(x)) % sizes[-1]
    model = fl.fit(fl.nn.mlp(sizes[1:-1], sizes[-1]), (x, y), loss="cross_entropy", epochs=1).model
    return lambda x: model.predict(x, threads=1)


def announced_bytes(problem: Problem) -> int:
    """The memory that training announces before it runs."""
    import fallline as fl

    case = problem.case
    return int(fl.plan(network(case), (problem.x, problem.y), loss=case.loss, **settings(case)).total)
