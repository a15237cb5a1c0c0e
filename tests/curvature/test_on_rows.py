"""The loss of a model on rows as a surface: the same as one function of all rows, whatever the blocks."""

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.curvature import of_model, on_rows
from fallline.curvature.on_rows import BLOCK
from fallline.errors import ArgumentError, ArgumentTypeError, DataError, ShapeError

RNG = np.random.default_rng(0)
N = 2 * BLOCK + 37
X, LABELS, NUMBERS = RNG.standard_normal((N, 4)), RNG.integers(0, 3, N), RNG.standard_normal((N, 2))


def model_of(loss, outputs, network=None):
    return nn.Model.init(network or nn.mlp((5,), outputs, "tanh"), 4, loss=loss, dtype="float64")


def compared(here, whole):
    value, gradient = here.value_and_gradient()
    expected = fl.value_and_grad(whole)(here.theta)
    assert value == pytest.approx(float(expected[0]), rel=1e-12)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-9, atol=1e-12)
    vector = RNG.standard_normal(here.size)
    np.testing.assert_allclose(here.product()(vector), fl.hvp(whole)(here.theta, vector), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("loss", "outputs", "y"), [("cross_entropy", 3, LABELS), ("squared_error", 2, NUMBERS)])
def test_blocks_of_rows_add_up_to_all_rows(loss, outputs, y) -> None:
    model = model_of(loss, outputs)
    here = of_model(model, (X, y))
    assert len(here.blocks) == 3 and here.rows == here.of == N
    compared(here, lambda theta: model.objective(theta, X, y))


def test_weights_count_as_copies_of_rows() -> None:
    model, copies = model_of("cross_entropy", 3), RNG.integers(0, 3, N)
    weighted = of_model(model, (X, LABELS, copies.astype(float)))
    compared(weighted, lambda t: model.objective(t, np.repeat(X, copies, axis=0), np.repeat(LABELS, copies)))


def test_penalty_and_weight_decay_are_part_of_what_descent_follows() -> None:
    loss = nn.Objective("squared_error", factor=2.0, penalty=nn.L2(0.3))
    model = model_of(loss, 2)
    here = of_model(model, (X, NUMBERS), weight_decay=0.1)
    mask = model.layout.decay_mask(np.float64)
    compared(here, lambda t: 2 * np.mean((model.apply(t, X) - NUMBERS) ** 2) + 0.2 * np.sum(mask * t * t))


def test_a_loss_that_is_no_mean_over_rows_takes_all_rows_at_once() -> None:
    model = model_of(lambda output, y: np.max(np.mean((output - y) ** 2, axis=0)), 2)
    here = of_model(model, (X, NUMBERS))
    assert len(here.blocks) == 1
    compared(here, lambda theta: model.objective(theta, X, NUMBERS))


def test_only_trainable_parameters_move_and_statistics_stand_still() -> None:
    network = nn.Sequential(nn.Frozen(nn.Dense(5)), nn.BatchNorm(), nn.Dropout(0.5), nn.Tanh(), nn.Dense(3))
    model = model_of("cross_entropy", 3, network)
    here = of_model(model, (X, LABELS))
    assert here.size == model.layout.count() < model.theta.size
    layout, whole = model.layout, model.theta
    compared(here, lambda t: model.objective(layout.unpack(whole, t), X, LABELS))


def test_a_sample_of_rows_is_stated_and_the_same_for_a_seed() -> None:
    model = model_of("cross_entropy", 3)
    one, two, other = (of_model(model, (X, LABELS), most=100, seed=seed) for seed in (0, 0, 1))
    assert one.rows == 100 and one.of == N
    assert one.value_and_gradient()[0] == two.value_and_gradient()[0] != other.value_and_gradient()[0]


def test_the_rows_of_a_float32_model_are_computed_in_float64() -> None:
    model = nn.Model.init(nn.mlp((5,), 3), 4, loss="cross_entropy")
    here = of_model(model, (X.astype(np.float32), LABELS))
    assert here.theta.dtype == here.product()(np.ones(here.size)).dtype == np.float64


