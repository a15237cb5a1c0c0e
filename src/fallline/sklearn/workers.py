"""How many lanes an estimator may use: all cores, or its share where a caller runs several estimators side by side.

Knows joblib's contexts and the variable that it sets for its workers, and nothing of estimators.
"""

import multiprocessing
import os
from numbers import Integral
from typing import Any

from joblib.parallel import get_active_backend

from fallline.errors import ArgumentError

# Set by joblib in each worker process: the cores divided by the workers.
_SHARE = "OMP_NUM_THREADS"


def lanes_for(n_jobs: int | None) -> int | None:
    """Lanes of a training at most; None: all cores that the process may use and a step gains from.

    n_jobs: as in scikit-learn, a number of cores, or -1 for all; None for all, but inside a task of joblib, such as a
        grid search with n_jobs=-1, for that worker's share.
    Errors: ArgumentError for 0, and for other than whole numbers.
    """
    if n_jobs is None:
        return worker_share()
    if not isinstance(n_jobs, Integral) or n_jobs == 0:
        raise ArgumentError(f"n_jobs is a whole number other than 0, or None, got {n_jobs!r:.40}")
    return n_jobs if n_jobs > 0 else max(1, cores() + 1 + n_jobs)


def worker_share() -> int | None:
    """The cores of the joblib worker that this call runs in; None outside of any.

    1 in a worker that is a thread, or that is nested in another: all of them share the cores of their process.
    """
    backend: Any = get_active_backend()[0]
    level = getattr(backend, "nesting_level", None) or 0
    if not level:
        return None
    said = os.environ.get(_SHARE, "")
    is_process = multiprocessing.current_process().name.startswith("Loky")
    return max(1, int(said)) if level == 1 and is_process and said.isdigit() else 1


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
