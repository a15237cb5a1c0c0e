"""Losses: worked numbers, identities between them, derivatives of two orders, and finite values at the ends of the
range."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentError, ArgumentTypeError, ShapeError
from fallline.graph.node import new_input
from fallline.nn import loss as losses
from fallline.ops.transcendental import logistic_loss

NAMES = sorted(nn.LOSSES)
RNG = np.random.default_rng(0)
logits = arrays(np.float64, (4, 3), elements=st.floats(-20, 20))
codes = arrays(np.int64, 4, elements=st.integers(0, 2))


def example(name: str, dtype: type = np.float64, n: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and targets a loss can take, away from its kinks."""
    rng = np.random.default_rng(7)
    output = rng.normal(size=(n, 3)).astype(dtype)
    if name == "cross_entropy":
        return output, rng.integers(0, 3, n)
    if name == "binary_cross_entropy":
        return output, rng.integers(0, 2, (n, 3)).astype(dtype)
    if name == "hinge":
        return output, (2 * rng.integers(0, 2, (n, 3)) - 1).astype(dtype)
    if name == "poisson":
        return output, rng.integers(0, 9, (n, 3)).astype(dtype)
    return output, rng.normal(size=(n, 3)).astype(dtype)


@pytest.mark.parametrize(("name", "output", "y", "value"), [
    # (1 - 3)^2 = 4 and (2 - 2.5)^2 = 0.25: mean 2.125
    ("squared_error", [[1.0, 2.0]], [[3.0, 2.5]], 2.125),
    # |-2| and |-0.5|: mean 1.25
    ("absolute_error", [[1.0, 2.0]], [[3.0, 2.5]], 1.25),
    # beyond 1: 1 (2 - 1/2) = 1.5; within: 0.25 / 2 = 0.125; mean 0.8125
    ("huber", [[1.0, 2.0]], [[3.0, 2.5]], 0.8125),
    # logits log(1, 2, 5): -log(2/8) = log 4; log(1, 1, 2), class 2: -log(2/4) = log 2; mean 1.5 log 2
    ("cross_entropy", np.log([[1.0, 2, 5], [1, 1, 2]]), [1, 2], 1.5 * math.log(2)),
    # log(1 + e^0) - 0 = log 2 for y = 0; log(1 + e^log3) - log 3 = log(4/3) for y = 1
    ("binary_cross_entropy", [[0.0], [math.log(3)]], [[0.0], [1.0]], (math.log(2) + math.log(4 / 3)) / 2),
    # 1 - 0.25 = 0.75; 1 + 2 = 3; 1 - 4 < 0: 0; mean 1.25
    ("hinge", [[0.25], [2.0], [-4.0]], [[1.0], [-1.0], [-1.0]], 1.25),
    # e^0 - 3 * 0 = 1; e^log2 - 4 log 2 = 2 - 4 log 2
    ("poisson", [[0.0], [math.log(2)]], [[3.0], [4.0]], (3 - 4 * math.log(2)) / 2),
    # the median: half of |1 - 3| and of |2 - 2.5|: mean 0.625
    ("pinball", [[1.0, 2.0]], [[3.0, 2.5]], 0.625),
])  # fmt: skip
def test_worked_by_hand(name: str, output: list, y: list, value: float) -> None:
    assert nn.LOSSES[name](np.array(output), np.array(y)) == pytest.approx(value, rel=1e-14)