@pytest.mark.parametrize(
    ("network", "loss", "told"),
    [
        (nn.mlp((5,), 3, "relu"), "cross_entropy", "relu"),
        (nn.mlp((5,), 3, "tanh"), "absolute_error", "absolute"),
        (nn.mlp((5,), 3, nn.LeakyReLU()), "squared_error", "where"),
        (nn.mlp((5,), 3, "tanh"), "cross_entropy", ""),
        (nn.mlp((5,), 3, "gelu"), "squared_error", ""),
        (nn.mlp((5,), 3, "mish"), "cross_entropy", ""),
    ],
)
def test_kinks_are_told_and_smooth_functions_are_called_smooth(network, loss, told) -> None:
    model = model_of(loss, 3, network)
    y = LABELS if loss == "cross_entropy" else RNG.standard_normal((N, 3))
    meaning = of_model(model, (X, y)).meaning
    assert (told in meaning and "kinks are not seen" in meaning) if told else meaning == ""


def test_rows_that_cannot_be_looked_at_are_refused() -> None:
    model = model_of("cross_entropy", 3)
    with pytest.raises(ArgumentTypeError, match=r"try: curvature.of_model\(model, \(x, y\)\)"):
        of_model(model, X)
    with pytest.raises(DataError, match="is empty"):
        of_model(model, (X[:0], LABELS[:0]))
    with pytest.raises(DataError, match="weights of all rows are 0"):
        of_model(model, (X, LABELS, np.zeros(N)))
    with pytest.raises(ShapeError, match="different numbers of rows"):
        of_model(model, (X, LABELS[:-1]))
    with pytest.raises(ArgumentError, match="no trainable parameters"):
        on_rows.on_rows(model.marked("*", kind="frozen"), X, LABELS)


def test_a_linear_network_of_two_layers_has_a_strict_saddle_at_zero() -> None:
    network = nn.Sequential(nn.Dense(3, bias=False), nn.Dense(2, bias=False))
    model = nn.Model.init(network, 4, loss="squared_error", dtype="float64")
    zero = model.with_theta(np.zeros_like(model.theta))
    y = X[:, :2] * 2.0
    found = fl.curvature.verdict_on(of_model(zero, (X, y)))
    # H = [[0, C], [C^T, 0]] with C from x^T y / N: eigenvalues come in pairs of both signs.
    assert found.kind == "saddle" and found.eigenvalues[0] == pytest.approx(-found.eigenvalues[-1])
    strength = np.linalg.svd(X.T @ y / N * 2 / 2)[1].max()
    assert found.eigenvalues[-1] == pytest.approx(strength)
    leaves = [0.1 * np.asarray(leaf) for leaf in fl.curvature.stationary.tree.leaves(found.direction)]
    down = zero.with_theta(np.concatenate([leaf.ravel() for leaf in leaves]))
    assert of_model(down, (X, y)).value_and_gradient()[0] < found.value


def test_a_network_trained_to_a_minimum_is_one() -> None:
    x = np.linspace(-2, 2, 40)[:, None]
    y = np.tanh(1.5 * x[:, 0] - 0.5) + 0.01 * np.sin(9 * x[:, 0])
    network = nn.Sequential(nn.Dense(1), nn.Tanh(), nn.Dense(1))
    run = fl.fit(network, (x, y), loss="squared_error", optimizer=fl.optim.LBFGS(), epochs=300, dtype="float64")
    found = fl.curvature.verdict_on(of_model(run.model, (x, y)))
    assert found.kind == "minimum" and np.all(found.eigenvalues > 0)


def test_the_spectrum_is_that_of_pytorchs_hessian() -> None:
    torch = pytest.importorskip("torch")
    model = model_of("cross_entropy", 3, nn.mlp((6,), 3, "relu"))
    rows, labels = X[:50], LABELS[:50]
    sizes = [leaf.shape for leaf in fl.curvature.stationary.tree.leaves(model.params)]
    x, y = torch.tensor(rows), torch.tensor(labels)

    def loss(theta):
        parts = torch.split(theta, [int(np.prod(size)) for size in sizes])
        b1, w1, b2, w2 = (part.reshape(size) for part, size in zip(parts, sizes, strict=True))
        return torch.nn.functional.cross_entropy(torch.relu(x @ w1 + b1) @ w2 + b2, y)

    whole = torch.autograd.functional.hessian(loss, torch.tensor(model.theta)).numpy()
    expected, found = np.linalg.eigvalsh(whole), fl.curvature.eigenvalues(of_model(model, (rows, labels)))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert fl.curvature.trace(of_model(model, (rows, labels)), products=100).value == pytest.approx(np.trace(whole))
