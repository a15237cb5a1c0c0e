"""Settings of every test: one BLAS thread, lanes at work however busy the machine is, graphs that are verified between
passes, one Hypothesis profile that finds the same examples every time, and small data that several folders train on.
"""

import os
import signal
from collections.abc import Iterator

# Before NumPy is imported: two OpenBLAS pools on a few cores make every test worker slower.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from fallline.graph.verify import verify_between_passes
from fallline.program.governor import Governor

# Whoever started the tests may have had these ignored, as shells do for what runs in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile(
    "fallline",
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,  # no clock in a test: a loaded machine is not a broken law
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("fallline")

verify_between_passes()


class _Everyone(Governor):
    """Takes all lanes however busy the machine is: no test is about one lane unless it says so."""

    def choose(self, steps: int) -> tuple[bool, int]:
        return True, steps


@pytest.fixture(autouse=True, scope="session")
def _all_lanes_at_work() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fallline.program.machine.Governor", _Everyone)
        yield


@pytest.fixture(scope="session")
def labelled() -> tuple[np.ndarray, np.ndarray]:
    """53 rows, 3 features, 3 classes: a prime number of rows, so that every batch size leaves a rest."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((53, 3))
    return x, np.argmax(x @ rng.standard_normal((3, 3)) + 0.3 * rng.standard_normal((53, 3)), axis=1)


@pytest.fixture(scope="session")
def numbers() -> tuple[np.ndarray, np.ndarray]:
    """47 rows, 4 features, one number to predict."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((47, 4))
    return x, np.sin(x[:, 0]) + x[:, 1] * x[:, 2]
