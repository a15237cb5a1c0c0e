"""The law of the machine: for every op, precision, shape and layout it agrees with the reference."""

import dataclasses
import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline.errors import OutOfRangeError, ProgramError
from fallline.graph.node import Graph, new_input
from fallline.graph.op import TABLE, Kind
from fallline.graph.trace import trace
from fallline.ops.gather_scatter import gather
from fallline.program import reference
from fallline.program.lower import lower
from fallline.program.machine import Program, verify
from fallline.program.strides import Ref

PRECISIONS = (np.float32, np.float64)
TOLERANCE = {np.dtype(np.float32): 4e-6, np.dtype(np.float64): 1e-12}
ELEMENTWISE = [op for op in TABLE.values() if op.kind is Kind.ELEMENTWISE]
OTHERS = [op for op in TABLE.values() if op.kind not in (Kind.ELEMENTWISE, Kind.SOURCE)]


def assert_machine_is_reference(function, arrays, keep=False):
    inputs = tuple(new_input(a.shape, a.dtype) for a in arrays)
    graph, _ = trace(function, inputs)
    program = Program(lower(graph), arrays, keep=keep)
    program.run()
    for want, ref in zip(reference.run(graph, arrays), program.outputs, strict=True):
        got = program.value(ref)
        assert got.shape == want.shape
        assert got.dtype == want.dtype
        tolerance = TOLERANCE.get(want.dtype, 0)
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
    return program


def arguments(op, rng, dtype, shapes):
    count = len(inspect.signature(op.meaning).parameters)
    domains = op.domain if isinstance(op.domain, tuple) else (op.domain,) * count
    return [rng.uniform(d.low, d.high, s).astype(dtype) for d, s in zip(domains, shapes[:count], strict=True)]


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)
def test_elementwise_op_on_the_machine_is_its_meaning(op, dtype):
    rng = np.random.default_rng(0)
    for shape in ((), (1,), (5, 7), (67,), (0, 3)):
        assert_machine_is_reference(lambda *xs: op(*xs), arguments(op, rng, dtype, [shape] * 3))


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("op", OTHERS, ids=lambda op: op.name)
def test_other_op_on_the_machine_is_its_meaning(op, dtype):
    for args, attrs in op.domain(np.random.default_rng(0)):
        fixed = op.kind is Kind.LOOP  # its body says which dtypes it takes
        arrays = [np.asarray(a) if fixed or np.asarray(a).dtype.kind in "iub" else np.asarray(a, dtype) for a in args]
        assert_machine_is_reference(lambda *xs, attrs=attrs: op(*xs, **attrs), arrays)


