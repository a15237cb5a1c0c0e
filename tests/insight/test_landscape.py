"""Landscapes: equal to direct evaluation, with honest errors; planes that hold a path; lines between runs."""

import json
from dataclasses import replace

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.curvature import lambda_max, of_model
from fallline.errors import ArgumentError, ArgumentTypeError, DataError
from fallline.insight.directions import filter_normalised, principal
from fallline.insight.opened import Sample
from fallline.insight.sliced import BLOCK, Sliced

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 6))
LABELS, NUMBERS = RNG.integers(0, 3, 120), np.sin(X[:, :2]) + 0.1 * RNG.standard_normal((120, 2))


def sample_of(x, y, weight=None):
    return Sample(x, y, weight, np.arange(len(y)), True)


CASES = {
    "dense first": (nn.mlp((5,), 3, "tanh"), "cross_entropy", LABELS),
    "one layer": (nn.Dense(3), "cross_entropy", LABELS),
    "a layer without parameters first": (nn.Sequential("tanh", nn.Dense(4, bias=False), "relu", nn.Dense(2)),
                                         "squared_error", NUMBERS),
    "statistics": (nn.Sequential(nn.BatchNorm(), nn.Dense(4), nn.BatchNorm(), nn.Dropout(0.5), nn.Dense(2)),
                   "squared_error", NUMBERS),
    "frozen": (nn.Sequential(nn.Frozen(nn.Dense(4)), "tanh", nn.Dense(2)), "squared_error", NUMBERS),
    "tangent": (nn.Sequential(nn.Dense(4, tangent=True), "selu", nn.Dense(2)), "squared_error", NUMBERS),
    "penalty": (nn.mlp((5,), 2), nn.Objective("squared_error", factor=3.0, penalty=nn.L2(0.2)), NUMBERS),
    "no mean over rows": (nn.mlp((5,), 2), lambda output, y: np.max(np.mean(np.abs(output - y), axis=0)), NUMBERS),
}  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_a_landscape_equals_direct_evaluation(name, weighted) -> None:
    network, loss, y = CASES[name]
    if weighted and name == "no mean over rows":
        pytest.skip("has no weights")
    model = nn.Model.init(network, 6, loss=loss, dtype="float64", seed=3)
    weight = RNG.random(120) if weighted else None
    moved = model.layout.unpack(np.zeros_like(model.theta), np.ones(model.layout.count()))  # statistics stand still
    own = RNG.standard_normal((2, model.theta.size)) * moved
    points = RNG.standard_normal((7, 2))
    found = Sliced(model, model.theta, own, sample_of(X, y, weight)).losses(points)
    for point, mean, error in zip(points, found.mean, found.error, strict=True):
        theta = model.theta + point @ own
        z = model.apply(theta, X)
        value = model.loss.function(z, y) if weight is None else model.loss.weighted(z, y, weight)
        expected = model.loss.penalised(np.float64(value), model.layout.split(theta), model.layout, 120)
        assert mean == pytest.approx(float(expected), rel=1e-10)
        if name == "no mean over rows":
            assert np.isnan(error)
            continue
        each, w = model.loss.rows(z, y), np.ones(120) if weight is None else weight
        center = np.sum(w * each) / w.sum()
        by_hand = np.sqrt(np.sum((w * (each - center)) ** 2) * 120 / 119) / w.sum()
        assert error == pytest.approx(by_hand, rel=1e-6)


def test_blocks_of_rows_and_float32_change_nothing_but_rounding() -> None:
    n = BLOCK + 77
    x, y = RNG.standard_normal((n, 6)), RNG.integers(0, 3, n)
    model = nn.Model.init(nn.mlp((5,), 3), 6, loss="cross_entropy")
    own = filter_normalised(model, 2)
    found = Sliced(model, model.theta, own, sample_of(x.astype(np.float32), y)).losses(np.eye(2))
    for mean, step in zip(found.mean, own, strict=True):
        assert mean == pytest.approx(float(model.objective(model.theta + step, x, y)), rel=1e-5)


