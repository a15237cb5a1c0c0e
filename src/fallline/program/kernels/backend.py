"""From LLVM code as text to object code, by LLVM's passes: in this process, or in one that runs this file.

Run as a program it imports nothing of the package and nothing but LLVM, so it starts in a tenth of a second: it reads
a request from its input, and writes object code to its output.
"""

import marshal
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any


@cache
def _started() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


def target_machine(processor: tuple[str, str] | None = None) -> Any:
    """LLVM's description of a processor: of the one that kernels are compiled for, if none is named."""
    llvm = _started()
    if processor is None:
        from fallline.program.kernels.registers import target

        processor = target()
    name, features = processor
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=name, features=features, opt=3, reloc="pic", codemodel="jitdefault", jit=True
    )


def emitted(text: str, processor: tuple[str, str]) -> bytes:
    """Object code of a module after all of LLVM's passes.

    Errors: RuntimeError for text that is no right module.
    """
    llvm = _started()
    module = llvm.parse_assembly(text)
    machine = target_machine(processor)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=_setting("OPT", 3))
    options.loop_vectorization = bool(_setting("LOOP_VECTORIZE", 1))
    options.slp_vectorization = bool(_setting("SLP_VECTORIZE", 0))
    builder = llvm.create_pass_builder(machine, options)
    passes = builder.getModulePassManager()
    passes.run(module, builder)
    code: bytes = machine.emit_object(module)
    return code


def _setting(name: str, otherwise: int) -> int:
    """A setting of Numba's, which holds for our own compiler too."""
    given = os.environ.get(f"NUMBA_{name}", "")
    return int(given) if given.isdigit() else otherwise


class Helper(threading.Thread):
    """A process that compiles some modules, and the thread that waits for it."""

    def __init__(self, texts: list[str], processor: tuple[str, str]) -> None:
        super().__init__(daemon=True)
        self.request = marshal.dumps((sys.path, texts, processor))
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.answer = b""
        self.start()

    def run(self) -> None:
        self.answer = self.process.communicate(self.request)[0]

    def codes(self) -> list[bytes]:
        """Its result; nothing where it failed."""
        self.join()
        return list(marshal.loads(self.answer)) if self.process.returncode == 0 else []

    def end(self) -> None:
        """Let go of it, whether it is done or not."""
        if self.is_alive():
            self.process.kill()
        self.join()


def emitted_all(texts: Sequence[str], processor: tuple[str, str]) -> list[bytes | None]:
    """Object code of every module, on all processors where there is much to do; None for a module that is not valid."""
    shares = shared_out([len(text) for text in texts], _processors())
    helpers: list[tuple[list[int], Helper]] = []
    found: dict[int, bytes | None] = {}
    try:
        for share in shares[1:]:
            try:
                helpers.append((share, Helper([texts[i] for i in share], processor)))
            except OSError:  # no room for one more process
                break
        for i in shares[0]:
            found[i] = _emitted_or_none(texts[i], processor)
        for share, helper in helpers:
            found.update(zip(share, helper.codes(), strict=False))
    finally:
        for _, helper in helpers:
            helper.end()
    return [found[i] if i in found else _emitted_or_none(text, processor) for i, text in enumerate(texts)]


def _emitted_or_none(text: str, processor: tuple[str, str]) -> bytes | None:
    try:
        return emitted(text, processor)
    except RuntimeError:
        return None


# As much text as LLVM compiles in the time that another process takes to start, and as one is worth starting for.
START, WORTH = 40_000, 120_000
MOST = 4  # processes


def shared_out(sizes: Sequence[int], processors: int) -> list[list[int]]:
    """Numbers of the modules for this process, and for each helper: largest first, to whoever has least to do."""
    shares: list[list[int]] = [[]]
    if sum(sizes) >= WORTH:
        shares += [[] for _ in range(min(processors, MOST, len(sizes)) - 1)]
    load = [0, *[START] * (len(shares) - 1)]
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        least = load.index(min(load))
        shares[least].append(i)
        load[least] += sizes[i]
    return [shares[0], *(share for share in shares[1:] if share)]


def _processors() -> int:
    """How many processes may run at once; 1 where no Python can be started."""
    if not sys.executable or not os.path.exists(__file__):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    """Serve one request."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asked is interrupted, and ends this
    path, texts, processor = marshal.loads(sys.stdin.buffer.read())
    sys.path[:] = path
    sys.stdout.buffer.write(marshal.dumps([_emitted_or_none(text, tuple(processor)) for text in texts]))


if __name__ == "__main__":
    main()
