"""Optimizers that scale each parameter's step by the size of its own gradients: RMSProp, Adam, AdamW."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from fallline.graph.op import Array
from fallline.optim.optimizer import DECAY, RATE, LearningRate, Optimizer, State, cast_like, optimizer, zeros
from fallline.optim.stability import Bears
from fallline.ranges import option

WITHOUT_MOMENTS = "its largest stable step follows from its second moments, and they were not given"


@optimizer
@dataclass(frozen=True)
class RMSProp(Optimizer):
    """Steps divided by a running root mean square of the gradient.

        v = beta2 v + (1 - beta2) g^2        second moment, same shape as theta; 0 at first
        theta <- theta - learning_rate g / (sqrt(v) + eps)

    learning_rate: > 0, a number or a schedule: about the size of a step in every parameter.
    beta2: 0 <= beta2 < 1, the share of v kept. eps: > 0, keeps the quotient finite.
    weight_decay, clip_norm, clip_value: as for every Optimizer.
    Errors: ArgumentError outside the declared ranges.
    Example: RMSProp(1e-3)
    Source: Hinton 2012, Neural networks for machine learning, lecture 6e; eps outside the root, as in PyTorch.
    """

    name = "rmsprop"
    no_border = WITHOUT_MOMENTS
    learning_rate: LearningRate = option(1e-3, **RATE)
    _: KW_ONLY
    beta2: float = option(0.99, "share of the second moment kept", at_least=0, below=1)
    eps: float = option(1e-8, "keeps the quotient finite", above=0)

    def start(self, theta: Array) -> dict[str, Array]:
        return {"v": zeros(theta)}

    def rule(self, theta: Any, g: Any, state: State, step: Any, learning_rate: Any) -> tuple[Any, State]:
        v = self.beta2 * state["v"] + (1 - self.beta2) * np.square(g)
        return theta - cast_like(learning_rate, theta) * (g / (np.sqrt(v) + self.eps)), {"v": v}

    def bears(self, state: State, step: Any) -> Bears | None:
        """P = sqrt(v) + eps."""
        return (
            Bears(2.0, "2 / lambda", 1 / (np.sqrt(np.asarray(state["v"], np.float64)) + self.eps))
            if "v" in state
            else None
        )


def bias_correction(beta: float, t: Any) -> Any:
    """1 - beta^t, by exp and log: exact for small t, and quicker than a power."""
    return -np.expm1(t * np.log(beta)) if beta else 1.0


@optimizer
@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: steps scaled by running moments of the gradient.

        m = beta1 m + (1 - beta1) g          first moment, same shape as theta
        v = beta2 v + (1 - beta2) g^2        second moment
        m_hat = m / (1 - beta1^t)            t = step + 1: both moments start at 0, and this makes up for it
        v_hat = v / (1 - beta2^t)
        theta <- theta - learning_rate m_hat / (sqrt(v_hat) + eps)

    learning_rate: > 0, a number or a schedule: at most about the size of a step in every parameter.
    beta1, beta2: 0 <= beta < 1, the shares of the moments kept. eps: > 0, keeps the quotient finite; eps_beside: the
        root of the "corrected" moment, as above, or of the "raw" one, sqrt(v) + eps, which brakes the first steps more.
    weight_decay, clip_norm, clip_value: as for every Optimizer.
    Errors: ArgumentError outside the declared ranges.
    Example: Adam(Cosine(1e-3), clip_norm=1.0)
    Source: Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1; weight decay is a term of the gradient. "raw" is the form at
    the end of its section 2, and that of TensorFlow and scikit-learn.
    """

    name = "adam"
    no_border = WITHOUT_MOMENTS
    learning_rate: LearningRate = option(1e-3, **RATE)
    _: KW_ONLY
    beta1: float = option(0.9, "share of the first moment kept", at_least=0, below=1)
    beta2: float = option(0.999, "share of the second moment kept", at_least=0, below=1)
    eps: float = option(1e-8, "keeps the quotient finite", above=0)
    eps_beside: str = option("corrected", "the moment that eps stands by", number=False, words=("corrected", "raw"))

    def start(self, theta: Array) -> dict[str, Array]:
        return {"m": zeros(theta), "v": zeros(theta)}

    def rule(self, theta: Any, g: Any, state: State, step: Any, learning_rate: Any) -> tuple[Any, State]:
        m = self.beta1 * state["m"] + (1 - self.beta1) * g
        v = self.beta2 * state["v"] + (1 - self.beta2) * np.square(g)
        # The corrections are moved into two single numbers, which saves two passes over theta:
        # m_hat / (sqrt(v_hat) + eps) = (root2 / correction1) m / (sqrt(v) + eps root2).
        t = step + 1
        root2 = np.sqrt(bias_correction(self.beta2, t))
        size = cast_like(learning_rate * root2 / bias_correction(self.beta1, t), theta)
        eps = self.eps * root2 if self.eps_beside == "corrected" else self.eps
        return theta - size * (m / (np.sqrt(v) + cast_like(eps, theta))), {"m": m, "v": v}

    def bears(self, state: State, step: Any) -> Bears | None:
        """P = (sqrt(v_hat) + eps) (1 - beta1^t). Source: Cohen et al. 2022, arXiv:2207.14484, section 2."""
        if "v" not in state:
            return None
        t = max(int(step), 1)
        root2 = float(np.sqrt(bias_correction(self.beta2, t)))
        eps = self.eps * root2 if self.eps_beside == "corrected" else self.eps
        inverse = root2 / float(bias_correction(self.beta1, t)) / (np.sqrt(np.asarray(state["v"], np.float64)) + eps)
        return Bears(2 * (1 + self.beta1) / (1 - self.beta1), "2 (1 + beta1) / ((1 - beta1) lambda)", inverse)


@optimizer
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with weight decay apart from the gradient's step.

        theta <- Adam's theta - learning_rate weight_decay theta        (weights only, with theta from before the step)

    weight_decay: >= 0; everything else, and the errors, as for Adam.
    Example: AdamW(1e-3, weight_decay=0.05)
    Source: Loshchilov & Hutter 2019, arXiv:1711.05101, Algorithm 2,
    with the schedule inside learning_rate, as in PyTorch.
    """

    name = "adamw"
    decoupled = True
    weight_decay: Any = option(0.01, **DECAY)
