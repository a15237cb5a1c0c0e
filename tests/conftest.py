"""What every test shares: one BLAS thread, and one Hypothesis profile that finds the same examples every time."""

import os

# Before NumPy is imported: two OpenBLAS pools on a few cores make every test worker slower.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fallline",
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,  # no clock in a test: a loaded machine is not a broken law
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("fallline")
