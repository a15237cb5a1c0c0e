"""Tries Fallline as other processors would run it: `python tools/processors.py NAME ...`; without a name, all of them.

x86-64 levels run on this processor, with kernels compiled for fewer features. 64-bit Arm is emulated: that takes Debian
or Ubuntu with the packages qemu-user and debootstrap, a quarter of an hour, and 1 GB below build/arm. For each, the
tests of kernels, programs and trainings run, and the parameters of small trainings are compared to the last bit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ARM = ROOT / "build" / "arm"
TESTS = ["tests/test_tiny.py", "tests/program/test_machine.py", "tests/program/kernels/test_product.py"]
V2 = "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+sahf,+fxsr,+mmx,+cmov,+cx8,+64bit"
V3 = f"{V2},+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+xsave"

# Networks whose steps use products of every size of tile, each kind of fold, and the fast forms.
DIGESTS = """
import hashlib, sys
import numpy as np
import fallline as fl
rng = np.random.default_rng(0)
for name, sizes, rows, loss in (
    ("30-64-64-2", (30, 64, 64, 2), 400, "cross_entropy"),
    ("784-100-10", (784, 100, 10), 300, "cross_entropy"),
    ("8-32-1", (8, 32, 1), 1000, "squared_error"),
):
    x = rng.standard_normal((rows, sizes[0]))
    y = rng.integers(0, sizes[-1], rows) if loss == "cross_entropy" else np.sin(x[:, 0])
    for dtype in ("float32", "float64"):
        for act in (fl.nn.ReLU(), fl.nn.Tanh(), fl.nn.GELU()):
            layers = [part for n in sizes[1:-1] for part in (fl.nn.Dense(n), act)]
            network = fl.nn.Sequential(*layers, fl.nn.Dense(sizes[-1]))
            run = fl.fit(network, (x, y), loss=loss, epochs=2, batch_size=32, seed=0, dtype=dtype, validation=None)
            digest = hashlib.sha256(run.model.theta.tobytes()).hexdigest()[:16]
            print("theta", name, dtype, repr(act), digest)
"""


@dataclass(frozen=True, slots=True)
class Processor:
    """settings: of the environment. command: runs Python there. packages: the folder that it imports them from."""

    doc: str
    settings: dict[str, str]
    command: Callable[[], list[str]]
    packages: Path | None = None
    options: tuple[str, ...] = ()  # of pytest


def here() -> list[str]:
    return [sys.executable]


def emulated() -> list[str]:
    """The command of an emulated Python, which is put together the first time."""
    root, site = ARM / "root", ARM / "site"
    for needed in ("qemu-aarch64", "debootstrap", "dpkg-deb", "tar"):
        if shutil.which(needed) is None:
            raise SystemExit(f"{needed} is missing\n  try: apt-get install qemu-user debootstrap")
    if not (root / "usr/bin/python3.11").exists():
        _unpack_debian(root)
    if not site.exists():
        _unpack_wheels(site)
    return ["qemu-aarch64", "-L", str(root), str(root / "usr/bin/python3.11")]


def _unpack_debian(root: Path) -> None:
    """Debian 12 for Arm with Python 3.11, its packages laid one over the other: no script of theirs runs."""
    download = ARM / "debian"
    download.mkdir(parents=True, exist_ok=True)
    wanted = "--include=python3.11,libstdc++6,libgomp1"
    subprocess.run(
        ["debootstrap", "--arch=arm64", "--variant=minbase", "--download-only", wanted, "bookworm", str(download)],
        check=True,
    )
    for name in ("lib", "bin", "sbin"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in sorted((download / "var/cache/apt/archives").glob("*.deb")):
        files = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", str(root)], input=files, check=True)


def _unpack_wheels(site: Path) -> None:
    """The dependencies of Fallline and its tests, as wheels for Arm."""
    wheels = ARM / "wheels"
    platforms = [f"--platform=manylinux_2_{n}_aarch64" for n in (28, 27, 17)] + ["--platform=manylinux2014_aarch64"]
    needed = ["numpy", "scipy", "llvmlite", "numba", "scikit-learn", "typer", "rich", "safetensors", "pytest"]
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "-d", str(wheels), "--only-binary=:all:"]
        + ["--python-version=3.11", "--implementation=cp", *platforms, *needed, "hypothesis"],
        check=True,
    )
    unfinished = ARM / "site.part"
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unfinished)
    unfinished.rename(site)


PROCESSORS = {
    "this": Processor("this one, as it is", {}, here),
    "x86-64-v3": Processor(
        "x86 with AVX2 and FMA, 32-byte registers", {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": V3}, here
    ),
    "x86-64-v2": Processor(
        "x86 without AVX and FMA, 16-byte registers", {"NUMBA_CPU_NAME": "x86-64-v2", "NUMBA_CPU_FEATURES": V2}, here
    ),
    "x86-64": Processor("the oldest 64-bit x86", {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"}, here),
    # Under emulation NumPy's own products warn of divisions, and a test cannot start another emulated Python.
    "arm64": Processor(
        "64-bit Arm, emulated, 16-byte registers",
        {},
        emulated,
        ARM / "site",
        ("-W", "ignore::RuntimeWarning", "-k", "not other_registers"),
    ),
}


def environment(processor: Processor) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    path = [str(ROOT / "src"), *([str(processor.packages)] if processor.packages else [])]
    return kept | {"PYTHONPATH": os.pathsep.join(path), "OPENBLAS_NUM_THREADS": "1"} | processor.settings


def digests(processor: Processor) -> list[str]:
    """One line for each small training, ending with a digest of its parameters."""
    done = subprocess.run(
        [*processor.command(), "-c", DIGESTS], env=environment(processor), cwd=ROOT, check=True, text=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    return done.stdout.splitlines()


def tested(processor: Processor) -> bool:
    command = [*processor.command(), "-m", "pytest", "-q", "-p", "no:cacheprovider", *processor.options, *TESTS]
    return subprocess.run(command, env=environment(processor), cwd=ROOT).returncode == 0


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in PROCESSORS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are: {', '.join(PROCESSORS)}", file=sys.stderr)
        return 2
    reference, failed = digests(PROCESSORS["this"]), False
    for name in names or PROCESSORS:
        processor = PROCESSORS[name]
        print(f"\n{name}: {processor.doc}", flush=True)
        got = digests(processor)
        same = sum(a == b for a, b in zip(reference, got, strict=True))
        print(f"  {same} of {len(reference)} trainings have the bits of this processor", flush=True)
        passed = tested(processor)
        print(f"  tests {'passed' if passed else 'FAILED'}", flush=True)
        failed |= not passed
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
