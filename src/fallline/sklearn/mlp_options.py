"""The arguments of the MLP estimators, each with its range, and the optimizer and the rule for stopping they stand for.

One declaration: the constructor, scikit-learn's checks and the docs read these fields. Knows no data and no training.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Options, StrOptions

from fallline.jobs.stopping import NEVER, EarlyStopping
from fallline.nn import ACTIVATIONS
from fallline.nn.activation import Activation
from fallline.nn.loss import Loss
from fallline.optim import (
    LBFGS,
    MINIMISERS,
    OPTIMIZERS,
    SCHEDULES,
    Adam,
    InversePower,
    Minimiser,
    Momentum,
    Nesterov,
    Optimizer,
    Schedule,
    get,
)
from fallline.optim import schedule as schedules
from fallline.ranges import option, options
from fallline.sklearn.constraints import constraints_of
from fallline.sklearn.networks import ACTIVATIONS_HERE, NORMALIZATIONS

SOLVERS = ("adam", "lbfgs", "sgd")
RATES = ("constant", "invscaling", "adaptive")
# The constants of scikit-learn's solvers: of "adaptive", and of the L-BFGS of SciPy that it calls.
FALL, LOWEST_RATE, LEAST_FALL = 0.2, 1e-6, 1e7 * float(np.finfo(np.float64).eps)


@dataclass(eq=False, repr=False, kw_only=True)
class MLPOptions:
    """The arguments that both estimators have, after the widths of the layers and the activation.

    Those up to max_fun are scikit-learn's, in its order; what follows is beyond it.
    """

    solver: Any = "adam"
    alpha: float = option(1e-4, "strength of the L2 penalty on weights, shared out over the rows", at_least=0)
    batch_size: int | str = option("auto", "rows of a step; auto: 200 or all", at_least=1, whole=True, words=("auto",))
    learning_rate: Any = "constant"
    learning_rate_init: float = option(1e-3, "the first learning rate", above=0)
    power_t: float = option(0.5, "power of the time in invscaling", at_least=0)
    max_iter: int = option(200, "epochs at most; of lbfgs, steps", at_least=1, whole=True)
    shuffle: bool = option(True, "visit rows in another order each epoch", flag=True)
    random_state: Any = None
    tol: float = option(1e-4, "improvement that counts; of lbfgs, the largest element of the gradient", at_least=0)
    verbose: Any = False
    warm_start: bool = option(False, "fit goes on from the parameters of the last fit", flag=True)
    momentum: float = option(0.9, "share of the velocity kept, of sgd", at_least=0, at_most=1)
    nesterovs_momentum: bool = option(True, "look ahead along the velocity, of sgd", flag=True)
    early_stopping: bool = option(False, "stop by a score on rows for validation, and end with the best", flag=True)
    validation_fraction: float = option(0.1, "share of the rows for validation", at_least=0, below=1)
    beta_1: float = option(0.9, "share of the first moment kept, of adam", at_least=0, below=1)
    beta_2: float = option(0.999, "share of the second moment kept, of adam", at_least=0, below=1)
    epsilon: float = option(1e-8, "keeps the quotient finite, of adam", above=0)
    n_iter_no_change: float = option(10, "epochs in a row without improvement to wait for", at_least=1, whole=True)
    max_fun: int = option(15000, "evaluations of the loss at most, of lbfgs", at_least=1, whole=True)
    dropout: Any = option(0.0, "share of hidden values left out while training", at_least=0, below=1)
    normalization: str | None = option(
        None, "of values before each activation", number=False, words=tuple(NORMALIZATIONS), optional=True
    )
    scoring: Any = None
    metrics: Any = None
    restore_best: bool | None = option(
        None, "end with the best epoch; None: if stopped early", flag=True, optional=True
    )
    events: Any = None
    n_jobs: int | None = option(None, "cores; None: all, or a joblib worker's share", whole=True, optional=True)
    dtype: str = option("auto", "of the arithmetic", number=False, words=("auto", "float32", "float64"))

    _forms: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like"],
        "activation": [
            StrOptions({*ACTIVATIONS, *ACTIVATIONS_HERE} - {"softmax"}), Activation, callable, list, tuple,
        ],
        "solver": [StrOptions({*SOLVERS, *OPTIMIZERS, *MINIMISERS}), Optimizer],
        "learning_rate": [StrOptions({*RATES, *SCHEDULES}), Schedule, callable],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "n_iter_no_change": [Options(float, {np.inf})],
        "dropout": [list, tuple],
        "scoring": [str, callable, None],
        "metrics": [str, list, tuple, dict, callable, None],
        "loss": [Loss, callable],
        "class_weight": [dict],
        "quantiles": ["array-like"],
        "events": [callable, None],
    }  # fmt: skip

    @property
    def _is_minimised(self) -> bool:
        """Whether the solver is a minimiser, which looks at all rows in every step."""
        return isinstance(self.solver, Minimiser) or (isinstance(self.solver, str) and self.solver in MINIMISERS)

    def _optimizer(self, rows: int, steps_per_epoch: int, rate: float | None = None) -> Optimizer:
        """The optimizer of the solver, with the schedule of `learning_rate`.

        rows, steps_per_epoch: of an epoch. rate: a constant learning rate instead of the schedule.
        """
        made = self._solver()
        if isinstance(made, Minimiser):
            return made
        # As in scikit-learn, adam heeds none of the three rates of sgd.
        if rate is None and self.solver == "adam" and self.learning_rate in RATES:
            return made
        if rate is not None:
            return replace(made, learning_rate=rate)
        if self.learning_rate == "invscaling":
            first = made.learning_rate if isinstance(made.learning_rate, int | float) else self.learning_rate_init
            fall = InversePower(first, power=self.power_t, every=steps_per_epoch, growth=float(rows))
            return replace(made, learning_rate=fall)
        if isinstance(self.learning_rate, str) and self.learning_rate not in RATES:
            return replace(made, learning_rate=schedules.get(self.learning_rate, learning_rate=made.learning_rate))
        return made if self.learning_rate in RATES else replace(made, learning_rate=self.learning_rate)

    def _solver(self) -> Optimizer:
        rate = self.learning_rate_init
        if isinstance(self.solver, Optimizer):
            return self.solver
        if self.solver == "sgd":
            kind = Nesterov if self.nesterovs_momentum else Momentum
            return kind(rate, momentum=self.momentum, velocity="steps")
        if self.solver == "adam":
            return Adam(rate, beta1=self.beta_1, beta2=self.beta_2, eps=self.epsilon, eps_beside="raw")
        if self.solver == "lbfgs":
            # The evaluation where it starts counts too, as in SciPy.
            return LBFGS(tolerance=self.tol, least_fall=LEAST_FALL, budget=max(1, int(self.max_fun) - 1))
        return get(self.solver, learning_rate=rate) if self.solver in OPTIMIZERS else get(self.solver)

    @property
    def _is_adaptive(self) -> bool:
        return isinstance(self.learning_rate, str) and self.learning_rate == "adaptive" and self.solver != "adam"

    def _rule(self, watch: str | None) -> EarlyStopping | None:
        """The rule for stopping. watch: the metric; None for the training loss."""
        if self._is_minimised:
            return EarlyStopping(NEVER, watch=watch, restore_best=bool(self.restore_best)) if watch else None
        # scikit-learn stops once more than n_iter_no_change epochs in a row have brought nothing.
        patience = NEVER if math.isinf(self.n_iter_no_change) else int(self.n_iter_no_change) + 1
        return EarlyStopping(
            patience,
            min_delta=float(self.tol),
            restore_best=self.early_stopping if self.restore_best is None else bool(self.restore_best),
            watch=watch or "training_loss",
            rate_factor=FALL if self._is_adaptive else None,
            lowest_rate=LOWEST_RATE,
        )


def told(cls: type) -> str:
    """A line of documentation for each argument that declares a range."""
    lines = (f"        {name}={default!r}: {limits.doc}; {limits}" for name, default, limits in options(cls))
    return "\n".join(["    The arguments with a range:", *lines, ""])


def parameter_constraints(cls: type) -> dict[str, list[Any]]:
    """scikit-learn's constraints of an estimator that has these options."""
    names = {one.name for one in fields(cls)}
    return constraints_of(cls, {name: forms for name, forms in MLPOptions._forms.items() if name in names})
