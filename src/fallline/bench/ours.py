"""Our own competitor: the public way to train, from the event that says all is built to the last one.

The one file of the benchmark that knows the library. Its imports happen late, so that the table of peers loads light.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.bench.cases import LEARNING_RATE, Array, Case, Problem


def network(case: Case) -> Any:
    """The case's layers, as a user writes them."""
    import fallline as fl

    between = {"relu": fl.nn.ReLU, "sigmoid": fl.nn.Sigmoid}[case.activation]
    layers = [layer for width in case.sizes[1:] for layer in (fl.nn.Dense(width), between())]
    return fl.nn.Sequential(*layers[:-1])


def optimizer(case: Case) -> Any:
    import fallline as fl

    return {"adam": fl.optim.Adam, "gradient_descent": fl.optim.GradientDescent}[case.optimizer](LEARNING_RATE)


class Ours:
    """Fallline on one thread: `fl.train`, its events read to the end."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def start(self, steps: int) -> None:
        import fallline as fl

        case = self.problem.case
        model = fl.nn.Model.init(network(case), case.sizes[0], loss=case.loss)
        for (_, ours), given in zip(fl.tree.items(model.params), self.flat_params()):
            ours[...] = given
        epochs, rows = self.problem.whole_epochs(steps)
        self.events = fl.train(
            model,
            (self.problem.x[:rows], self.problem.y[:rows]),
            loss=case.loss,
            optimizer=optimizer(case),
            epochs=epochs,
            batch_size=case.batch,
            shuffle=False,
        )
        next(self.events)  # TrainingStarted: traced, planned and lowered; the peers' compiling is not timed either

    def flat_params(self) -> list[Array]:
        """The first parameters in the order of their paths: 0.bias, 0.weight, 2.bias ..."""
        return [array for weight, bias in self.problem.params for array in (bias, weight)]

    def run(self) -> Array:
        return np.array([event.loss for event in self.events if type(event).__name__ == "EpochEnded"])
