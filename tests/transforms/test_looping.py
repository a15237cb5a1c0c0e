"""scan is the loop that it stands for: values, gradients and second derivatives, however it is run, and in a graph
whose size has nothing to do with the number of rows."""

import numpy as np
import pytest

import fallline as fl
from fallline.errors import ArgumentError, ArgumentTypeError, ShapeError, TraceError
from fallline.graph.op import Kind
from fallline.tree import leaves


def unrolled(f, init, xs, length=None, reverse=False):
    """The same as a Python loop over rows, which are traced one by one."""
    count = length if xs is None else len(leaves(xs)[0])
    carry, results = init, [None] * count
    for t in range(count - 1, -1, -1) if reverse else range(count):
        carry, results[t] = f(carry, None if xs is None else fl_map(lambda x, t=t: x[t], xs))
    return carry, stacked(results)


def fl_map(function, tree):
    if isinstance(tree, dict):
        return {key: fl_map(function, part) for key, part in tree.items()}
    return tuple(fl_map(function, part) for part in tree) if isinstance(tree, tuple) else function(tree)


def stacked(results):
    if results[0] is None:
        return None
    if isinstance(results[0], tuple):
        return tuple(stacked(part) for part in zip(*results, strict=True))
    return np.stack(results)


RNG = np.random.default_rng(0)
PARAMS = {"w": RNG.normal(size=(3, 3)) / 2, "b": RNG.normal(size=3), "h": RNG.normal(size=(2, 3))}
XS = {"x": RNG.normal(size=(5, 2, 3)), "k": np.arange(5)}
DIRECTION = {key: RNG.normal(size=value.shape) for key, value in PARAMS.items()}


def mixed(scan, reverse):
    """A loss over two carries, one an integer, rows of two dtypes, and weights closed over."""

    def loss(params, x):
        def turn(carry, row):
            (h, total), count = carry
            new = np.tanh(h @ params["w"] + row["x"] * params["b"]) + 0.1 * row["k"]
            total = total + np.sum(new * h) * 0.1 * count + np.exp(params["b"][0])
            return ((new, total), count + row["k"]), (new * h, np.sum(total))

        begun = ((params["h"], np.sum(params["b"])), np.array(1))
        ((h, total), count), (one, two) = scan(turn, begun, {"x": x, "k": XS["k"]}, reverse=reverse)
        return np.sum(h**2) + total**2 + np.sum(np.sin(one)) + np.sum(two**2) * count

    return loss


