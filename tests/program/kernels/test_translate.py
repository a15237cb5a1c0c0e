"""Our own translation of kernels: it knows all of ours, with Python's results."""

import ctypes
import math

import numpy as np
import pytest

import fallline.ops  # noqa: F401  (fills the table)
from fallline.graph.op import TABLE, Kind
from fallline.program.kernels import backend, build, store, wrap
from fallline.program.kernels.elementwise import Chain, Step, source_of
from fallline.program.kernels.language import Intrinsic, cfunc, intrinsic, njit, types
from fallline.program.kernels.memory import pointer_to, word_pointer
from fallline.program.kernels.parse import NotTranslated, definition
from fallline.program.kernels.registers import target
from fallline.program.kernels.translate import translated

DTYPES = ("float32", "float64")
FOLDS = ("sum", "max", "min", "argmax", "argmin")
RUNNERS = ("RUNNER", "LONG_RUNNER", "ROW_RUNNER", "LANE_RUNNER", "CLOCKED_RUNNER")
OURS = {
    **{name: getattr(wrap, name) for name in RUNNERS},
    **{f"product-{dtype}": wrap.product_source(dtype) for dtype in DTYPES},
    **{f"pack-{dtype}": wrap.pack_source(dtype) for dtype in DTYPES},
    **{f"dots-{dtype}": wrap.dots_source(dtype) for dtype in DTYPES},
    **{f"{name}-{way}-{dtype}": wrap.fold_source(name, dtype, way)
       for name in FOLDS for way in ("along", "across") for dtype in (*DTYPES, "int64", "bool")},
    **{f"scatter_add-{dtype}": wrap.source_of("move", "scatter_add", (dtype, dtype, "int64", "int64"), 4)
       for dtype in DTYPES},
    "argsort": wrap.source_of("fold", "scan_argsort", ("int64", "float32", "int64"), 6, "REORDERED"),
    "cumsum": wrap.source_of("fold", "scan_cumsum", ("float64", "float64"), 6, "REORDERED"),
    "copy": wrap.source_of("move", "copy", ("float32", "float32"), 18),
    "watch": wrap.source_of("fold", "watch", ("int64", "float32"), 0),
}  # fmt: skip
OPS = [(op.name, dtype) for op in TABLE.values() if op.kind is Kind.ELEMENTWISE for dtype in DTYPES]


def chain_of(name, dtype):
    """The source of a kernel that does one op."""
    count = TABLE[name].meaning.__code__.co_argcount
    kinds = [dtype] * count
    if name == "where":
        kinds[0] = "bool"
    if name == "random_bits":
        kinds = ["int64"] * count
    out = {"random_bits": "int64"}.get(name, dtype)
    step = Step(name, kinds[-1], tuple(f"x{i}" for i in range(count)))
    return source_of(Chain(tuple((kind, "c") for kind in kinds), (step,), (("t0", out, "c"),)))


@pytest.mark.parametrize("name", OURS)
def test_every_kernel_of_ours_is_translated_without_numba(name):
    assert build.texts_of(build.described(OURS[name]), OURS[name])


@pytest.mark.parametrize(("name", "dtype"), OPS)
def test_every_op_is_translated_without_numba(name, dtype):
    source = chain_of(name, dtype)
    build.texts_of(build.described(source), source)


VALUES = [0.0, -0.0, 1.0, -1.0, 0.3, 2.5, -7.25, 1e-30, 1e30, 88.9, -104.5, math.inf, -math.inf, math.nan]


def called(address, arrays, *words):
    row = np.array([*(array.ctypes.data for array in arrays), *words], np.int64)
    ctypes.CFUNCTYPE(None, ctypes.c_int64)(address)(row.ctypes.data)


@pytest.mark.parametrize(("name", "dtype"), [("tanh", "float32"), ("exp", "float64"), ("arctan2", "float32")])
def test_translated_and_compiled_by_numba_an_op_has_the_same_bits(name, dtype):
    source = chain_of(name, dtype)
    count = TABLE[name].meaning.__code__.co_argcount
    rng = np.random.default_rng(0)
    numbers = np.concatenate([VALUES, rng.normal(0, 3, 1000)]).astype(dtype)
    inputs = [numbers, rng.permutation(numbers)][:count]
    n = len(numbers)
    strides = [0, 0, 1] * (count + 1)
    results = []
    numbas = build.by_numba(build.described(source))
    for address in (store.address(source), int(numbas.kernel.address)):
        out = np.zeros(n, dtype)
        called(address, [out, *inputs], 1, 1, n, *strides, 0)
        results.append(out)
    assert results[0].tobytes() == results[1].tobytes()


def outside(function, arguments=2):
    """A function of whole numbers as compiled code, to be called from Python."""
    kernel = cfunc(types.int64(*[types.int64] * arguments))(function)
    texts = [str(module) for module in translated(kernel, definition(function), "kernel")]
    codes = backend.emitted_all(texts, target())
    address = store.link(codes, (), "kernel")
    return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * arguments)(address)


def collatz(n, most):
    steps = 0
    while n != 1 and steps < most:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


