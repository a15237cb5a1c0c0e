"""The processor that kernels are compiled for, and its vector registers. Knows LLVM, not Numba: it is read at every
start, and Numba takes longer to import than everything else together."""

import os

import llvmlite.binding as llvm


def target() -> tuple[str, str]:
    """Name and features of the processor that kernels are compiled for: this one, or the one in Numba's settings."""
    name, features = (os.environ.get(f"NUMBA_CPU_{name}") for name in ("NAME", "FEATURES"))
    if features is None and (name or "").lower() == "generic":
        features = ""  # those that every processor of the kind has
    if features is None:
        known = llvm.get_host_cpu_features()
        if os.environ.get("NUMBA_ENABLE_AVX", "") == "0":
            for feature in known:
                known[feature] = known[feature] and not feature.startswith("avx")
        features = known.flatten()
    return name or llvm.get_host_cpu_name(), features


def _registers() -> tuple[int, int]:
    """Bytes in a vector register of this processor, and how many of them stand side by side in a tile."""
    features = target()[1].split(",")
    if "+avx512f" in features:
        return 64, 4  # 6 x 4 sums, 4 columns and a factor: 29 of 32 registers
    if "+avx" in features:
        return 32, 2  # 6 x 2 sums of 16 registers
    return 16, 2 if llvm.get_default_triple().startswith(("x86", "i")) else 4  # of 16 registers, or of 32 (Arm)


REGISTER, WIDE = _registers()
LANES = {"float32": REGISTER // 4, "float64": REGISTER // 8}

# So many terms of a sum are added up, then their sum is added to those of the terms before: in products, and in sums
# of rows. Blocks of a product are as deep.
DEPTH = 384