SHAPES = [((4, 3), (3,)), ((4, 1), (1, 3)), ((2, 3, 4), (3, 1)), ((2, 1, 4, 1), (3, 1, 5)), ((1,), (2, 2)),
          ((0, 3), (1, 3)), ((3, 2, 2, 2, 2), (3, 1, 2, 1, 2))]  # fmt: skip


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_broadcasting_and_views_on_the_machine(shapes):
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in shapes)
    assert_machine_is_reference(lambda a, b: a + b, [a, b])
    assert_machine_is_reference(lambda a, b: np.where(a > b, a.T.T, 2 * b), [a, b])
    assert_machine_is_reference(lambda a, b: (a * b).T + 1, [a, b])


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("axis", [None, 0, 1, 2, (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_folds_over_any_axes_and_layouts(axis, dtype):
    x = np.random.default_rng(2).standard_normal((3, 5, 17)).astype(dtype)
    assert_machine_is_reference(lambda x: [np.sum(x, axis=axis), np.max(x, axis=axis, keepdims=True)], [x])
    assert_machine_is_reference(
        lambda x: [np.sum(x.transpose(2, 0, 1), axis=axis), np.min(x[::-1, ::2], axis=axis)], [x]
    )


def test_a_long_float32_sum_keeps_its_digits():
    x = np.full(1_000_003, 0.1, np.float32)
    program = assert_machine_is_reference(lambda x: np.sum(x[:10]), [x])
    inputs = (new_input(x.shape, x.dtype),)
    program = Program(lower(Graph(inputs, (np.sum(inputs[0]),))), [x])
    program.run()
    # Exact: 1,000,003 times the float32 nearest to 0.1.
    assert float(program.value(program.outputs[0])) == pytest.approx(1_000_003 * float(np.float32(0.1)), rel=1e-6)


@settings(max_examples=60)
@given(
    sizes=st.tuples(*[st.integers(0, 70)] * 3),
    batch=st.sampled_from([(), (1,), (3,), (2, 2)]),
    turned=st.tuples(st.booleans(), st.booleans()),
    dtype=st.sampled_from(PRECISIONS),
)
def test_products_of_any_size_and_orientation(sizes, batch, turned, dtype):
    m, k, n = sizes
    rng = np.random.default_rng(3)
    a = rng.standard_normal((*batch, *((k, m) if turned[0] else (m, k)))).astype(dtype)
    b = rng.standard_normal((*batch, *((n, k) if turned[1] else (k, n)))).astype(dtype)
    inputs = [new_input(x.shape, x.dtype) for x in (a, b)]
    out = (inputs[0].mT if turned[0] else inputs[0]) @ (inputs[1].mT if turned[1] else inputs[1])
    program = Program(lower(Graph(tuple(inputs), (out,))), [a, b])
    program.run()
    want = (np.swapaxes(a, -1, -2) if turned[0] else a) @ (np.swapaxes(b, -1, -2) if turned[1] else b)
    np.testing.assert_allclose(program.value(program.outputs[0]), want, rtol=0, atol=TOLERANCE[np.dtype(dtype)] * 30)


@pytest.mark.parametrize("sizes", [(1, 600, 1), (40, 1100, 70), (33, 520, 600), (128, 513, 512)], ids=str)
@pytest.mark.parametrize("turned", [False, True])
def test_products_deeper_and_wider_than_a_block(sizes, turned):
    m, k, n = sizes
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((m, k)), rng.standard_normal((n, k) if turned else (k, n))
    program = assert_machine_is_reference(lambda a, b: a @ (b.T if turned else b), [a, b])
    assert program.nbytes < 2e7


def network(x, w1, b1, w2, y):
    h = np.tanh(x @ w1 + b1)
    z = h @ w2
    z = z - np.max(z, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(z), axis=1)) - np.sum(z * y, axis=1)) + 0.01 * np.sum(w1**2)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 13])
def test_a_network_with_its_gradients(dtype, keep, rows):
    rng = np.random.default_rng(5)
    shapes = ((rows, 6), (6, 9), (9,), (9, 4))
    arrays = [rng.standard_normal(s).astype(dtype) for s in shapes]
    arrays.append(np.eye(4, dtype=dtype)[rng.integers(0, 4, rows)])
    gradient = fl.value_and_grad(network, argnums=(1, 2, 3))
    assert_machine_is_reference(lambda *xs: gradient(*xs), arrays, keep=keep)


BINARY = [np.add, np.subtract, np.multiply, np.maximum]
UNARY = [np.tanh, np.square, lambda x: x[::-1], lambda x: x.T, lambda x: np.sum(x, axis=0, keepdims=True), np.negative]


@settings(max_examples=25)
@given(data=st.data())
def test_random_graphs_on_the_machine_are_the_reference(data):
    """Deep mixtures of chains, views, folds and products, with several outputs and shared values."""
    n, m = data.draw(st.sampled_from([(1, 1), (3, 3), (4, 4), (1, 5), (6, 2)]))
    choices = data.draw(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 99), st.integers(0, 99)), max_size=8))

    def function(*xs):
        values = list(xs)
        for op, i, j in choices:
            a, b = values[i % len(values)], values[j % len(values)]
            if op < len(BINARY):
                try:
                    values.append(BINARY[op](a, b))
                except ValueError:
                    values.append(a - 1)
            elif op < len(BINARY) + len(UNARY):
                values.append(UNARY[op - len(BINARY)](a))
            else:
                values.append(a @ b.T if a.shape[-1] == b.shape[-1] else np.concatenate([a, a], axis=1))
        return values

    rng = np.random.default_rng(6)
    assert_machine_is_reference(function, [rng.uniform(-1, 1, (n, m)), rng.uniform(-1, 1, (n, m))])


