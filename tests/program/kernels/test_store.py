"""The kernel cache: private, whole or not at all, healed when damaged, shared by processes, never stale."""

import contextlib
import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest

import fallline
from fallline.errors import ProgramError
from fallline.program.kernels import backend, store, with_numba, wrap

SOURCE = Path(fallline.__file__).parents[1]
PROBE = """
import sys
sys.path.insert(0, {source!r})
import numpy as np
import fallline as fl
x = np.linspace(0, 1, 50)
assert np.allclose(fl.compile(lambda x: np.sum(np.tanh(x) * x))(x), np.sum(np.tanh(x) * x))
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FALLLINE_CACHE", str(tmp_path))
    store.folder.cache_clear()
    monkeypatch.setattr(store, "_addresses", {})
    yield tmp_path
    store.folder.cache_clear()


def probe(count=1, **more):
    """Run the probe in processes of their own, all at once; more: for their environment."""
    command = [sys.executable, "-W", "error", "-c", PROBE.format(source=str(SOURCE))]
    environment = {**os.environ, **more}
    started = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(count)]
    for process in started:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error


FILL = wrap.source_of("move", "fill", ("float32",), 1)


def ones_filled(address):
    """Call the kernel FILL at an address on an array of ones."""
    array = np.ones(7, np.float32)
    row = np.array([array.ctypes.data, 5], np.int64)
    ctypes.CFUNCTYPE(None, ctypes.c_int64)(address)(row.ctypes.data)
    return array.tolist()


@pytest.fixture
def kept(cache):
    """The file of the kernel FILL; this process has forgotten that it loaded it."""
    store.address(FILL)
    store._addresses.clear()
    (file,) = store.folder().glob("*.kernel")
    return file


@pytest.fixture
def no_compiler(monkeypatch):
    monkeypatch.setattr(store, "build", lambda sources: pytest.fail("compiled again"))


def test_a_kernel_is_kept_and_found_again(kept, no_compiler):
    assert ones_filled(store.address(FILL)) == [0, 0, 0, 0, 0, 1, 1]
    assert store.folder().stat().st_mode & 0o777 == 0o700
    assert [file.name for file in store.folder().iterdir()] == [kept.name]


def of(content):
    """FILL's file as it would be written, with something else for object code."""
    return store._packed(hashlib.sha256(FILL.encode()).hexdigest()[:20], (content,), ())


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"rubbish",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        # A file of another program with a right digest is no object code either.
        lambda content: of(b""),
        lambda content: of(b"rubbish"),
        lambda content: of(content[33 : len(content) // 2]),
    ],
)
def test_a_damaged_file_is_compiled_anew(kept, damage):
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert ones_filled(store.address(FILL)) == [0, 0, 0, 0, 0, 1, 1]
    assert len(kept.read_bytes()) == len(whole)


def test_another_kernel_s_file_is_not_taken_for_this_one(kept):
    store.address(wrap.source_of("move", "fill", ("float64",), 1))
    (other,) = {*store.folder().glob("*.kernel")} - {kept}
    kept.write_bytes(other.read_bytes())
    assert ones_filled(store.address(FILL)) == [0, 0, 0, 0, 0, 1, 1]


def test_code_with_a_name_that_nobody_has_is_compiled_anew(kept):
    text = "declare void @of_nobody() define void @kernel(i64 %row) { call void @of_nobody() ret void }"
    code = backend.target_machine().emit_object(llvm.parse_assembly(text))
    kept.write_bytes(store._packed(kept.stem, (code,), ("of_nobody",)))
    assert ones_filled(store.address(FILL)) == [0, 0, 0, 0, 0, 1, 1]


HOLDER = """
import sys
import numpy as np
import fallline as fl
from fallline.graph.declare import REAL, elementwise
table = np.linspace(0, 1, 200_001) * float(sys.argv[1])  # too large for Numba to copy into the code

@elementwise(grad=lambda g, y, x: (g,), domain=REAL)
def looked_up(x):
    \"\"\"A place in a table.\"\"\"
    return table[int(abs(x) * 100_000)]

found = fl.compile(lambda x: looked_up(x))(np.array([-1.0, 0.5]))
np.testing.assert_allclose(found, table[[100_000, 50_000]])
"""


def test_code_that_holds_addresses_of_a_process_is_not_kept_for_the_next(cache):
    for factor in ("1", "3"):
        command = [sys.executable, "-c", HOLDER, factor]
        done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("body", ['raise ValueError("negative", w[0])', "print(w[0])"])
def saying(what):
    """A kernel that says something where its first word is negative, and else adds one to it."""
    lines = [
        "def kernel(row):",
        "    w = word_pointer(row)",
        "    if w[0] < 0:",
        f"        {what}",
        "    w[0] += 1",
        "",
    ]
    return FILL[: FILL.index("def kernel")] + "\n".join(lines)


@pytest.mark.parametrize("what", ['raise ValueError("negative", w[0])', "print(w[0])"])
def test_what_needs_the_interpreter_is_reported(cache, what):
    with pytest.raises(ProgramError, match="constant text"):
        store.address(saying(what))