def test_filters_have_the_length_of_the_models_own_and_biases_stay() -> None:
    model = nn.Model.init(nn.mlp((7,), 3), 6, loss="cross_entropy", seed=2)
    one, two = (model.layout.split(direction) for direction in filter_normalised(model, 2, seed=5))
    for moved, own in zip(one, model.params, strict=True):
        if own:
            np.testing.assert_allclose(np.linalg.norm(moved["weight"], axis=0), np.linalg.norm(own["weight"], axis=0))
            assert not moved["bias"].any()
    assert not np.allclose(one[0]["weight"], two[0]["weight"])


def test_the_plane_of_a_path_that_lies_in_one_holds_all_of_it() -> None:
    basis, _ = np.linalg.qr(RNG.standard_normal((50, 2)))
    places = np.cumsum(RNG.standard_normal((20, 2)), axis=0)
    centre = places[-1] @ basis.T
    plane = principal(places @ basis.T, centre, 2)
    assert plane.share == pytest.approx(1.0)
    np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-9)
    np.testing.assert_allclose(plane.path @ plane.directions + centre, places @ basis.T, atol=1e-9)


def test_shares_of_a_path_are_those_of_its_singular_values() -> None:
    thetas = RNG.standard_normal((9, 30))
    plane = principal(thetas, thetas[-1], 2)
    s = np.linalg.svd(thetas - thetas[-1], compute_uv=False)
    np.testing.assert_allclose(plane.shares, s[:2] ** 2 / np.sum(s**2))
    with pytest.raises(DataError, match=r"moves in 1 directions, and 2 were asked for"):
        principal(thetas[-2:], thetas[-1], 2)


def small_run(seed=0, **settings):
    settings = {"loss": "cross_entropy", "epochs": 6, "optimizer": fl.optim.Adam(1e-2), "seed": seed} | settings
    return fl.fit(nn.mlp((5,), 3, "tanh"), (X, LABELS), **settings)


