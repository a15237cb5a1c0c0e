"""From an estimator's arguments to a network, its first parameters, and its coefficients in scikit-learn's form."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np

from fallline.arguments import shown
from fallline.arrays import Array
from fallline.errors import ArgumentError, ArgumentTypeError
from fallline.nn import BatchNorm, Dense, Dropout, Function, Layer, Model, Sequential
from fallline.nn import activation as activations
from fallline.nn.activation import Activation
from fallline.nn.loss import Loss

# scikit-learn's names of activations that have another one here.
ACTIVATIONS_HERE = {"logistic": "sigmoid"}
# Those with which scikit-learn draws weights in its way; any other gets the initialiser of its own.
CLASSIC = ("identity", "logistic", "tanh", "relu")
NORMALIZATIONS: dict[str, Callable[[], Layer]] = {"batch": BatchNorm}


def hidden_sizes(given: Any) -> list[int]:
    """Widths of the hidden layers. Errors: TypeError for one that is not whole, ValueError for one not positive."""
    sizes = list(given) if isinstance(given, Iterable) else [given]
    if not all(isinstance(size, Integral) for size in sizes):
        raise ArgumentTypeError(f"hidden_layer_sizes are whole numbers > 0, got {shown(given)}")
    if np.any(np.array(sizes) <= 0):
        raise ArgumentError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def each_layer(given: Any, count: int, name: str) -> list[Any]:
    """One value for each hidden layer: a single one for all, or a list of as many."""
    if not isinstance(given, list | tuple | np.ndarray):
        return [given] * count
    if len(given) != count:
        raise ArgumentError(f"{name} has {len(given)} values, and there are {count} hidden layers: {list(given)}")
    return list(given)


def network_of(sizes: Sequence[int], outputs: int, activation: Any, dropout: Any, normalization: str | None) -> Any:
    """The layers: for each width a dense one, normalisation, the activation, dropout; and a dense one at the end."""
    layers: list[Any] = []
    after = each_layer(activation, len(sizes), "activation")
    rates = each_layer(dropout, len(sizes), "dropout")
    for size, name, rate in zip(sizes, after, rates, strict=True):
        layers.append(Dense(size))
        layers += [NORMALIZATIONS[normalization]()] if normalization else []
        layers.append(_activation(name))
        layers += [Dropout(float(rate))] if rate else []
    return Sequential(*layers, Dense(outputs))


def _activation(given: Any) -> Any:
    if isinstance(given, str):
        return activations.get(ACTIVATIONS_HERE.get(given, given))
    return given if isinstance(given, Activation) or hasattr(given, "apply") else Function(given)


def drawn(network: Any, features: int, loss: Loss, activation: Any, rng: np.random.RandomState, dtype: str) -> Model:
    """A model with its first parameters: for the classic activations the numbers that scikit-learn draws from `rng`.

    They are uniform within +-sqrt(factor / (fan_in + fan_out)), biases too; the factor is 6, and 2 for "logistic".
    Source: Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks, eq. 16.
    """
    is_classic = isinstance(activation, str) and activation in CLASSIC
    seed = 0 if is_classic else int(rng.randint(np.iinfo(np.int32).max))
    model = Model.init(network, features, loss=loss, seed=seed, dtype=dtype)
    if is_classic:
        factor = 2.0 if activation == "logistic" else 6.0
        for weight, bias in dense_parameters(model):
            bound = np.sqrt(factor / sum(weight.shape))
            weight[...] = rng.uniform(-bound, bound, weight.shape)
            bias[...] = rng.uniform(-bound, bound, bias.shape)
    return model


def dense_parameters(model: Model) -> list[tuple[Array, Array]]:
    """Weight and bias of each dense layer, as views of theta."""
    layers = model.network.layers  # type: ignore[attr-defined]
    pairs = zip(layers, model.params, strict=True)
    return [(its["weight"], its["bias"]) for layer, its in pairs if isinstance(layer, Dense)]


def with_coefficients(model: Model, coefs: Sequence[Any], intercepts: Sequence[Any]) -> Model:
    """The model with weights and biases copied from a caller's arrays.

    Errors: ArgumentError where their number or a shape is another one.
    """
    changed = replace(model, theta=model.theta.copy())
    pairs = dense_parameters(changed)
    if len(coefs) != len(pairs) or len(intercepts) != len(pairs):
        raise ArgumentError(f"coefs_ and intercepts_ hold {len(coefs)} and {len(intercepts)} arrays, "
                            f"and the network has {len(pairs)} layers of weights")  # fmt: skip
    for place, (weight, bias) in enumerate(pairs):
        for name, into, given in (("coefs_", weight, coefs[place]), ("intercepts_", bias, intercepts[place])):
            if np.shape(given) != into.shape:
                raise ArgumentError(f"{name}[{place}] has shape {np.shape(given)}, and the network's is {into.shape}")
            into[...] = given
    return changed


def in_precision(model: Model, dtype: Any) -> Model:
    """The model with its parameters in another precision."""
    return model if model.dtype == dtype else replace(model, theta=model.theta.astype(dtype))
