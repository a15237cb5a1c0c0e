"""The processor that kernels are made for: its registers, and Numba's settings for it."""

import pytest
from llvmlite import binding as llvm

from fallline.program.kernels import registers


@pytest.mark.parametrize(("features", "triple", "expected"), [
    ("avx512f avx avx2", "x86_64-unknown-linux-gnu", (64, 4)), ("avx avx2 fma", "x86_64-apple-darwin", (32, 2)),
    ("avx", "x86_64-pc-windows-msvc", (32, 2)), ("sse4.2", "x86_64-unknown-linux-gnu", (16, 2)),
    ("neon", "arm64-apple-darwin24", (16, 4)), ("neon", "aarch64-unknown-linux-gnu", (16, 4)),
])  # fmt: skip
def test_a_tile_fits_the_registers(features, triple, expected, monkeypatch):
    found = llvm.FeatureMap(dict.fromkeys(features.split(), True))
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: found)
    monkeypatch.setattr(llvm, "get_default_triple", lambda: triple)
    assert registers._registers() == expected


def test_numbas_settings_are_followed_wholly(monkeypatch):
    features = llvm.FeatureMap({"sse2": True, "avx": True, "avx2": True, "avx512f": True, "fma": True})
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: llvm.FeatureMap(features))
    monkeypatch.setattr(llvm, "get_default_triple", lambda: "x86_64-unknown-linux-gnu")
    assert registers._registers() == (64, 4)
    monkeypatch.setenv("NUMBA_ENABLE_AVX", "0")
    assert registers._registers() == (16, 2)
    assert "-avx" in registers.target()[1] and "+sse2" in registers.target()[1]
    monkeypatch.setenv("NUMBA_ENABLE_AVX", "1")
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert registers.target() == ("generic", "") and registers._registers() == (16, 2)
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+avx2,+avx")
    assert registers._registers() == (32, 2)
