"""The description of the machine on which a benchmark ran."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from fallline.bench import host


def test_the_machine_is_reported_with_date_and_cores() -> None:
    told = host.machine()
    assert told.startswith(time.strftime("%Y-")) and f"{os.cpu_count()} cores" in told


def test_libraries_are_reported_with_their_versions() -> None:
    assert f"numpy {np.__version__}" in host.libraries()


@pytest.mark.parametrize(("flags", "kernels", "told"), [
    ("avx2 avx512f", "Haswell", True),
    ("avx2 avx512f", "SkylakeX", False),
    ("avx2", "Haswell", False),
])  # fmt: skip
def test_a_blas_that_leaves_avx512_unused_is_reported(
    flags: str, kernels: str, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = {"user_api": "blas", "internal_api": "openblas", "version": "0.3", "architecture": kernels}
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: [pool])
    monkeypatch.setattr(host, "facts", lambda: {"flags": flags})
    assert f"openblas 0.3 ({kernels})" in host.blas()
    assert ("AVX2 kernels" in host.blas()) == told