def close(got, expected):
    for a, b in zip(leaves(got), leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("run", [lambda f: f, fl.compile], ids=["reference", "machine"])
@pytest.mark.parametrize("reverse", [False, True])
def test_value_gradient_and_second_order_are_those_of_the_unrolled_loop(reverse, run):
    mine, its = mixed(fl.scan, reverse), mixed(unrolled, reverse)
    x = XS["x"]
    close(run(mine)(PARAMS, x), its(PARAMS, x))
    close(run(fl.value_and_grad(mine, (0, 1)))(PARAMS, x), fl.value_and_grad(its, (0, 1))(PARAMS, x))
    close(run(fl.jvp(mine))(PARAMS, DIRECTION, x), fl.jvp(its)(PARAMS, DIRECTION, x))
    close(run(fl.hvp(mine))(PARAMS, DIRECTION, x), fl.hvp(its)(PARAMS, DIRECTION, x))


def test_the_hessian_is_that_of_the_unrolled_loop():
    def hessian(loss):
        return fl.hessian(lambda w: loss({**PARAMS, "w": w}, XS["x"]))(PARAMS["w"])

    close(hessian(mixed(fl.scan, False)), hessian(mixed(unrolled, False)))


def test_derivatives_agree_with_differences():
    fl.testing.check_grads(mixed(fl.scan, True), (PARAMS, XS["x"]), order=2)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
def test_vmap_of_a_loop_is_a_loop_for_each_row(axes):
    many = {key: np.stack([value, value + 0.1, 2 * value]) for key, value in PARAMS.items()}
    xs = np.stack([XS["x"], XS["x"] + 1, -XS["x"]])
    given = [batch if axis == 0 else one for axis, batch, one in zip(axes, (many, xs), (PARAMS, XS["x"]), strict=True)]
    f = fl.value_and_grad(mixed(fl.scan, False), (0, 1))
    got = fl.compile(fl.vmap(f, in_axes=axes))(*given)
    for i in range(3):
        row = [fl_map(lambda a, i=i: a[i], part) if axis == 0 else part for axis, part in zip(axes, given, strict=True)]
        close(fl_map(lambda a, i=i: a[i], got), f(*row))


def test_a_loop_in_a_loop():
    def power(scan):
        def f(x, w):
            def outer(total, row):
                inner, steps = scan(lambda c, r: (np.tanh(c * w + r), c * r), total, row)
                return inner, np.sum(steps)

            last, sums = scan(outer, x, np.arange(12.0).reshape(3, 4) / 10)
            return last**2 + np.sum(sums**2)

        return f

    x, w = 0.3, 0.7
    close(fl.compile(fl.value_and_grad(power(fl.scan), (0, 1)))(x, w), fl.value_and_grad(power(unrolled), (0, 1))(x, w))
    close(fl.hessian(power(fl.scan), (0, 1))(x, w), fl.hessian(power(unrolled), (0, 1))(x, w))


def size(graph):
    """Nodes of a graph, those of the turns of its loops counted once."""
    inner = {id(n.attrs["body"]): n.attrs["body"].graph for n in graph.nodes() if n.op.kind is Kind.LOOP}
    return len(graph.nodes()) + sum(map(size, inner.values()))


def test_the_graph_does_not_grow_with_the_rows():
    def loss(w, xs):
        return np.sum(fl.scan(lambda h, x: (np.tanh(h @ w + x), None), xs[0], xs)[0])

    sizes = [size(fl.graph_of(fl.hvp(loss), np.eye(2), np.ones((2, 2)), np.ones((n, 2)))) for n in (3, 3000)]
    assert sizes[0] == sizes[1] < 300


def test_lanes_and_precision_leave_the_bits_of_a_loop_alone():
    rng = np.random.default_rng(1)
    w, xs = rng.normal(size=(96, 96)).astype(np.float32) / 10, rng.normal(size=(7, 128, 96)).astype(np.float32)

    def loss(w, xs):
        return np.mean(fl.scan(lambda h, x: (np.tanh(h @ w + x), None), xs[0], xs)[0] ** 2)

    one, two = (fl.compile(fl.value_and_grad(loss), threads=n)(w, xs) for n in (1, 2))
    assert one[0] == two[0] and one[0].dtype == np.float32
    np.testing.assert_array_equal(one[1], two[1])


def test_worked_by_hand():
    last, before = fl.scan(lambda total, x: (total + x, total), 0.0, np.array([1.0, 2.0, 3.0]))
    assert last == 6.0 and before.tolist() == [0.0, 1.0, 3.0]  # 0, 0 + 1, 1 + 2; then + 3
    counted, (n, x) = fl.scan(lambda n, x: (n + 1, (n, x)), 0, np.arange(3), reverse=True)
    assert counted == 3 and n.tolist() == [2, 1, 0] and x.tolist() == [0, 1, 2]  # the last row is the first turn


def test_the_plan_does_not_grow_with_the_turns():
    from fallline.program.lower import lower, prepared
    from fallline.program.memory_plan import memory_plan

    f = lambda start: fl.scan(lambda c, _: (np.cos(c), None), start, length=2**60)[0]
    assert len(memory_plan(lower(prepared(fl.graph_of(f, np.array(0.0))))).instructions) < 1100


def test_a_plain_number_takes_the_dtype_of_what_it_meets():
    total, _ = fl.scan(lambda total, x: (total + x, None), 0.0, np.ones(3, np.float32))
    assert total.dtype == np.float32 and total == 3
    doubled, nothing = fl.scan(lambda c, _: (2 * c, None), 1.0, length=10)
    assert doubled == 1024.0 and nothing is None


@pytest.mark.parametrize("run", [lambda f: f, fl.compile], ids=["reference", "machine"])
def test_no_rows_leave_the_carry_as_it_is(run):
    def loss(start, w):
        last, ys = fl.scan(lambda c, x: (c * w + x, c), start, np.zeros(0))
        return last**2 + np.sum(ys)

    assert run(fl.grad(loss, (0, 1)))(np.array(3.0), np.array(2.0)) == (6.0, 0.0)


def test_what_a_loop_returns_may_be_returned_with_its_none():
    pair = lambda x: fl.scan(lambda c, row: (c + row, None), np.zeros(2), x)
    rows = np.arange(12.0).reshape(3, 2, 2)
    last, nothing = fl.compile(pair)(rows[0])
    assert last.tolist() == [2.0, 4.0] and nothing is None
    last, nothing = fl.vmap(pair)(rows)
    np.testing.assert_array_equal(last, rows.sum(axis=1))
    assert nothing is None


@pytest.mark.parametrize("reverse", [False, True])
def test_turns_of_empty_rows_run_on_the_machine(reverse):
    f = lambda start, x: fl.scan(lambda c, r: (c * r + 1, c), start, x, reverse=reverse)
    last, all_ = fl.compile(fl.vmap(f))(np.zeros((0, 2)), np.zeros((0, 3, 2)))
    assert (last.shape, all_.shape) == ((0, 2), (0, 3, 2))
    grads = fl.compile(fl.grad(lambda *args: np.sum(fl.vmap(f)(*args)[1]), (0, 1)))(
        np.zeros((0, 2)), np.zeros((0, 3, 2))
    )
    assert [g.shape for g in grads] == [(0, 2), (0, 3, 2)]


REFUSED = [
    (lambda: fl.scan(lambda c, x: (c + np.random.normal(), x), 0.0, np.ones(3)), TraceError, "drew a number"),
    (lambda: fl.scan(lambda c, x: c, 0.0, np.ones(3)), ArgumentTypeError, "return two things.*float"),
    (lambda: fl.scan(lambda c, x: ((c, c), x), 0.0, np.ones(3)), ArgumentTypeError, "begins as .* and comes back as"),
    (lambda: fl.scan(lambda c, x: (c + x, x), 0.0, np.ones((3, 2))), ShapeError, r"\[\] and comes back with \[2\]"),
    (lambda: fl.scan(lambda c, x: (c * 0.5, x), np.array(1), np.ones(3)), ArgumentTypeError, "int64.*float64"),
    (lambda: fl.scan(lambda c, x: (c, x), 0.0, (np.ones(3), np.ones(4))), ShapeError, "xs.0 has 3, xs.1 has 4"),
    (lambda: fl.scan(lambda c, x: (c, x), 0.0, np.ones(3), length=4), ShapeError, "xs has 3, length is 4"),
    (lambda: fl.scan(lambda c, x: (c, x), 0.0), ArgumentError, "how many turns"),
    (lambda: fl.scan(lambda c, x: (c, x), 0.0, length=-1), ArgumentError, "whole number >= 0"),
    (lambda: fl.scan(lambda c, x: (c, x), 0.0, 3.0), ShapeError, "no rows to go over"),
    (lambda: fl.scan(lambda c, _: (c + 1, c), 0.0, length=2**62), ShapeError, "do not fit into any memory"),
    (lambda: fl.scan(lambda c, _: (c + 1, c), 0.0, length=2**70), ShapeError, "do not fit into any memory"),
    (lambda: fl.scan(0.0, 0.0, np.ones(3)), ArgumentTypeError, "takes a function"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "match"), REFUSED)
def test_what_cannot_be_a_loop_says_why(call, error, match):
    with pytest.raises(error, match=match):
        call()


# Reports about scans elsewhere, rebuilt: each failed, or was wrong, in the library that it was filed against.


def test_a_scan_sums_the_gradient_of_its_rows():  # google/jax 753: zeros in reverse mode
    ns = np.arange(5.0)
    jacobian = fl.jacobian(lambda ns: fl.scan(lambda x, n: (x + n, x + n), 0.0, ns)[1])(ns)
    np.testing.assert_array_equal(jacobian, np.tri(5))


def test_a_carry_that_nobody_reads_at_the_end_has_a_gradient():  # google/jax 1082: TypeError
    def loss(a):
        last, _ = fl.scan(lambda c, _: ({k: v + c["a"] for k, v in c.items()}, 0.0), {"a": a, "b": 0.0}, np.arange(2))
        return last["a"] * a

    assert fl.compile(fl.grad(loss))(np.array(3.0)) == 24.0  # 4 a^2


def test_a_whole_number_may_be_carried_with_differentiated_values():  # google/jax 22045: TypeError
    def loss(x):
        return np.sum(fl.scan(lambda c, t: (c, c[1] + t), (0, x), np.arange(10))[1])

    assert fl.compile(fl.grad(loss))(np.array(1.0)) == 10.0


def test_weights_closed_over_have_gradients_though_the_carry_needs_none():  # pytorch 184528: silently wrong
    x = np.array([0.11, -0.37, 0.23, 0.41, -0.19])

    def loss(scan):
        return lambda a: np.sum(scan(lambda c, row: (a * c + row, a * c + row), 0.0, x)[1] ** 2)

    close(fl.grad(loss(fl.scan))(0.7), fl.grad(loss(unrolled))(0.7))


def test_memory_of_a_gradient_does_not_hold_what_turns_can_compute_again():  # google/jax 3186
    z = np.ones((50, 50))

    def loss(x, ys):
        return np.mean(fl.scan(lambda c, y: (c + x * (y + z), None), np.zeros_like(z), ys)[0])

    graph = fl.graph_of(fl.grad(loss), np.array(1.0), np.ones(1000))
    from fallline.program.lower import lower, prepared
    from fallline.program.memory_plan import memory_plan

    assert memory_plan(lower(prepared(graph))).size < 10 * z.nbytes


def drawn(context, turns, rows=None):
    """Numbers of the context in each turn of a loop, for one row or for many at once, as bits."""

    def turn(count, _):
        return count + 1, context.integers((2,), 0, 2**40)

    def of_row(start):
        return fl.scan(turn, start, length=turns)[1]

    return of_row(np.array(0)) if rows is None else fl.vmap(of_row)(np.zeros(rows, int))


def test_numbers_of_a_context_are_others_in_every_turn_and_row():
    def f(key):
        context = fl.nn.Context(training=True, key=key)
        shared = context.integers((2,), 0, 2**40)
        inner = fl.scan(lambda c, _: (c, drawn(context, 3)), 0, length=2)[1]
        return drawn(context, 4), drawn(context, 4), drawn(context, 4, rows=3), inner, shared

    found = [np.ravel(part) for part in f(np.int64(5))]
    assert [len(part) for part in found] == [8, 8, 24, 12, 2]
    assert len(np.unique(np.concatenate(found))) == 54
    for again in (f(np.int64(5)), fl.compile(f)(np.int64(5))):
        np.testing.assert_array_equal(np.concatenate([np.ravel(part) for part in again]), np.concatenate(found))
    assert not np.intersect1d(np.concatenate([np.ravel(part) for part in f(np.int64(6))]), np.concatenate(found)).size


def test_a_context_made_in_a_turn_follows_from_its_key_alone():
    def draw(key):
        return fl.nn.Context(training=True, key=key).uniform((2,))

    keys = np.array([3, 8, 3])
    _, found = fl.scan(lambda c, key: (c, draw(key)), 0, keys)
    np.testing.assert_array_equal(found, np.stack([draw(np.int64(key)) for key in keys]))
    np.testing.assert_array_equal(fl.vmap(draw)(keys), found)


class Recurrent:
    """h_t = h_(t-1) + x_t, where the body of the loop is handed in."""

    def __init__(self, turn):
        self.turn = turn

    def init(self, rng, shape, dtype):
        return {"mean": np.zeros((), dtype)}, shape[1:]

    def apply(self, params, x, context):
        start = np.zeros((x.shape[0], x.shape[2]), x.dtype)
        return fl.scan(lambda h, row: (h + self.turn(context, params, row), None), start, np.moveaxis(x, 1, 0))[0]


SEQUENCES = RNG.normal(size=(16, 4, 3))


def fitted(turn, **options):
    network = fl.nn.Sequential(Recurrent(turn), fl.nn.Dense(1))
    return fl.fit(network, (SEQUENCES, SEQUENCES[:, 0, 0]), loss="squared_error", epochs=2, seed=3, **options)


def test_a_layer_with_dropout_in_its_turns_trains_to_the_same_bits():
    dropout = fl.nn.Dropout(0.5)
    one, two = (fitted(lambda context, params, row: context.apply(dropout, {}, row), threads=n) for n in (1, 2))
    assert one.history["loss"].tolist() == two.history["loss"].tolist()
    np.testing.assert_array_equal(one.model.predict(SEQUENCES[:3]), one.model.predict(SEQUENCES)[:3])
