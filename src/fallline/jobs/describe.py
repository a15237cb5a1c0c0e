"""A job in JSON: everything needed to repeat it, and digests that tell other data or another start apart."""

import hashlib
import math
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import partial
from typing import Any

import numpy as np

from fallline.config import RECORDS, to_config
from fallline.errors import ArgumentError
from fallline.graph.op import Array
from fallline.jobs.job import Job
from fallline.jobs.named import Rows
from fallline.jobs.shared_cache import ByIdentity, SharedCache
from fallline.jobs.stopping import NEVER, EarlyStopping
from fallline.jobs.streamed import Streamed
from fallline.jobs.training_state import TrainingState
from fallline.nn.inputs import shapes_to_config
from fallline.nn.model import Model
from fallline.stored import Stored

# Keys in which a run and its continuation may differ; "recompute" is the older name of gradient_checkpointing.
FREE = ("epochs", "metrics", "checkpoints", "threads", "gradient_checkpointing", "recompute", "versions", "extra")
# Larger arrays are told apart by evenly spaced pieces of them.
_WHOLE_BYTES, _PIECES, _PIECE_BYTES = 1 << 24, 64, 1 << 16


def described(job: Job) -> dict[str, Any]:
    """The run's config.json."""
    settings, held = job.settings.given, job.validation
    kinds = job.model.layout.marks
    validation: Any = job.settings.share or None
    if held is not None and not job.settings.share:
        validation = data_of(held, job.model, job.cache)
        if isinstance(job.train, Rows) and held.data is job.train.data:
            validation["chosen"] = digest(held.index)
    return {
        "fallline": "run 1",
        "model": form(job.model),
        "theta": digest(job.model.theta),
        **({"kinds": kinds} if kinds else {}),
        "loss": form(job.model.loss),
        "optimizer": form(job.optimizer),
        "epochs": job.epochs,
        "batch_size": job.batch_size,
        "shuffle": job.shuffle,
        "seed": job.seed,
        "dtype": job.model.dtype.name,
        "threads": None if settings.threads is None else job.settings.threads,
        "gradient_checkpointing": job.gradient_checkpointing,
        "early_stopping": form(_requested_rule(job)),
        "checkpoints": form(settings.checkpoints),
        **({"metrics": [one.name for one in job.settings.metrics]} if job.settings.metrics else {}),
        "data": data_of(job.train, job.model, job.cache),
        "validation": validation,
        **({"init": start_of(job.settings.start)} if job.settings.start else {}),
        "extra": dict(settings.extra or {}),
        "versions": {name: sys.modules[name].__version__ for name in ("fallline", "numpy")}
        | {"python": platform.python_version()},
    }


def _requested_rule(job: Job) -> EarlyStopping | None:
    """The rule for stopping, if it is a setting of the run: not one that follows from the rest, or never stops."""
    rule = job.settings.early_stopping
    if rule is None or not job.settings.given.early_stopping:
        return None
    return rule if rule.patience != NEVER or rule.watch else None


def form(value: Any) -> Any:
    """A record as JSON; values that no file can hold, such as a user's function, are only named."""
    try:
        return value.to_config() if hasattr(value, "to_config") else to_config(value)
    except ArgumentError:
        return {"not_saved": re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(value))}


def start_of(start: TrainingState) -> dict[str, Any]:
    """The training that this one goes on from: its counts, and a digest of the optimizer's arrays."""
    arrays = {name: digest(array) for name, array in start.arrays.items() if name != "step"}
    return {"epochs": start.epochs, "step": start.step, **arrays}


def data_of(rows: Rows | Streamed, model: Model, cache: SharedCache) -> dict[str, Any]:
    """The form of some rows, and a digest of each of their arrays."""
    if isinstance(rows, Streamed):
        forms = {name: f"{form.dtype}{list(form.shape)}" for name, form in rows.form.items()}
        return {"rows": rows.meant, "input_shape": shapes_to_config(model.input_shape), "batches": forms}
    digests = {
        name: cache.once(("digest", ByIdentity(array)), partial(digest, array)) for name, array in rows.data.items()
    }
    return {"rows": rows.count, "input_shape": shapes_to_config(model.input_shape), **digests}


def digest(array: Array | Stored) -> str:
    """A short name for an array's values and form; of a large one, evenly spaced pieces count, of a stored one rows."""
    found = hashlib.blake2b(f"{array.dtype.str} {array.shape}".encode(), digest_size=8)
    if isinstance(array, Stored):
        array = array.as_given(np.unique(np.linspace(0, len(array) - 1, _PIECES).astype(np.int64)))
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    if flat.size <= _WHOLE_BYTES:
        found.update(flat.data)
    else:
        for start in np.linspace(0, flat.size - _PIECE_BYTES, _PIECES).astype(np.int64):
            found.update(flat[start : start + _PIECE_BYTES].data)
    return found.hexdigest()


def differences(then: Any, now: Any, place: str = "") -> list[str]:
    """The differences of two configs in keys that have to agree: `optimizer.learning_rate: 0.001 then, 0.01 now`."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        then, now = completed(then), completed(now)
        keys = [key for key in dict.fromkeys([*then, *now]) if place or key not in FREE]
        return [
            line
            for key in keys
            for line in differences(then.get(key), now.get(key), f"{place}.{key}" if place else key)
        ]
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        return [line for i, (a, b) in enumerate(zip(then, now)) for line in differences(a, b, f"{place}[{i}]")]
    # Means and spreads are added up in another order by another version.
    same = then == now or (type(then) is type(now) is float and math.isclose(then, now, rel_tol=1e-12))
    return [] if same else [f"{place}: {then!r:.60} then, {now!r:.60} now"]


def completed(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The form of a record, with the defaults of fields that were not there when it was written."""
    cls = RECORDS.get(str(given.get("type")).rpartition(":")[2])
    if cls is None:
        return given
    absent = [one for one in fields(cls) if one.name not in given and one.default is not MISSING]
    return {**given, **{one.name: form(one.default) for one in absent}}