def divided(a, b):
    return (a // b) * 1000 + a % b


def skipping(n, k):
    total = 0
    for i in range(n, -n, -k):
        if i % 3 == 0:
            continue
        if total > 50:
            break
        total += i
    return total * 100 + max(n, k, 3) - min(n, k)


def chained(a, b):
    return (1 if 0 < a < b else 2) + (4 if not (a == 1 or b == 1) else 8) + (-a if a < 0 <= b else a)


def floats(a, b):
    x, y = np.float32(a) / np.float32(7), float(b)
    return int(x * 1000 + y) + int(np.sqrt(x * x) > y or np.isnan(x))


def narrow(a, b):
    total = np.int32(0)
    for i in range(b):
        total += np.int32(a)
        total ^= i << 3
    return total >> 1


@pytest.mark.parametrize("function", [collatz, divided, skipping, chained, floats, narrow])
def test_compiled_code_does_what_python_does(function):
    compiled = outside(function)
    for a in (-9, -2, 1, 3, 27):
        for b in (-5, 1, 2, 11):
            if function is collatz and a < 1:
                continue
            assert compiled(a, b) == function(a, b), (a, b)


def test_a_whole_number_divided_by_zero_is_zero():
    assert outside(divided)(7, 0) == 0


@intrinsic
def doubled(context, number):
    def codegen(context, builder, signature, args):
        return builder.add(args[0], args[0])

    return types.int64(types.int64), codegen


@njit()
def stored(address, number):
    word_pointer(address)[0] = doubled(number)


def through(address, number):
    stored(address, number)
    return word_pointer(address)[0]


def test_intrinsics_and_functions_on_their_own_are_called():
    assert isinstance(doubled, Intrinsic)
    kernel = cfunc(types.int64(types.int64, types.int64))(through)
    assert len(translated(kernel, definition(through), "kernel")) == 2
    array = np.zeros(1, np.int64)
    assert outside(through)(array.ctypes.data, 21) == 42 == array[0]


def _both(a, b):
    if a < b:
        return b, a
    return a, b


@njit()
def largest(a, b):
    return a if a > b else b


def parts(a, b):
    high, low = _both(a, b)
    high, low = low, high
    return low * 100 + high + largest(a, 3)


def test_functions_may_return_several_values_and_stand_on_their_own():
    compiled = outside(parts)
    for a, b in ((1, 2), (7, -3)):
        assert compiled(a, b) == max(a, b) * 100 + min(a, b) + max(a, 3)


def mixed(a, b):
    x = 1
    x = x / 2
    return int(x)


def named(a, b):
    return int(round(a, ndigits=b))


def listed(a, b):
    return [a, b][0]


float_pointer = pointer_to("float32")


def foreign(a, b):
    return int(float_pointer(a)[b] % 2.0)


@pytest.mark.parametrize("function", [mixed, named, listed, foreign])
def test_what_the_translation_does_not_know_is_left_to_numba(function):
    kernel = cfunc(types.int64(types.int64, types.int64))(function)
    with pytest.raises(NotTranslated):
        translated(kernel, definition(function), "kernel")


def test_a_function_whose_file_has_changed_is_not_translated_from_it(tmp_path):
    path = tmp_path / "ops.py"
    path.write_text("def f(x):\n    return x + 1\n")
    namespace = {}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    path.write_text("def f(x):\n    return x + 2\n")
    with pytest.raises(NotTranslated):
        definition(namespace["f"])


def test_modules_are_shared_out_by_size_once_there_is_enough_to_do():
    assert backend.shared_out([50_000, 60_000], 8) == [[1, 0]]
    assert backend.shared_out([100_000] * 4, 1) == [[0, 1, 2, 3]]
    shares = backend.shared_out([30_000, 300_000, 90_000, 80_000], 2)
    assert sorted(i for share in shares for i in share) == [0, 1, 2, 3]
    assert shares[0] == [1]
    assert len(backend.shared_out([200_000] * 20, 64)) == backend.MOST


TEXT = "define i64 @kernel(i64 %x) {{ %y = add i64 %x, {0} ret i64 %y }} ; " + "x" * 70_000


def test_modules_compiled_by_helpers_are_the_same():
    texts = [TEXT.format(n) for n in range(4)]
    alone = [backend.emitted(text, target()) for text in texts]
    assert backend.emitted_all(texts, target()) == alone
    helper = backend.Helper(texts, target())
    assert helper.codes() == alone


def test_what_a_helper_could_not_do_is_done_here(monkeypatch):
    monkeypatch.setattr(backend, "shared_out", lambda sizes, processors: [[0], [1, 2]])
    monkeypatch.setattr(backend.Helper, "codes", lambda self: [])
    texts = [TEXT.format(1), TEXT.format(2), "no module"]
    found = backend.emitted_all(texts, target())
    assert found[:2] == [backend.emitted(text, target()) for text in texts[:2]]
    assert found[2] is None


def test_a_long_wait_is_reported_on_a_terminal_once(monkeypatch, capsys):
    monkeypatch.setattr(store, "PATIENCE", 0.0)
    monkeypatch.setattr(store.sys.stderr, "isatty", lambda: True, raising=False)

    def slow():
        with store.slow_compilation_message():
            for timer in store.threading.enumerate():
                if isinstance(timer, store.threading.Timer):
                    timer.join()

    slow()
    assert capsys.readouterr().err == store.SLOW + "\n"
    monkeypatch.setattr(store.sys.stderr, "isatty", lambda: False, raising=False)
    slow()
    assert capsys.readouterr().err == ""
