"""Gauges of the gradient, of the update made from it, and of how far parameters have come. Knows no single layer."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.gauges.gauge_table import Facts, Values, gauge
from fallline.gauges.inner_values import Inner

# Bins of histograms: |value| between two powers of two, from 2^LOWEST on, for each sign; smaller ones count as 0.
LOWEST, HIGHEST = -40, 16
# Powers of two in a bin of a histogram over two values.
_COARSE = 4


def norm(x: Any) -> Any:
    return np.sqrt(np.sum(np.square(x)))


@gauge(
    "gradient_norm",
    unit="loss/w",
    formula="|g_l|",
    needs=("gradient",),
    reads="layers whose norms differ by factors of a thousand learn at very different speeds",
    source="the Euclidean norm; by layer as in Glorot & Bengio 2010, section 4.2",
    usual=True,
)
def gradient_norm(inner: Inner) -> Mapping[str, Any]:
    """The norm of the gradient of the batch's loss, for each array of parameters."""
    return {path: norm(g) for path, g in inner.gradient.items()}


@gauge(
    "delta_size",
    unit="loss/out",
    formula="sqrt(mean_ij (N d loss / d out_ij)^2)",
    needs=("delta",),
    reads="falls from the last layer to the first where gradients vanish, and rises where they explode",
    source="back-propagated gradients, Glorot & Bengio 2010, figure 7",
    usual=True,
)
def delta_size(inner: Inner) -> Mapping[str, Any]:
    """How strongly a row's loss depends on each output of a layer, as a root mean square over rows and outputs."""
    return {path: inner.rows * np.sqrt(np.mean(np.square(d))) for path, d in inner.deltas.items()}


def finite(values: Values, facts: Facts) -> Mapping[str, Any]:
    return {path: value if np.isfinite(value) else np.nan for path, value in values.items()}


@gauge(
    "update_ratio",
    unit="1",
    formula="|theta_l' - theta_l| / |theta_l|",
    needs=("update",),
    finish=finite,
    healthy=(1e-5, 1e-1),
    reads="near 0.001 as a rule; far below, a layer hardly learns, far above, it is thrown about; NaN for arrays of 0",
    source="Karpathy 2015, CS231n notes, Neural networks part 3, ratio of weights to updates",
    usual=True,
)
def update_ratio(inner: Inner) -> Mapping[str, Any]:
    """The length of the next step relative to the parameters, for each array of them."""
    return {path: norm(change) / norm(inner.parameters[path]) for path, change in inner.update.items()}


@gauge(
    "distance",
    unit="w",
    formula="|theta_l - theta_l(0)|",
    needs=("start",),
    reads="grows as the root of the steps where steps are noise, and like the steps where they agree",
    source="Hoffer, Hubara, Soudry 2017, arXiv:1705.08741, section 4",
    usual=True,
)
def distance(inner: Inner) -> Mapping[str, Any]:
    """The distance of the parameters from where training began, for each array of them."""
    now, start = inner.of["theta"], inner.of["start"]
    return {path: norm(slot.of(now) - slot.of(start)) for path, slot in inner.model.layout.items()
            if path in inner.paths}  # fmt: skip


def places(values: Any, step: int = 1) -> Any:
    """The bin of each value: 0 in the middle, negative values before it and positive ones after it."""
    half = -(-(HIGHEST - LOWEST) // step)
    exponents = np.frexp(values)[1] - 1  # |value| is in [2^e, 2^(e + 1))
    own = np.clip((exponents - LOWEST) // step, 0, half - 1) + 1
    small = np.abs(values) < 2.0**LOWEST
    return half + np.where(small, 0, np.where(values < 0, -own, own))


def bins(step: int = 1) -> int:
    return 2 * -(-(HIGHEST - LOWEST) // step) + 1


def edges(step: int = 1) -> Any:
    """The borders between the bins of a histogram, ascending: bin i is between borders i - 1 and i."""
    up = 2.0 ** np.arange(LOWEST, HIGHEST, step)
    return np.concatenate([-up[::-1], up])


def counted(values: Values, facts: Facts) -> Mapping[str, Any]:
    """A histogram of each array; elements that are not finite are left out."""
    found = {}
    for path, g in values.items():
        g = g[np.isfinite(g)]
        found[path] = np.bincount(places(g), minlength=bins())
    return found


def counted_together(values: Values, facts: Facts) -> Mapping[str, Any]:
    """A histogram over two vectors at once, (bins, bins): rows by the gradient, columns by the parameter."""
    g, theta = values["gradient"], values["parameter"]
    known, n = np.isfinite(g) & np.isfinite(theta), bins(_COARSE)
    both = places(g[known], _COARSE) * n + places(theta[known], _COARSE)
    return {"": np.bincount(both, minlength=n * n).reshape(n, n)}


@gauge(
    "gradient_histogram",
    unit="elements",
    formula="#{j: 2^k <= |g_j| < 2^(k+1)}, for each sign",
    needs=("gradient",),
    finish=counted,
    reads="one bin in the middle holds the zeros: a layer with most of its elements there learns little",
    source="Schneider, Dangel, Hennig 2021, Cockpit, arXiv:2102.06604, section 3.3; bins by powers of two",
)
def gradient_histogram(inner: Inner) -> Mapping[str, Any]:
    """How large the elements of the gradient are: counts by powers of two and sign, for each array of parameters."""
    return {path: np.reshape(g, -1) for path, g in inner.gradient.items()}


@gauge(
    "gradient_parameter_histogram",
    unit="elements",
    formula="#{j: g_j in bin a, theta_j in bin b}",
    needs=("gradient",),
    finish=counted_together,
    reads="large parameters with large gradients of the same sign are on their way back",
    source="Schneider, Dangel, Hennig 2021, Cockpit, arXiv:2102.06604, section 3.3; bins by powers of sixteen",
)
def gradient_parameter_histogram(inner: Inner) -> Mapping[str, Any]:
    """How large gradient and parameter are together: counts over both, rows by the gradient's bins."""
    flat = {"gradient": inner.gradient, "parameter": inner.parameters}
    return {name: np.concatenate([np.reshape(one, -1) for one in of.values()]) for name, of in flat.items()}