def test_an_exception_with_a_constant_text_may_stay(cache):
    for _ in range(2):  # compiled, and from the cache
        row = np.array([5], np.int64)
        ctypes.CFUNCTYPE(None, ctypes.c_int64)(store.address(saying('raise ValueError("negative")')))(row.ctypes.data)
        assert row[0] == 6
        store._addresses.clear()


def test_where_nothing_can_be_linked_numba_does_it(cache, monkeypatch):
    def link(*what):
        raise RuntimeError("not here")

    monkeypatch.setattr(store, "link", link)
    assert ones_filled(store.address(FILL)) == [0, 0, 0, 0, 0, 1, 1]
    assert not list(store.folder().iterdir())


def test_a_folder_that_takes_no_more_is_reported(cache, monkeypatch):
    def full(*what, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.tempfile, "mkstemp", full)
    with pytest.warns(UserWarning, match="the next process compiles it again.*No space left"):
        assert ones_filled(store.address(FILL)) == [0, 0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("upwards", [0, 1, 2])
def test_a_folder_deleted_meanwhile_is_made_again(cache, upwards):
    folder = store.folder()
    shutil.rmtree([folder, *folder.parents][upwards])
    assert ones_filled(store.address(FILL)) == [0, 0, 0, 0, 0, 1, 1]
    assert len(list(folder.glob("*.kernel"))) == 1


def test_nothing_is_kept_in_a_folder_that_others_have_opened_meanwhile(cache):
    store.folder().chmod(0o777)
    with pytest.warns(UserWarning, match="the next process compiles it again.*only we can write to"):
        assert ones_filled(store.address(FILL)) == [0, 0, 0, 0, 0, 1, 1]
    assert not list(store.folder().iterdir())


def test_a_folder_others_may_write_to_is_not_used(cache, tmp_path):
    folder = store.folder()
    folder.chmod(0o777)
    store.folder.cache_clear()
    other = store.folder()
    assert other != folder


def test_an_unwritable_place_falls_back_to_a_temporary_one(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("FALLLINE_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "file"))
    store.folder.cache_clear()
    try:
        assert store.folder().is_dir()
        assert not store.folder().is_relative_to(tmp_path / "file")
    finally:
        store.folder.cache_clear()


def test_without_a_home_the_next_process_finds_what_this_one_compiled(monkeypatch, tmp_path):
    for name in ("FALLLINE_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(store.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(store.os.path, "expanduser", lambda path: path)  # no home in the list of users either
    found = []
    try:
        for _ in range(2):
            store.folder.cache_clear()
            found.append(store.folder())
        assert found[0] == found[1]
        assert found[0].is_relative_to(tmp_path)
        # Others may put a folder of that name there first: what they can write to is not used.
        found[0].parent.chmod(0o777)
        store.folder.cache_clear()
        assert not store.folder().is_relative_to(found[0].parent)
    finally:
        store.folder.cache_clear()


def test_the_folder_follows_from_the_sources_kernels_are_made_of(cache, monkeypatch):
    before = store.folder().name
    store.folder.cache_clear()
    read = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda self, *a, **k: read(self, *a, **k) + ("#" if self.name == "fast.py" else "")
    )
    assert store.folder().name != before


def test_processes_that_compile_the_same_kernels_at_once_agree(cache):
    probe(3)
    probe(1)


def test_kernels_are_compiled_where_a_program_s_own_functions_are_not_to_be(cache):
    probe(NUMBA_DISABLE_JIT="1")


def test_ctrl_c_that_a_callback_swallows_is_raised_when_compiling_ends():
    with pytest.raises(KeyboardInterrupt), with_numba._compiling(), contextlib.suppress(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_while_compiling_is_raised_at_once():
    with pytest.raises(KeyboardInterrupt), with_numba._compiling():
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("went on")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


PRODUCT = """
import sys
import numpy as np
from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.program.lower import lower, prepared
from fallline.program.machine import Program

rng = np.random.default_rng(0)
for dtype in sys.argv[1:]:
    for m, k, n in [(897, 64, 32), (7, 3, 10), (70, 300, 130)]:
        for turned in (False, True):
            a, b = (rng.standard_normal(s).astype(dtype) for s in ((m, k), (n, k) if turned else (k, n)))
            inputs = [new_input(array.shape, array.dtype) for array in (a, b)]
            graph, _ = trace(lambda a, b: a @ (b.T if turned else b), inputs)
            program = Program(lower(prepared(graph)), [a, b])
            program.run()
            tolerance = 1e-3 if dtype == "float32" else 1e-10
            np.testing.assert_allclose(program.value(program.outputs[0]), a @ (b.T if turned else b), atol=tolerance)
"""


def test_kernels_compiled_in_different_processes_do_not_take_one_anothers_functions(tmp_path):
    def run(*dtypes):
        # Names hold flags in the order of a set, so only one order of hashing shows it at every run.
        environment = os.environ | {"FALLLINE_CACHE": str(tmp_path), "PYTHONHASHSEED": "0"}
        subprocess.run([sys.executable, "-c", PRODUCT, *dtypes], env=environment, check=True)

    run("float32")
    run("float64")
    run("float32", "float64")
    run("float64", "float32")
