"""Where a benchmark ran: processor, cores, system, versions, and the processor that the BLAS of NumPy and SciPy takes
it for.
"""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from time import strftime

MEASURED_WITH = ("numpy", "scipy", "numba", "scikit-learn", "torch", "jax")

# OpenBLAS's kernels that leave AVX-512 unused.
NARROW = ("Haswell", "Zen")


def facts() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; empty where there are none."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def processor() -> str:
    """The processor's name, with its family and model where the system gives them."""
    known = facts()
    if not known:
        return platform.processor() or platform.machine()
    wide = "AVX-512" if "avx512f" in known.get("flags", "") else "AVX2" if "avx2" in known.get("flags", "") else ""
    name = known.get("model name", platform.machine())
    parts = [name, f"family {known['cpu family']} model {known['model']}" if "cpu family" in known else "", wide]
    return ", ".join(part for part in parts if part)


def blas() -> str:
    """A sentence on NumPy's and SciPy's BLAS; empty where unknown."""
    import numpy  # noqa: F401 - loads its BLAS
    import scipy.linalg  # noqa: F401

    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return ""
    found = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    names = sorted({f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', '?')})" for pool in found})
    if not names:
        return ""
    text = f"BLAS of NumPy and SciPy, and so of scikit-learn: {', '.join(names)}"
    if "avx512f" in facts().get("flags", "") and all(pool.get("architecture") in NARROW for pool in found):
        text += ": it takes AVX2 kernels on this processor, though it has AVX-512"
    return text + "."


def machine() -> str:
    """When and where, in a sentence: date, processor, cores, system."""
    return f"{strftime('%Y-%m-%d')}, {processor()}, {os.cpu_count()} cores, {platform.system()}."


def libraries() -> str:
    """The versions of the measured libraries, with remarks."""
    versions = [f"Python {platform.python_version()}"]
    for name in MEASURED_WITH:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return f"{', '.join(versions)}. {blas()}".strip()
