"""Trace and density from random vectors: exact moments, known spectra, errors that cover."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.curvature import at, density, trace


def quadratic(values):
    return at(lambda x: 0.5 * np.sum(values * x * x), np.zeros(len(values)))


@given(st.integers(0, 10_000))
def test_the_trace_lies_within_four_standard_errors(seed) -> None:
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((120, 120)))
    values = np.exp(3 * rng.standard_normal(120)) * rng.choice([-1, 1], 120)
    matrix = (q * values) @ q.T
    found = trace(at(lambda x: 0.5 * (x @ matrix @ x), np.zeros(120)), products=60, seed=seed)
    assert abs(found.value - values.sum()) <= 5 * found.error + 1e-6 * np.abs(values).sum()


def test_the_trace_of_few_parameters_is_exact() -> None:
    found = trace(quadratic(np.array([1.0, -2.0, 5.0])))
    assert found.value == pytest.approx(4.0) and found.error == 0.0 and found.products == 3


def test_a_low_rank_is_found_whole_by_the_sketch() -> None:
    # 10 of 300 eigenvalues are not 0: a sketch of 20 holds them all, and nothing is left to chance.
    found = trace(quadratic(np.concatenate([np.arange(1.0, 11.0), np.zeros(290)])))
    assert found.value == pytest.approx(55.0) and found.error < 1e-6


@given(st.integers(0, 10_000), st.integers(2, 40))
def test_the_density_has_the_moments_of_its_probes(seed, size) -> None:
    values = np.random.default_rng(seed).standard_normal(size)
    found = density(quadratic(values), probes=3, steps=10, seed=seed)
    # Probes of signs weigh each eigenvalue of a diagonal matrix alike, so moments up to 2 steps - 1 are exact.
    for k in range(4 if size >= 2 else 2):
        moments = np.sum(found.weights * found.nodes**k, axis=1)
        np.testing.assert_allclose(moments, np.mean(values**k), atol=1e-9)
    assert found.trace.value == pytest.approx(values.sum(), abs=1e-8 * size)


def test_the_density_of_two_clusters_has_their_places_and_shares() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([np.full(150, 1.0), np.full(50, 7.0)])
    q, _ = np.linalg.qr(rng.standard_normal((200, 200)))
    matrix = (q * values) @ q.T
    found = density(at(lambda x: 0.5 * (x @ matrix @ x), np.zeros(200)), probes=8)
    share = found.below(4.0)
    assert abs(share.value - 0.75) <= 4 * share.error
    assert np.trapezoid(found.density, found.at) == pytest.approx(1.0, abs=1e-3)
    peaks = found.at[found.density > 0.2 * found.density.max()]
    assert np.all((abs(peaks - 1) < 5 * found.width) | (abs(peaks - 7) < 5 * found.width))
    assert np.all(found.error >= 0) and found.density.shape == found.error.shape == found.at.shape


def test_a_flat_function_has_all_its_density_at_zero() -> None:
    found = density(at(lambda x: np.sum(x), np.zeros(9)))
    assert found.trace.value == 0 and np.all(found.nodes == 0)