def test_a_replayed_path_is_the_recorded_one_and_ends_in_the_run() -> None:
    run = small_run()
    replayed = fl.trajectory(run)
    recorded = fl.trajectory(
        fl.train(nn.mlp((5,), 3, "tanh"), (X, LABELS), loss="cross_entropy", epochs=6, optimizer=fl.optim.Adam(1e-2))
    )
    assert replayed.exact is True and recorded.exact is None
    np.testing.assert_array_equal(replayed.thetas, recorded.thetas)
    np.testing.assert_array_equal(replayed.thetas[-1], run.model.theta)
    assert replayed.epochs.tolist() == [0, 1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(replayed.loss[1:], run.history["loss"])
    few = fl.trajectory(run, points=3)
    assert few.epochs.tolist()[0] == 0 and few.epochs.tolist()[-1] == 6 and len(few) <= 4


def test_a_path_can_be_had_from_the_folder_of_a_run(tmp_path) -> None:
    run = small_run(out=tmp_path / "run")
    found = fl.trajectory(tmp_path / "run", (X, LABELS))
    assert found.exact
    land = fl.landscape(tmp_path / "run", (X, LABELS), directions="trajectory", points=5)
    assert land.centre_loss == pytest.approx(float(run.model.objective(run.model.theta, X, LABELS)), rel=1e-5)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == sorted(p.name for p in run.folder.iterdir())


def test_the_path_lies_on_its_landscape() -> None:
    run = small_run(dtype="float64")
    path = fl.trajectory(run)
    land = fl.landscape(run, directions="trajectory", path=path, points=11)
    assert 0.5 < land.share <= 1 + 1e-12 and land.share == pytest.approx(land.shares.sum())
    np.testing.assert_allclose(land.path[-1], 0, atol=1e-12)
    expected = [float(run.model.objective(theta, X, LABELS)) for theta in path.thetas]
    np.testing.assert_allclose(land.path_loss, expected, rtol=1e-9)
    for k, axis in enumerate(land.axes):
        assert axis[0] <= land.path[:, k].min() and axis[-1] >= land.path[:, k].max()


def test_running_statistics_are_no_movement_of_the_path() -> None:
    network = nn.Sequential(nn.BatchNorm(), nn.Dense(4), nn.Tanh(), nn.Dense(3))
    run = fl.fit(network, (1000 * X, LABELS), loss="cross_entropy", epochs=4, dtype="float64")
    land = fl.landscape(run, directions="trajectory", points=3)
    kept = run.model.layout.unpack(np.ones_like(run.model.theta), np.zeros(run.model.layout.count()))
    assert not (land.directions * kept).any() and np.isfinite(land.loss).all()
    expected = float(run.model.objective(run.model.theta, 1000 * X, LABELS))
    assert land.path_loss[-1] == pytest.approx(expected)


def test_the_grid_is_the_loss_at_its_coordinates() -> None:
    run = small_run(dtype="float64")
    land = fl.landscape(run, points=4, span=0.5)
    assert land.kind == "random" and land.unit == "filter lengths" and land.loss.shape == land.error.shape == (4, 4)
    for i, a in enumerate(land.axes[0]):
        for j, b in enumerate(land.axes[1]):
            theta = land.centre + a * land.directions[0] + b * land.directions[1]
            assert land.loss[i, j] == pytest.approx(float(run.model.objective(theta, X, LABELS)), rel=1e-10)
    assert (land.rows, land.of) == (120, 120)
    assert fl.landscape(run, points=3, rows=50).rows == 50


def test_the_slice_along_an_eigenvector_bends_by_its_eigenvalue() -> None:
    run = small_run(dtype="float64")
    land = fl.landscape(run, directions="eigenvectors", dimensions=1, points=3, span=1e-3)
    low, middle, high = land.loss
    assert (low - 2 * middle + high) / 1e-6 == pytest.approx(land.curvature[0], rel=1e-3)
    assert land.curvature[0] == pytest.approx(lambda_max(of_model(run.model, (X, LABELS))).value, rel=1e-2)


def test_a_direction_that_does_not_bend_is_no_endless_axis() -> None:
    # One row and one output: the Hessian's rank is near 1, and its second eigenvalue may be nothing but rounding.
    run = fl.fit(fl.nn.Sequential(fl.nn.Dense(1)), (X[:1], X[:1, 0]), loss="squared_error", epochs=2)
    land = fl.landscape(run, directions="eigenvectors", points=5)
    assert abs(land.curvature[1]) < 1e-9 * land.curvature[0] and np.abs(land.axes[1]).max() == 1
    assert np.isfinite(land.loss).all()


def test_validation_rows_and_directions_of_ones_own() -> None:
    run = small_run(validation=(X[:40], LABELS[:40]), dtype="float64")
    own = np.ones_like(run.model.theta)
    land = fl.landscape(run, directions=own, points=3, on="validation")
    assert land.loss.shape == (3,) and land.rows == 40 and land.on == "validation"
    assert land.loss[1] == pytest.approx(float(run.model.objective(run.model.theta, X[:40], LABELS[:40])))


def test_a_landscape_can_be_written_down(tmp_path) -> None:
    land = fl.landscape(small_run(), points=3, dimensions=1)
    told = json.loads(json.dumps(land.to_dict()))
    assert told["loss"] == land.loss.tolist() and "centre" not in told and told["share"] is None
    land.save(tmp_path / "land.npz")
    with np.load(tmp_path / "land.npz") as arrays:
        np.testing.assert_array_equal(arrays["loss"], land.loss)
        np.testing.assert_array_equal(arrays["axis0"], land.axes[0])
        assert str(arrays["kind"]) == "random"


def test_a_convex_loss_has_no_barrier_between_any_two_models() -> None:
    fit = lambda seed, epochs: fl.fit(
        nn.Dense(2), (X, NUMBERS), loss="squared_error", epochs=epochs, seed=seed, dtype="float64"
    )
    found = fl.line_between(fit(0, 1), fit(1, 30))
    assert found.barrier == pytest.approx(0.0, abs=1e-12)
    t, loss = found.landscape.axes[0], found.landscape.loss
    assert t[0] == pytest.approx(-0.24) and t[-1] == pytest.approx(1.24)
    np.testing.assert_allclose(np.diff(loss, 3), 0, atol=1e-9)  # a parabola


def test_permuted_units_make_a_barrier_between_equal_networks() -> None:
    run = small_run(epochs=40, dtype="float64")
    params = [{name: array.copy() for name, array in layer.items()} for layer in run.model.params]
    order = np.roll(np.arange(5), 1)
    params[0] = {"weight": params[0]["weight"][:, order], "bias": params[0]["bias"][order]}
    params[-1]["weight"] = params[-1]["weight"][order]
    twin = replace(run, model=run.model.with_params(tuple(params)))
    found = fl.line_between(run, twin)
    ends = found.landscape.loss[[np.argmin(abs(found.landscape.axes[0] - end)) for end in (0, 1)]]
    assert ends[0] == pytest.approx(ends[1])
    assert found.barrier > 2 * found.barrier_error > 0 and 0.3 < found.at < 0.7


def test_bad_questions_are_refused(tmp_path) -> None:
    run = small_run()
    with pytest.raises(ArgumentError, match="directions"):
        fl.landscape(run, directions="randm")
    with pytest.raises(ArgumentError, match=r'like theta, \(53,\), got shape \(1, 3\)\n  try: directions="random"'):
        fl.landscape(run, directions=np.zeros(3))
    with pytest.raises(ArgumentError, match="has none: it has no validation rows"):
        fl.landscape(run, on="validation")
    alone = fl.load_run(run.save(tmp_path / "run"))
    with pytest.raises(ArgumentError, match=r"does not say where its rows came from.*\n  try: data=\(x, y\)"):
        fl.landscape(alone)
    assert fl.landscape(alone, (X, LABELS), points=2).loss.shape == (2, 2)
    other = fl.fit(nn.mlp((4,), 3), (X, LABELS), loss="cross_entropy", epochs=1)
    with pytest.raises(ArgumentError, match="different networks"):
        fl.line_between(run, other)
    with pytest.raises(DataError, match="same parameters"):
        fl.line_between(run, run)
    with pytest.raises(ArgumentTypeError, match="trajectory takes a run"):
        fl.trajectory(3)
    continued = fl.fit(None, (X, LABELS), init=run, epochs=1)
    with pytest.raises(ArgumentError, match="cannot be trained once more"):
        fl.trajectory(continued)
    with pytest.raises(ArgumentError, match="other parameters"):
        fl.landscape(other, directions="trajectory", path=fl.trajectory(run))


def test_rows_of_weight_zero_are_no_rows() -> None:
    model = nn.Model.init(nn.mlp((5,), 3), 6, loss="cross_entropy", dtype="float64")
    own, half = filter_normalised(model, 1), np.repeat([1.0, 0.0], 60)
    some = Sliced(model, model.theta, own, sample_of(X, LABELS, half)).losses(np.ones((1, 1)))
    only = Sliced(model, model.theta, own, sample_of(X[:60], LABELS[:60])).losses(np.ones((1, 1)))
    np.testing.assert_allclose([some.mean, some.error], [only.mean, only.error])


def test_the_way_down_from_a_saddle_is_on_the_plane_of_eigenvectors() -> None:
    # Weights of zero: the highest curvatures alone would show a bowl.
    x = np.random.default_rng(0).normal(size=(60, 3))
    y = np.where(x[:, 0] > 0, "a", "b")
    zero = fl.nn.Sequential(fl.nn.Dense(4, initializer="zeros"), fl.nn.Tanh(), fl.nn.Dense(2, initializer="zeros"))
    run = fl.fit(
        zero, (x, y), loss="cross_entropy", optimizer=fl.optim.GradientDescent(0.1), batch_size="full", epochs=3
    )
    seen = fl.landscape(run, directions="eigenvectors", points=9)
    assert seen.curvature is not None and seen.curvature.min() < -0.01 < 0.01 < seen.curvature.max()
    assert seen.loss.min() < seen.loss[4, 4] - 0.01