def test_nan_and_infinity_pass_through_as_in_the_reference():
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e38, -1e38, 1e-40, 88.8, -103.9], np.float32)
    for function in (np.exp, np.tanh, fl.ops.expit, TABLE["relu"], np.sign, np.abs, np.sqrt, np.log, fl.ops.erf):
        with np.errstate(all="ignore"):
            assert_machine_is_reference(lambda x, f=function: f(x), [x])
    assert_machine_is_reference(lambda x: [np.max(x), np.argmax(x), np.maximum(x, x[::-1]), np.sort(x)], [x])


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", ["exp", "expm1", "log", "log1p", "tanh", "sigmoid", "erf", "logaddexp"])
def test_own_functions_stay_within_a_few_units_in_the_last_place(name, dtype):
    limits = np.finfo(dtype)
    wide = np.concatenate([np.linspace(-90, 90, 4001), np.linspace(-1, 1, 2001), np.linspace(-750, 720, 3001)])
    tall = np.geomspace(float(limits.smallest_subnormal), float(limits.max) / 2, 4001)
    everywhere = {"log": tall, "log1p": np.concatenate([tall, -1 + np.geomspace(1e-7, 1, 999)])}
    x = everywhere.get(name, wide).astype(dtype)
    args = [x, x[::-1].copy()] if name == "logaddexp" else [x]
    inputs = tuple(new_input(a.shape, a.dtype) for a in args)
    program = Program(lower(Graph(inputs, (TABLE[name](*inputs),))), args)
    program.run()
    got = program.value(program.outputs[0]).astype(np.longdouble)
    with np.errstate(all="ignore"):
        want = exactly(name, [a.astype(np.longdouble) for a in args])
    normal = np.isfinite(got) & (np.abs(want) < limits.max)
    # Results below the normal range may be flushed to 0; logaddexp crosses 0, where only an absolute bound makes sense.
    floor = limits.eps if name == "logaddexp" else limits.smallest_normal
    unit = np.maximum(np.abs(want), floor) * limits.eps
    allowed = unit * 4 + (limits.smallest_normal if name in ("sigmoid", "exp") else 0)
    assert np.all(np.abs(got - want)[normal] <= allowed[normal])
    assert np.all(got[np.abs(want) / 2 > limits.max] == np.inf)


def exactly(name, args):
    """The functions in extended precision, from NumPy's elementary ones."""
    x = args[0]
    if name == "erf":
        return TABLE["erf"].meaning(x.astype(np.float64)).astype(np.longdouble)
    if name == "sigmoid":
        return 1 / (1 + np.exp(-x))
    return getattr(np, name)(*args)


def test_a_position_outside_the_array_is_an_error_and_reads_nothing():
    x, index = np.arange(5.0), np.array([0, 5])
    inputs = new_input(x.shape, x.dtype), new_input(index.shape, index.dtype)
    program = Program(lower(Graph(inputs, (gather(*inputs, axis=0),))), [x, index])
    with pytest.raises(OutOfRangeError, match="position of 5"):
        program.run()


def test_an_operand_outside_its_buffer_is_refused():
    x = new_input((4,), np.float32)
    lowered = lower(Graph((x,), (x + 1,)))
    (instruction,) = lowered.instructions
    verify(lowered.instructions, lowered.buffers)
    for i, ref in enumerate(instruction.operands):
        number, dtype = ref.buffer, ref.dtype
        for worse in (Ref(number, ref.offset + 1, (4,), (1,), dtype), Ref(number, -1, (4,), (1,), dtype),
                      Ref(number, 0, (4,), (2,), dtype), Ref(99, 0, (4,), (1,), dtype),
                      Ref(number, 0, (2,), (1,), np.dtype(np.float64))):  # fmt: skip
            operands = (*instruction.operands[:i], worse, *instruction.operands[i + 1 :])
            broken = type(instruction)(
                instruction.name, instruction.source, operands, instruction.outputs, instruction.words
            )
            with pytest.raises(ProgramError, match=r"touches elements|no buffer"):
                verify([broken], lowered.buffers)


def test_what_a_program_points_to_is_kept_alive():
    x = new_input((1000,), np.float64)
    program = Program(lower(Graph((x,), (np.sum(x * np.ones(1000)),))), [np.ones(1000)])
    for _ in range(3):
        np.full(1000, np.nan)  # would reuse the array's memory, had it been freed
    program.run()
    assert program.value(program.outputs[0]) == 1000


def test_an_unknown_dtype_is_named():
    x = dataclasses.replace(new_input((3,), np.int16), dtype=np.dtype(np.float16))
    with pytest.raises(ProgramError, match="float16"):
        lower(Graph((x,), (x,)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64, np.uint64, bool])
def test_small_types_are_read_as_they_lie(dtype):
    x = np.array([[0, 1], [1, 0], [1, 1]], dtype)
    assert_machine_is_reference(
        lambda x: [x.astype(np.float32) / 255, np.sum(x, axis=0), np.take(x, [2, 0], axis=0)], [x]
    )