def test_every_loss_is_worked_by_hand() -> None:
    marks = [m for m in test_worked_by_hand.pytestmark if m.name == "parametrize"]
    assert {case[0] for case in marks[0].args[1]} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_and_hessian_vector_product_agree_with_differences(name: str) -> None:
    output, y = example(name)
    f = nn.LOSSES[name]
    direction = RNG.normal(size=output.shape)
    slope = fl.grad(lambda z: f(z, y))

    def stencil(g, h):
        return (8 * (g(h) - g(-h)) - (g(2 * h) - g(-2 * h))) / (12 * h)

    along = np.sum(slope(output) * direction)
    assert along == pytest.approx(stencil(lambda t: f(output + t * direction, y), 1e-3), rel=1e-9, abs=1e-11)
    second = fl.grad(lambda z: np.sum(slope(z) * direction))(output)
    np.testing.assert_allclose(second, stencil(lambda t: slope(output + t * direction), 1e-3), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_given_twice_has_the_same_loss(name: str) -> None:
    output, y = example(name)
    once = nn.LOSSES[name](output, y)
    assert nn.LOSSES[name](np.concatenate([output, output]), np.concatenate([y, y])) == pytest.approx(once, rel=1e-14)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept_computed_and_traced(name: str, dtype: type) -> None:
    output, y = example(name, dtype)
    assert nn.LOSSES[name](output, y).dtype == dtype
    value, g = fl.value_and_grad(lambda z: nn.LOSSES[name](z, y))(output)
    assert value.dtype == g.dtype == dtype
    traced = nn.LOSSES[name](new_input(output.shape, dtype), new_input(y.shape, y.dtype))
    assert (traced.shape, traced.dtype) == ((), dtype)


@pytest.mark.parametrize("size", [89.0, 1e4, 1e18])
@pytest.mark.parametrize("name", ["absolute_error", "huber", "cross_entropy", "binary_cross_entropy", "hinge"])
def test_float32_stays_finite_far_out(name: str, size: float) -> None:
    output, y = example(name, np.float32)
    far = output / np.abs(output).max() * np.float32(size)
    value, g = fl.value_and_grad(lambda z: nn.LOSSES[name](z, y))(far)
    assert np.isfinite(value) and np.isfinite(g).all()
    assert np.abs(g).max() <= 1


@given(z=logits, y=codes)
def test_cross_entropy_is_minus_the_log_probability_of_the_true_class(z: np.ndarray, y: np.ndarray) -> None:
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    f = nn.CrossEntropy()
    assert f(z, y) == pytest.approx(-np.log(p[np.arange(4), y]).mean(), rel=1e-10, abs=1e-12)
    np.testing.assert_allclose(fl.grad(lambda z: f(z, y))(z), (p - np.eye(3)[y]) / 4, rtol=1e-9, atol=1e-12)


@given(z=logits, y=codes, smoothing=st.floats(0, 0.9))
def test_label_smoothing_is_cross_entropy_with_soft_labels(z: np.ndarray, y: np.ndarray, smoothing: float) -> None:
    soft = (1 - smoothing) * np.eye(3)[y] + smoothing / 3
    smoothed = nn.CrossEntropy(label_smoothing=smoothing)
    expected = nn.CrossEntropy()(z, soft)
    assert smoothed(z, y) == pytest.approx(expected, rel=1e-10, abs=1e-12)
    assert smoothed(z, np.eye(3)[y]) == pytest.approx(expected, rel=1e-10, abs=1e-12)


@given(z=logits, y=codes, c=st.floats(-1e3, 1e3))
def test_cross_entropy_does_not_feel_a_shift_of_the_logits(z: np.ndarray, y: np.ndarray, c: float) -> None:
    assert nn.CrossEntropy()(z + c, y) == pytest.approx(nn.CrossEntropy()(z, y), rel=1e-9, abs=1e-9)


@given(z=arrays(np.float64, (6, 1), elements=st.floats(-30, 30)), y=arrays(np.int64, 6, elements=st.integers(0, 1)))
def test_binary_cross_entropy_is_cross_entropy_of_two_classes(z: np.ndarray, y: np.ndarray) -> None:
    two = nn.CrossEntropy()(np.concatenate([np.zeros_like(z), z], axis=1), y)
    assert nn.BinaryCrossEntropy()(z, y[:, None].astype(float)) == pytest.approx(two, rel=1e-9, abs=1e-12)


@given(r=arrays(np.float64, (5, 1), elements=st.floats(-50, 50)), delta=st.floats(0.1, 20))
def test_huber_lies_between_its_two_sides(r: np.ndarray, delta: float) -> None:
    value = nn.Huber(delta)(r, np.zeros_like(r))
    assert value <= 0.5 * np.mean(r * r) * (1 + 1e-12)
    assert value <= delta * np.mean(np.abs(r)) * (1 + 1e-12)
    assert value == pytest.approx(np.mean(np.where(abs(r) <= delta, r * r / 2, delta * (abs(r) - delta / 2))))
    steep = fl.grad(lambda r: nn.Huber(delta)(r, 0.0))(r)
    np.testing.assert_allclose(steep, np.clip(r, -delta, delta) / 5, rtol=1e-12, atol=1e-15)


@given(y=arrays(np.float64, (5, 2), elements=st.floats(0.1, 50)))
def test_no_error_has_no_gradient(y: np.ndarray) -> None:
    assert not np.any(fl.grad(lambda o: nn.SquaredError()(o, y))(y))
    assert not np.any(fl.grad(lambda o: nn.AbsoluteError()(o, y))(y))
    assert not np.any(fl.grad(lambda o: nn.Huber()(o, y))(y))
    np.testing.assert_allclose(fl.grad(lambda o: nn.Poisson()(o, y))(np.log(y)), 0, atol=1e-14)


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy", "poisson"])
def test_the_link_turns_the_best_outputs_into_the_truth(name: str) -> None:
    truth = {"cross_entropy": [[0.2, 0.3, 0.5]], "binary_cross_entropy": [[0.3]], "poisson": [[4.0]]}
    best = {
        "cross_entropy": np.log([[2.0, 3, 5]]),
        "binary_cross_entropy": [[math.log(3 / 7)]],
        "poisson": [[math.log(4)]],
    }
    y, output, f = np.array(truth[name]), np.array(best[name]), nn.LOSSES[name]
    np.testing.assert_allclose(f.link(output), y, rtol=1e-14)
    np.testing.assert_allclose(fl.grad(lambda z: f(z, y))(output), 0, atol=1e-14)


def test_a_function_is_a_loss_and_has_to_return_one_number() -> None:
    own = losses.get(lambda output, y: np.mean((output - y) ** 4))
    assert (own.task, own.name) == ("custom", "custom")
    assert own(np.array([[1.0], [2.0]]), np.array([[0.0], [0.0]])) == 8.5
    with pytest.raises(ShapeError, match=r"returns shape \(2, 1\), not one number"):
        losses.get(lambda output, y: output - y)(np.ones((2, 1)), np.ones((2, 1)))


CROSSED = {
    "outputs as a row": lambda o, y: np.mean(np.square(o[:, 0] - y)),
    "targets as a row": lambda o, y: np.mean(np.square(y[:, 0] - o)),
    "targets as weights": lambda o, y: np.mean(np.where(y[:, 0] > 0, 2, 1) * np.square(o - y)),
    "after other steps": lambda o, y: np.mean(np.abs(np.exp(o).reshape(-1) - y.astype(np.float64))),
}
MET_IN_PAIRS = {
    "columns": lambda o, y: np.mean(np.square(o - y)),
    "rows": lambda o, y: np.mean(np.square(o[:, 0] - y[:, 0])),
    "outputs with one another": lambda o, y: np.mean(np.square(o - o[:, 0])) + np.mean(y - y[:, 0]),
    "every output with every target, as asked for": lambda o, y: np.mean(np.square(o[:, 0][None, :] - y)),
    "a weight for each place": lambda o, y: np.mean(np.square(o - y)[:, 0] * np.ones(4)),
}


@pytest.mark.parametrize("name", CROSSED)
def test_outputs_as_a_row_with_targets_as_a_column_are_refused(name: str) -> None:
    # (4,) - (4, 1) is (4, 4) to NumPy, whose mean is a loss that learns something else.
    output, y = new_input((4, 1), np.float64), new_input((4, 1), np.float64)
    with pytest.raises(ShapeError, match=r"make \(4, 4\) in a batch of 4\n  at .*test_loss.py:\d+\n  try: output - y"):
        losses.get(CROSSED[name])(output, y)
    one = new_input((1, 1), np.float64)
    assert losses.get(CROSSED[name])(one, one).shape == ()


@pytest.mark.parametrize("name", MET_IN_PAIRS)
def test_no_other_use_of_outputs_and_targets_is_taken_for_that(name: str) -> None:
    output, y = new_input((4, 1), np.float64), new_input((4, 1), np.float64)
    assert losses.get(MET_IN_PAIRS[name])(output, y).shape == ()


COLUMNS_FOR_ROWS = {
    "differences": lambda o, y: np.mean(np.square(o - y)),
    "products": lambda o, y: -np.mean(np.log(1 + np.exp(o)) * y),
    "a column of outputs with all targets": lambda o, y: np.mean(np.abs(y[:, None] * np.ones(4) - o[:, 0])),
    "a product": lambda o, y: np.mean(o @ y),
    "maxima": lambda o, y: np.mean(np.maximum(o, y.astype(np.float64))),
}
ROWS_FOR_ROWS = {
    "each output with the row's target": lambda o, y: np.mean(np.square(o - y[:, None])),
    "each output with all targets": lambda o, y: np.mean(np.square(o.T - y)) + np.mean(o.T @ y),
    "one of the outputs": lambda o, y: np.mean(np.square(o[:, 0] - y)),
    "weights of columns, made from targets": lambda o, y: np.mean(np.square(o - np.stack([np.mean(y)] * 4))),
    "one-hot": lambda o, y: -np.mean(np.sum(np.where(y[:, None] == np.arange(4), o, 0), axis=1)),
}


@pytest.mark.parametrize("name", COLUMNS_FOR_ROWS)
@pytest.mark.parametrize("n", [3, 4])
def test_columns_of_outputs_never_meet_rows_of_targets(name: str, n: int) -> None:
    # (4, 4) - (4,) is (4, 4) to NumPy, and target i then belongs to output i of every row.
    output, y = new_input((n, 4), np.float64), new_input((n,), np.float64)
    if n == 4 or "with all" not in name:
        told = "in a batch of 4 rows\n  at .*test_loss.py" if n == 4 else "broadcast|inner sizes"
        with pytest.raises(ShapeError, match=told):
            losses.get(COLUMNS_FOR_ROWS[name])(output, y)


@pytest.mark.parametrize("name", ROWS_FOR_ROWS)
def test_rows_of_outputs_meet_rows_of_targets_in_batches_of_any_size(name: str) -> None:
    for n in (1, 3, 4):
        output, y = new_input((n, 4), np.float64), new_input((n,), np.float64)
        assert losses.get(ROWS_FOR_ROWS[name])(output, y).shape == ()
    output, y = new_input((4, 4), np.float64), new_input((4, 4), np.float64)
    assert losses.get(lambda o, y: np.mean(np.square(o - np.mean(y, axis=0))))(output, y).shape == ()


def test_get_takes_names_records_and_functions_and_refuses_the_rest() -> None:
    assert losses.get("huber") == nn.Huber(1.0)
    assert losses.get(nn.Huber(2.0)).delta == 2.0
    with pytest.raises(ArgumentError, match="did you mean 'squared_error'"):
        losses.get("square_error")
    with pytest.raises(ArgumentTypeError, match=r"the loss is the class Huber\n  try: Huber\(\)"):
        losses.get(nn.Huber)
    for wrong in (3, nn.ReLU(), None):
        with pytest.raises(ArgumentTypeError, match="a loss is a name"):
            losses.get(wrong)
    with pytest.raises(ArgumentError, match="delta has to be a number > 0, got 0"):
        nn.Huber(0)
    with pytest.raises(ArgumentError, match=r"label_smoothing has to be a number >= 0 and < 1, got 1.5"):
        nn.CrossEntropy(label_smoothing=1.5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_loss_of_a_probability_falls_below_zero(dtype: type) -> None:
    rng = np.random.default_rng(0)
    scale = 10.0 ** rng.uniform(-4, 4, (800, 1))
    z = (rng.standard_normal((800, 5)) * scale).astype(dtype)
    row = fl.compile(
        lambda z, y: [nn.CrossEntropy()(z, y), nn.CrossEntropy(0.1)(z, y), nn.CrossEntropy()(z, np.eye(5)[2:3])]
    )
    for i in range(800):
        assert all(value >= 0 for value in row(z[i : i + 1], np.argmax(z[i : i + 1], axis=1)))
    for y in (0.0, 1.0):  # minus the log probability of the true side, to its own last digits
        each = fl.compile(lambda z, y=y: logistic_loss(z, y))(z)
        wide = z.astype(np.longdouble) * (1 - 2 * y)
        exact = np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide)))
        assert (each >= 0).all()
        np.testing.assert_allclose(
            each, exact.astype(np.float64), rtol=1e-6 if dtype is np.float32 else 1e-13, atol=1e-37
        )
    assert (fl.compile(lambda z: logistic_loss(z, 0.3))(z) >= 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_weighted_is_numpys_average_of_the_rows_and_whole_weights_are_repetitions(name: str) -> None:
    output, y = example(name)
    f, weight = nn.LOSSES[name], np.array([2.0, 0.0, 1.0, 3.0, 1.0])
    alone = [f.function(output[i : i + 1], y[i : i + 1]) for i in range(5)]
    np.testing.assert_allclose(f.rows(output, y), alone, rtol=1e-12)
    value = f.weighted(output, y, weight)
    assert value == pytest.approx(np.average(alone, weights=weight), rel=1e-12)
    times = weight.astype(int)
    assert value == pytest.approx(f.function(np.repeat(output, times, axis=0), np.repeat(y, times, axis=0)), rel=1e-12)
    assert f.weighted(output, y, 7 * weight) == pytest.approx(value, rel=1e-12)
    assert f.weighted(output, y, 0 * weight) == 0
    by_row = fl.grad(lambda z: f.weighted(z, y, weight))(output)
    assert not by_row[1].any() and by_row[3].any()


def test_a_users_function_may_return_the_loss_of_each_row() -> None:
    def of_rows(output, y):
        return np.mean((output - y) ** 4, axis=1)

    output, y = example("squared_error")
    f = losses.get(of_rows)
    assert f.function(output, y) == pytest.approx(np.mean((output - y) ** 4), rel=1e-14)
    weight = np.arange(5.0)
    assert f.weighted(output, y, weight) == pytest.approx(np.average(of_rows(output, y), weights=weight), rel=1e-14)
    with pytest.raises(ArgumentError, match="weights need one for each row"):
        losses.get(lambda output, y: np.mean((output - y) ** 4)).weighted(output, y, weight)


def test_a_loss_that_is_defined_for_batches_alone_takes_no_weights() -> None:
    class Whole(losses.Loss):
        def function(self, output, y):
            return np.max(output - y)

    output, y = example("squared_error")
    assert Whole().function(output, y) == np.max(output - y)
    with pytest.raises(ArgumentError, match="each\\(self, output, y\\)"):
        Whole().weighted(output, y, np.ones(5))
