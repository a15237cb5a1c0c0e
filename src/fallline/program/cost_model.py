"""The costs of kinds of work on this machine, for choosing between one lane and several. Never changes a result.

The defaults were measured on one core of a current server; `fallline bench --calibrate` measures them anew and keeps
them next to the compiled kernels, which are of one machine too.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Costs:
    """Nanoseconds. chain_byte, chain_op: a byte of an elementwise result, and each op on it; fold, move: an element
    folded or moved; product: a byte of one multiply-add, in registers of 64 bytes; meeting: all lanes waiting for one
    another."""

    chain_byte: float = 0.02
    chain_op: float = 0.003
    fold: float = 0.1
    move: float = 0.1
    product: float = 0.0023
    meeting: float = 400.0


def _file() -> Path:
    from fallline.program.kernels import store

    return store.folder() / "costs.json"


@cache
def current() -> Costs:
    """The costs measured on this machine, or the usual ones where none were."""
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
        kept = {field.name: float(found[field.name]) for field in fields(Costs)}
        if all(0 < value < 1e9 for value in kept.values()):
            return Costs(**kept)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return usual()


def usual() -> Costs:
    """The defaults for this processor: products take twice as long with registers half as wide."""
    from fallline.program.kernels.registers import REGISTER

    return Costs(product=Costs().product * 64 / REGISTER)  # measured with 32 bytes: 0.0054


def tile_columns(dtype: Any) -> int:
    """How many columns of a product the kernels of this processor compute at once."""
    from fallline.program.kernels.registers import LANES, WIDE

    return WIDE * LANES[str(dtype)]


def keep(costs: Costs) -> Path:
    """Write costs where `current` finds them; returns the file."""
    path = _file()
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(asdict(costs), file, indent=1)
    os.replace(temporary, path)
    current.cache_clear()
    return path
