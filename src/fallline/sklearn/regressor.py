"""MLPRegressor: scikit-learn's regressor of that name, trained by `train`, with more arguments."""

from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import xlogy
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from fallline.arrays import Array
from fallline.errors import ArgumentError
from fallline.nn import LOSSES, Model, Objective, Pinball, Poisson, SquaredError
from fallline.nn import loss as losses
from fallline.ranges import option
from fallline.sklearn.fit_callbacks import managed
from fallline.sklearn.mlp_options import parameter_constraints, told
from fallline.sklearn.multilayer import PRECISIONS, SPARSE, Multilayer, Truth, can_partial_fit

SQUARED_ERROR, POISSON, PINBALL = SquaredError.name, Poisson.name, Pinball.name


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, Multilayer):  # type: ignore[misc]  # scikit-learn has no types
    """A multi-layer perceptron that comes near to numbers: scikit-learn's MLPRegressor, faster, and open.

        loss = mean over rows of sum over outputs of (y_hat - y)^2 / 2  +  alpha / (2 n) sum w^2

    Arguments and fitted attributes are those of MLPClassifier, where they have a meaning, and these:
    loss: "squared_error", "poisson" (predictions are exp of the outputs), another name of nn.LOSSES such as "huber", a
        record such as nn.Huber(0.5), or a function(outputs, y) -> scalar in NumPy, y as (N, M).
    quantiles: with loss="pinball", the quantiles to predict, one column each: (0.1, 0.5, 0.9). They come sorted, so
        they never cross.
    scoring: None for R^2; of other losses than the first two, the loss.
    Differences from scikit-learn: for several outputs the loss is the sum over outputs whose gradient its solvers use,
    and not, as there, n_outputs times smaller than that function; weights come out the same, `loss_` n_outputs times as
    large, and the line search of lbfgs gets a gradient that belongs to its loss.
    Errors: ValueError and TypeError as in scikit-learn.
    Example: MLPRegressor("pinball", quantiles=(0.1, 0.9), early_stopping=True).fit(X, y).predict(X)
    Source: Rumelhart, Hinton, Williams 1986, Learning representations by back-propagating errors.
    """

    loss: Any = option(SQUARED_ERROR, "the loss to minimise", number=False, words=tuple(LOSSES))
    hidden_layer_sizes: Any = option((100,), "widths of the hidden layers", at_least=1, whole=True)
    activation: Any = "relu"
    _: KW_ONLY
    quantiles: Any = option(None, "to predict, with loss='pinball'", above=0, below=1, optional=True)

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    @managed
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> "MLPRegressor":  # fmt: skip
        """Train. X: (N, D), dense or sparse. y: (N,) or (N, M).

        sample_weight: (N,). X_val, y_val, sample_weight_val: rows for validation; without them early_stopping takes a
        share of X.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))  # type: ignore[no-any-return]

    @available_if(can_partial_fit)  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "MLPRegressor":
        """One epoch over these rows, going on from the last."""
        return self._fit(X, y, sample_weight, incremental=True)  # type: ignore[no-any-return]

    def _targets(self, X: Any, y: Any, *, reset: bool, role: str) -> tuple[Any, Array]:
        X, y = validate_data(
            self, X, y, accept_sparse=SPARSE, multi_output=True, y_numeric=True, dtype=PRECISIONS, reset=reset
        )
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _truth(self, y: Array) -> Truth:
        y = y.reshape(len(y), -1)
        count = y.shape[1]
        if self.quantiles is not None and (self.loss != PINBALL or count > 1):
            raise ArgumentError(
                f"quantiles belong to loss='pinball' and one target, got loss={self.loss!r} and {count} targets\n"
                "  try: MLPRegressor('pinball', quantiles=(0.1, 0.5, 0.9))"
            )
        if self.loss == SQUARED_ERROR:
            return Truth(y, count, Objective(SquaredError(), factor=count / 2), score="r2")
        if self.loss == POISSON:
            offset = float(np.mean(np.sum(xlogy(y, y) - y, axis=1)))
            return Truth(y, count, Objective(Poisson(), factor=float(count)), offset, score="r2")
        if self.quantiles is None:
            return Truth(y, count, losses.get(self.loss))
        pinball = Pinball(tuple(np.sort(np.atleast_1d(self.quantiles))))
        return Truth(y, len(pinball.quantiles), pinball)

    def _weights(self, y: Array, weight: Array | None) -> Array | None:
        return weight

    @property
    def _link(self) -> str:
        return "exp" if self.loss == POISSON else "identity"

    @property
    def model_(self) -> Model:
        """The fallline model, which predicts as this estimator does; `fl.save_model` writes it."""
        check_is_fitted(self)
        return replace(self._current(), flat=self.n_outputs_ == 1)

    def predict(self, X: Any) -> Array:
        """The numbers, (N,), or (N, M) of several outputs or quantiles."""
        z = self._outputs(X)
        link = self._model.loss.link
        y = z if link is None else np.asarray(link(z))
        if self.quantiles is not None:
            y = np.sort(y, axis=1)
        return y[:, 0] if y.shape[1] == 1 else y


MLPRegressor._parameter_constraints = parameter_constraints(MLPRegressor)
MLPRegressor.__doc__ = f"{MLPRegressor.__doc__}\n{told(MLPRegressor)}"
