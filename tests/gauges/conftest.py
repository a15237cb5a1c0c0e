"""Small data for gauges: 53 rows in three classes, 47 rows with a number to predict."""

from __future__ import annotations

import numpy as np
import pytest

Data = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="session")
def labelled() -> Data:
    """53 rows, 3 features, 3 classes: a prime number of rows, so that every batch size leaves a rest."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((53, 3))
    return x, np.argmax(x @ rng.standard_normal((3, 3)) + 0.3 * rng.standard_normal((53, 3)), axis=1)


@pytest.fixture(scope="session")
def numbers() -> Data:
    """47 rows, 4 features, one number to predict."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((47, 4))
    return x, np.sin(x[:, 0]) + x[:, 1] * x[:, 2]
