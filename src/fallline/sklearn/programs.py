"""Programs of small trainings, kept for the next training of the same form in this process.

Tracing and planning a step take ten milliseconds, more than many a small fit: a search makes hundreds of them that
differ in their data alone. Programs know the data that they met last, so only those of small data are kept, and few.
Knows no estimator.
"""

from typing import Any

from fallline.jobs.job import prepare
from fallline.jobs.settings import Settings
from fallline.jobs.shared_cache import NOT_SHARED, SharedCache
from fallline.training.training import Training

# Programs are kept of so many trainings, each of data of so many bytes at most.
MOST, MOST_BYTES = 16, 1 << 20
_kept: dict[Any, Any] = {}


def training_of(model: Any, data: Any, *, reusable: bool, **settings: Any) -> Training:
    """A training as `train` begins it. reusable: whether nothing in it is a function, whose values may have changed."""
    small = reusable and isinstance(data, tuple) and sum(one.nbytes for one in data) <= MOST_BYTES
    cache = SharedCache(dict(_kept)) if small else NOT_SHARED
    training = Training(prepare(model, data, Settings(**settings), cache))
    if small:
        made = cache.programs().kept or {}
        _kept.update(made)
        for key in [*_kept][: max(0, len(_kept) - MOST)]:
            _kept.pop(key, None)
    return training
