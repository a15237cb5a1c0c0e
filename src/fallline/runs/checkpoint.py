"""Checkpoints: the state of a run on disk, so that it can go on from there. Knows names of arrays, not their meaning.

One safetensors file each, under a checksum; the newest two are kept, and one that is damaged is passed over.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fallline.graph.op import Array
from fallline.runs.disk import write_atomically

KEPT = 2
# The first form had no config of its run.
FORMS = ("checkpoint 1", "checkpoint 2")
_SYSTEM = re.compile(r"\(os error (\d+)\)")  # the system's error number in texts of safetensors
_NAME = re.compile(r"step-(\d+)\.safetensors")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """arrays: by name. values: everything else, as JSON can hold it."""

    arrays: dict[str, Array]
    values: dict[str, Any]


def checksum(arrays: Mapping[str, Array], text: str) -> str:
    """A digest over names, forms and bytes of the arrays and of the JSON text."""
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def save_arrays(path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """A safetensors file, atomically. Errors: OSError from the disk."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    # safetensors stores wrong values for arrays that are not contiguous, without a word.
    whole = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()}

    def put(part: Path) -> None:
        part.touch()
        mode = part.stat().st_mode
        try:
            save_file(whole, part, dict(metadata))
            part.chmod(mode)  # safetensors makes files that nobody else can read
        except SafetensorError as error:
            number = _SYSTEM.search(str(error))
            if number is None:
                raise
            code = int(number.group(1))
            raise OSError(code, os.strerror(code), str(path)) from error

    write_atomically(path, put)


def write(folder: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Put a checkpoint into a folder, then remove all but the newest two."""
    folder.mkdir(exist_ok=True)
    path = folder / f"step-{step:012d}.safetensors"
    _put(path, checkpoint)
    for old in paths_in(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def _put(path: Path, checkpoint: Checkpoint) -> None:
    text = json.dumps(checkpoint.values, allow_nan=False)
    metadata = {"fallline": FORMS[-1], "values": text, "checksum": checksum(checkpoint.arrays, text)}
    save_arrays(path, checkpoint.arrays, metadata)


def amend(folder: Path, values: Mapping[str, Any]) -> None:
    """Set values of the newest checkpoint that is whole, if there is one."""
    for path in paths_in(folder):
        checkpoint = read(path)
        if checkpoint is not None:
            _put(path, Checkpoint(checkpoint.arrays, {**checkpoint.values, **values}))
            return


def paths_in(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first."""
    paths = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(paths, key=lambda path: path.name, reverse=True)


def read(path: Path) -> Checkpoint | None:
    """A checkpoint as it was written, or None if the file is cut short or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: np.array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError, UnicodeDecodeError, TypeError, ValueError):
        return None
    text = metadata.get("values", "")
    if metadata.get("fallline") not in FORMS or metadata.get("checksum") != checksum(arrays, text):
        return None
    try:
        return Checkpoint(arrays, dict(json.loads(text)))
    except (TypeError, ValueError, RecursionError):
        return None


def newest(folder: Path) -> tuple[Checkpoint | None, list[Path]]:
    """The newest checkpoint that is whole, None if there is none; and the newer ones, which are damaged."""
    damaged: list[Path] = []
    for path in paths_in(folder):
        checkpoint = read(path)
        if checkpoint is not None:
            return checkpoint, damaged
        damaged.append(path)
    return None, damaged
