"""The loss curve every competitor has to show: forward, backward and step written out in NumPy, in double precision.

Independent of the library and of its peers on purpose; it is never timed.
"""

from __future__ import annotations

import numpy as np

from fallline.bench.cases import BETA1, BETA2, EPS, Array, Problem


def loss_curve(problem: Problem, steps: int) -> Array:
    """The loss before each of the first `steps` steps."""
    case = problem.case
    weights = [w.astype(np.float64) for w, _ in problem.params]
    biases = [b.astype(np.float64) for _, b in problem.params]
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in weights + biases]
    curve = np.empty(steps)
    for step in range(steps):
        start = step % case.steps_per_epoch * case.batch
        rows = slice(start, start + case.batch)
        values = [problem.x[rows].astype(np.float64)]
        for i, (w, b) in enumerate(zip(weights, biases)):
            z = values[-1] @ w + b
            values.append(z if i == len(weights) - 1 else activate(case.activation, z))
        curve[step], delta = loss_and_delta(case.loss, values[-1], problem.y[rows])
        d_weights: list[Array] = []
        d_biases: list[Array] = []
        for i in reversed(range(len(weights))):
            d_weights.insert(0, values[i].T @ delta)
            d_biases.insert(0, delta.sum(axis=0))
            delta = delta @ weights[i].T * slope(case.activation, values[i])
        for p, g, (m, v) in zip(weights + biases, d_weights + d_biases, moments):
            if case.optimizer == "gradient_descent":
                p -= case.learning_rate * g
                continue
            m[:] = BETA1 * m + (1 - BETA1) * g
            v[:] = BETA2 * v + (1 - BETA2) * g * g
            m_hat, v_hat = m / (1 - BETA1 ** (step + 1)), v / (1 - BETA2 ** (step + 1))
            p -= case.learning_rate * m_hat / (np.sqrt(v_hat) + EPS)
    return curve


def activate(name: str, z: Array) -> Array:
    return np.maximum(z, 0) if name == "relu" else 1 / (1 + np.exp(-z))


def slope(name: str, value: Array) -> Array:
    """The activation's derivative, from its value. On the input layer it is computed and never used."""
    return (value > 0) * 1.0 if name == "relu" else value * (1 - value)


def loss_and_delta(name: str, z: Array, y: Array) -> tuple[float, Array]:
    """The mean loss of a batch and its gradient with respect to the last layer's outputs."""
    if name == "squared_error":
        return float(np.mean((z - y) ** 2)), 2 * (z - y) / z.size
    rows = np.arange(len(y))
    z = z - z.max(axis=1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    loss = -np.log(p[rows, y]).mean()
    p[rows, y] -= 1
    return float(loss), p / len(y)
