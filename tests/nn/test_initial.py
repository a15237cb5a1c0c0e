"""Initialisers: mean, variance and limits as their formulas say, and the same numbers from the same seed."""

import numpy as np
import pytest

from fallline import nn
from fallline.errors import ArgumentError, ArgumentTypeError
from fallline.nn import initial

# name -> variance for D_in, D_out, and whether the numbers are uniform
VARIANCES = {
    "he_normal": (lambda d, k: 2 / d, False),
    "he_uniform": (lambda d, k: 2 / d, True),
    "glorot_normal": (lambda d, k: 2 / (d + k), False),
    "glorot_uniform": (lambda d, k: 2 / (d + k), True),
    "lecun_normal": (lambda d, k: 1 / d, False),
    "lecun_uniform": (lambda d, k: 1 / d, True),
    "normal": (lambda d, k: 0.05**2, False),
    "uniform": (lambda d, k: 0.05**2 / 3, True),
}


@pytest.mark.parametrize(("d", "k"), [(400, 100), (100, 400), (1, 40000), (40000, 1)])
@pytest.mark.parametrize("name", sorted(VARIANCES))
def test_mean_variance_and_limits(name: str, d: int, k: int) -> None:
    variance, uniform = VARIANCES[name][0](d, k), VARIANCES[name][1]
    w = initial.get(name)(np.random.default_rng(0), (d, k), d, k)
    n = d * k
    assert w.shape == (d, k)
    # Five standard errors of a mean, and of a variance (sqrt(2 / n) for a normal law, less for a uniform one).
    assert abs(w.mean()) < 5 * np.sqrt(variance / n)
    assert abs(w.var() / variance - 1) < 5 * np.sqrt(2 / n)
    limit = np.sqrt(3 * variance)
    assert (np.abs(w).max() <= limit) == uniform
    if uniform:
        assert np.abs(w).max() > 0.999 * limit


def test_the_table_holds_what_is_tested_here() -> None:
    assert set(nn.INITIALIZERS) == {*VARIANCES, "zeros"}
    assert not nn.Zeros()(np.random.default_rng(0), (3, 2), 3, 2).any()


def test_the_signal_keeps_its_size_through_many_layers() -> None:
    # The purpose of each: He with ReLU, LeCun with linear units, over 20 layers of 200.
    x = np.random.default_rng(1).normal(size=(500, 200))
    for name, bend in (("he_normal", nn.ReLU()), ("lecun_uniform", nn.Identity())):
        network = nn.Sequential(*(part for _ in range(20) for part in (nn.Dense(200, initializer=name), bend)))
        params, _ = network.init(np.random.default_rng(2), (200,), np.float64)
        assert 0.3 < np.mean(network.apply(params, x) ** 2) < 3


@pytest.mark.parametrize("name", sorted(nn.INITIALIZERS))
def test_the_seed_decides(name: str) -> None:
    def draw(seed: int) -> np.ndarray:
        return initial.get(name)(np.random.default_rng(seed), (5, 4), 5, 4)

    np.testing.assert_array_equal(draw(3), draw(3))
    assert name == "zeros" or (draw(3) != draw(4)).all()


def test_get_takes_names_records_and_functions_and_refuses_the_rest() -> None:
    assert initial.get("normal") == nn.Normal(0.05)
    with pytest.raises(ArgumentError, match="did you mean 'he_normal'"):
        initial.get("he_norm")
    with pytest.raises(ArgumentTypeError, match="an initialiser is a name or a function"):
        initial.get(3)
    with pytest.raises(ArgumentError, match="deviation has to be a number >= 0"):
        nn.Normal(-1.0)
    with pytest.raises(
        ArgumentError, match=r"draw has to be 'normal' \| 'uniform', got 'unifrom'; did you mean 'uniform'"
    ):
        nn.Scaled(1.0, "in", "unifrom")
