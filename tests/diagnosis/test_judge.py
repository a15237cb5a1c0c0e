"""The judge in closed form: its answers for rows left out are those of fits without them."""

import numpy as np
import pytest

from fallline.diagnosis.judge import MOST_OF_ITSELF, Features, judged


@pytest.mark.parametrize("waves", [0, 20])
def test_a_row_left_out_is_answered_as_by_a_fit_without_it(waves: int) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(60, 3)), rng.normal(size=(60, 2))
    found = judged(x, y, waves)
    phi = Features.of(x, waves)(x)
    n, count = phi.shape
    middle = y.mean(axis=0)
    ridge = found.penalty * np.trace(phi.T @ phi) / count
    for row in (0, 17, 59):
        others = np.delete(np.arange(n), row)
        kept = phi[others]
        weight = np.linalg.solve(kept.T @ kept + ridge * np.eye(count), kept.T @ (y[others] - middle))
        np.testing.assert_allclose(found.left_out[row], middle + phi[row] @ weight, rtol=1e-6, atol=1e-9)
    whole = np.linalg.solve(phi.T @ phi + ridge * np.eye(count), phi.T @ (y - middle))
    np.testing.assert_allclose(found.predict(x[:5]), middle + phi[:5] @ whole, rtol=1e-6, atol=1e-9)


def test_the_judge_finds_a_line_and_bears_columns_that_say_nothing() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(80, 2)), np.full((80, 1), 7.0), np.zeros((80, 1))], axis=1)
    y = (3 * x[:, :1] - x[:, 1:2]) * 1e6
    for case in (x, x * [1e-12, 1e12, 1.0, 1.0]):
        found = judged(case, y, 0)
        assert np.abs(found.left_out - y).max() < 1e-4 * y.std()
    assert 0 < MOST_OF_ITSELF < 1
    alone = judged(np.ones((5, 1)), np.arange(5.0)[:, None], 0)
    assert np.isfinite(alone.left_out).all()
