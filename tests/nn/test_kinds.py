"""Parameters that are kept or frozen change by their layer or not at all, over optimizers, files, resumed runs, races
and ensembles."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn, optim, tree
from fallline.errors import ArgumentError, ArgumentTypeError, ShapeError
from fallline.nn.model import Model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)) * [1, 10, 0.1, 1] + [0, 5, 0, -3]
Y = np.tanh(X[:, 0]) + 0.1 * X[:, 1]
NORMED = nn.Sequential(nn.Dense(6, bias=False), nn.BatchNorm(), nn.Tanh(), nn.Dense(1))
PULLING = {
    "adamw": optim.AdamW(0.1, weight_decay=0.5, clip_norm=1.0),
    "momentum": optim.Momentum(0.05, weight_decay=0.1),
    "groups": optim.Groups({"2.*": optim.Momentum(0.1, weight_decay=0.1), "*": optim.AdamW(0.1)}),
}


def fit(network: Any, **settings: Any) -> fl.Run:
    loss = None if isinstance(network, Model) else "squared_error"
    return fl.fit(network, (X, Y), **{"loss": loss, "epochs": 3, "batch_size": 16, "threads": 1, **settings})


def same(one: Any, other: Any) -> bool:
    return all(a.tobytes() == b.tobytes() for (_, a), (_, b) in zip(arrays(one), arrays(other), strict=True))


def arrays(params: Any) -> list[tuple[str, Any]]:
    return list(tree.items(params))


@pytest.mark.parametrize("name", PULLING)
def test_a_frozen_layer_keeps_its_bits_under_every_pull(name: str) -> None:
    network = nn.Sequential(nn.Frozen(nn.Dense(6)), nn.Tanh(), nn.Dense(6), nn.Frozen(nn.BatchNorm()), nn.Dense(1))
    first = fit(network, epochs=1, optimizer=optim.GradientDescent(1e-30), seed=5).model
    last = fit(network, optimizer=PULLING[name], seed=5).model
    assert same(first.params[0], last.params[0]) and same(first.params[3], last.params[3])
    assert not same(first.params[2], last.params[2])
    assert (last.layout.count("frozen"), last.layout.count()) == (30 + 24, 42 + 7)
    assert "103 parameters, of which 54 frozen" in last.summary()


def test_a_frozen_part_changes_nothing_for_the_others() -> None:
    """Clipping and moments see the trainable part alone: as if the frozen one were made before."""
    network = nn.Sequential(nn.Frozen(nn.Dense(6)), nn.Tanh(), nn.Dense(1))
    optimizer = optim.AdamW(0.05, clip_norm=0.1, weight_decay=0.1)
    whole = fit(network, optimizer=optimizer, dtype="float64").model
    w, b = whole.params[0]["weight"], whole.params[0]["bias"]
    start = Model.init(nn.Dense(1), 6, dtype="float64").with_theta(
        fit(network, optimizer=optim.GradientDescent(1e-300), epochs=1, dtype="float64").model.theta[30:].copy()
    )
    apart = fl.fit(start, (np.tanh(X @ w + b), Y), optimizer=optimizer, epochs=3, batch_size=16, threads=1).model
    np.testing.assert_allclose(whole.theta[30:], apart.theta, rtol=1e-9)


def test_parts_of_a_trained_model_are_frozen_by_patterns_and_trained_again() -> None:
    model = fit(NORMED).model
    frozen = model.marked(["0.*", "1.*"], kind="frozen")
    after = fit(frozen, optimizer=PULLING["adamw"]).model
    assert same(model.params[:2], after.params[:2]) and not same(model.params[3], after.params[3])
    back = after.marked("*", kind="trainable")
    assert back.layout.kinds == model.layout.kinds  # running statistics stay with their layer
    slow = model.marked("*", rate=0.0).marked("3.bias", rate=1.0)
    moved = {
        path for (path, a), (_, b) in zip(arrays(model.params), arrays(fit(slow).model.params)) if not (a == b).all()
    }
    assert moved == {"1.mean", "1.variance", "3.bias"}


def test_marks_that_make_no_sense_are_reported() -> None:
    model = Model.init(NORMED, 4)
    with pytest.raises(ArgumentError, match=r"kept by its layer\n  try: context.keep"):
        model.marked("0.*", kind="kept")
    with pytest.raises(ArgumentError, match=r"no parameter is called .0.wieght.; did you mean .0.weight."):
        model.marked("0.wieght", kind="frozen")
    with pytest.raises(ArgumentError, match=r"all parameters are frozen or kept, so there is nothing to train"):
        fit(model.marked("*", kind="frozen"))
    with pytest.raises(ArgumentError, match="all parameters are frozen or kept"):
        fit(nn.Frozen(nn.Dense(1)))


@pytest.mark.parametrize("given", [{"rate": "a"}, {"decay": np.ones(3)}, {"rate": None, "decay": [1]}])
def test_factors_are_numbers(given: Any) -> None:
    with pytest.raises(ArgumentTypeError, match="of a parameter is a number, got"):
        Model.init(NORMED, 4).marked("0.*", **given)


def test_a_training_goes_on_only_with_the_parameters_that_its_optimizer_knows() -> None:
    """Two parts of one size: the arrays of the optimizer would fit, and belong to others."""
    network = nn.Sequential(nn.Dense(4), nn.Tanh(), nn.Dense(4), nn.Tanh(), nn.Dense(1))
    start = Model.init(network, 4, loss="squared_error")
    run = fit(start.marked("0.*", kind="frozen"), epochs=1)
    assert "49 parameters" not in run.summary() and run.started is not None
    assert (run.started.parameters, run.started.trainable) == (45, 25)
    assert run.summary().startswith("45 parameters, 25 of them trained, 60 rows")
    assert fit(start, epochs=1).summary().startswith("45 parameters, 60 rows")
    with pytest.raises(ArgumentError, match=r"frozen, so its optimizer's arrays do not fit: 0.bias, 0.weight, 2.b"):
        fl.fit(start.marked("2.*", kind="frozen"), (X, Y), init=run, epochs=1)
    fl.fit(run.model, (X, Y), init=run, epochs=1)


@dataclass(frozen=True)
class Fickle:
    """Writes its parameter for some batches alone."""

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return {"k": np.zeros(shape, dtype)}, shape

    def apply(self, params: Any, x: Any, context: nn.Context) -> Any:
        if context.training and len(x) > 12:
            context.keep(params["k"], np.mean(x, axis=0))
        return x + params["k"]


def test_a_value_that_is_kept_in_some_batches_alone_is_not_lost_in_silence() -> None:
    with pytest.raises(ArgumentError, match=r"writes the parameter .0.k. in this step, and did not while"):
        fit(nn.Sequential(Fickle(), nn.Dense(1)))


def test_decay_pulls_by_its_factor() -> None:
    start = Model.init(nn.Dense(1, bias=False), 4, dtype="float64")
    zeros = np.zeros_like(X), np.zeros(len(Y))
    optimizer, steps = optim.AdamW(0.1, weight_decay=0.5), 4
    for factor in (1.0, 0.5, 0.0):
        model = start.marked("*", decay=factor)
        after = fl.fit(model, zeros, optimizer=optimizer, epochs=steps, batch_size="full").model
        np.testing.assert_allclose(after.theta, start.theta * (1 - 0.1 * 0.5 * factor) ** steps, rtol=1e-12)


def test_files_know_the_kinds(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Frozen(nn.Dense(6)), nn.BatchNorm(), nn.Dense(1))
    marked = fit(network).model.marked("2.weight", rate=0.5, decay=0.25).marked("2.bias", kind="frozen")
    fl.save_model(marked, tmp_path / "m.safetensors")
    read = fl.load_model(tmp_path / "m.safetensors")
    assert read.layout == marked.layout
    np.testing.assert_array_equal(read.predict(X), marked.predict(X))
    assert "slots" not in fit(network).model.to_config()  # the network says all there is
    config = marked.to_config()
    assert config["slots"] == {"2.bias": ["frozen", 1.0, 0.0], "2.weight": ["trainable", 0.5, 0.25]}
    for wrong in ({"9.weight": ["frozen", 1, 1]}, {"2.bias": ["frozen"]}, {"2.bias": ["frozen", -1, 0]}, [1]):
        with pytest.raises(ArgumentError):
            Model.from_config({**config, "slots": wrong}, marked.theta)


def test_models_that_were_saved_without_kinds_are_read() -> None:
    model = fit(NORMED).model
    config = {"network": model.to_config()["network"], "input_shape": [4], "dtype": "float32",
              "loss": model.to_config()["loss"]}  # fmt: skip
    assert Model.from_config(config, model.theta).layout == model.layout


@pytest.mark.parametrize("network", [NORMED, nn.Sequential(nn.Frozen(nn.Dense(6)), nn.BatchNorm(), nn.Dense(1))],
                         ids=["batch norm", "frozen"])  # fmt: skip
def test_runs_have_the_same_bits_over_threads_resume_checkpointing_and_races(network: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"validation": 0.2, "seed": 3, "optimizer": optim.Adam(0.01)}
    whole = fit(network, epochs=4, **settings).model.theta.tobytes()
    fit(network, epochs=2, out=tmp_path / "run", checkpoints=1, **settings)
    assert fit(network, epochs=4, resume=tmp_path / "run", **settings).model.theta.tobytes() == whole
    assert fit(network, epochs=4, **{**settings, "threads": 2}).model.theta.tobytes() == whole
    assert fit(network, epochs=4, gradient_checkpointing=True, **settings).model.theta.tobytes() == whole
    variants = [{"name": "a", "optimizer": optim.Adam(0.01)}, {"name": "b", "optimizer": optim.Adam(0.02)}]
    race = fl.race(network, (X, Y), variants, loss="squared_error", epochs=4, batch_size=16, validation=0.2, seed=3)
    assert race.runs["a"].model.theta.tobytes() == whole


def test_a_run_goes_on_with_the_kinds_it_began_with(tmp_path: Path) -> None:
    model = Model.init(nn.Sequential(np.tanh, nn.Dense(3), nn.Dense(1)), 4)  # no file can hold a function
    fit(model, out=tmp_path / "run", epochs=1)
    with pytest.raises(ArgumentError, match=r"kinds.*frozen"):
        fit(model.marked("1.*", kind="frozen"), resume=tmp_path / "run", epochs=2)
    fit(model, resume=tmp_path / "run", epochs=2)


def test_trainings_of_one_network_share_no_program_where_kinds_differ() -> None:
    model = Model.init(nn.mlp((4,), 1), 4, loss="squared_error")
    frozen = model.marked("0.*", kind="frozen")
    variants = [{"name": "all", "model": model}, {"name": "some", "model": frozen}]
    race = fl.race(model, (X, Y), variants, epochs=2, batch_size=16)
    assert same(race.runs["some"].model.params[0], model.params[0])
    assert not same(race.runs["all"].model.params[0], model.params[0])


def test_an_ensemble_keeps_the_kinds_of_its_members() -> None:
    run = fit(NORMED, ensemble=2, epochs=2)
    assert run.model.layout.count("kept") == 24
    assert [member.layout.kinds for member in nn.members(run.model)] == [Model.init(NORMED, 4).layout.kinds] * 2
    again = fit(run.model, epochs=1).model
    assert not same(again.params[0][1]["mean"], run.model.params[0][1]["mean"])


def test_batch_normalisation_is_its_formula_in_both_modes() -> None:
    layer = nn.BatchNorm(0.25, eps=1e-3)
    params, shape = layer.init(RNG, (3, 4), np.float64)
    assert shape == (3, 4)
    params = {name: RNG.uniform(0.5, 2, 4) for name in params}
    x = RNG.normal(size=(5, 3, 4)) * 3 + 1
    context = nn.Context(training=True)
    y = layer.apply(params, x, context)
    flat = x.reshape(15, 4)
    normed = (flat - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-3)
    np.testing.assert_allclose(y.reshape(15, 4), normed * params["gamma"] + params["beta"], rtol=1e-12)
    kept = context.kept(params)
    np.testing.assert_allclose(kept["mean"], 0.75 * params["mean"] + 0.25 * flat.mean(0), rtol=1e-12)
    np.testing.assert_allclose(kept["variance"], 0.75 * params["variance"] + 0.25 * flat.var(0, ddof=1), rtol=1e-12)
    predicted = (x - params["mean"]) / np.sqrt(params["variance"] + 1e-3) * params["gamma"] + params["beta"]
    np.testing.assert_allclose(layer.apply(params, x, nn.Context()), predicted, rtol=1e-12)
    single = nn.Context(training=True)
    np.testing.assert_allclose(layer.apply(params, x[:1, 0], single), predicted[:1, 0], rtol=1e-12)
    assert not single.kept(params)
    with pytest.raises(ShapeError, match="takes features"):
        layer.init(RNG, (), np.float64)
    with pytest.raises(ArgumentError, match="momentum"):
        nn.BatchNorm(0.0)


def test_batch_normalisation_trains_and_predicts_row_by_row() -> None:
    run = fit(NORMED, epochs=150, optimizer=optim.Adam(0.01), validation=0.2)
    assert run.history["validation_loss"][-1] < 0.1 * np.var(Y)
    model = run.model
    np.testing.assert_array_equal(model.outputs(X)[7:8], model.outputs(X[7:8]))


@dataclass(frozen=True)
class Handing:
    """Hands to a layer what a function makes of its parameters."""

    layer: Any
    made: Any
    freezes: bool = False

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return self.layer.init(rng, shape, dtype)

    def apply(self, params: Any, x: Any, context: nn.Context) -> Any:
        if self.freezes:
            context.freeze(params)
            return context.predicting().apply(self.layer, tree.map(self.made, params), x)
        return context.apply(self.layer, tree.map(self.made, params), x)


def test_a_frozen_layer_whose_parameters_are_computed_is_not_trained_in_silence() -> None:
    def halved(leaf: Any) -> Any:
        return 0.5 * leaf

    with pytest.raises(ArgumentError, match=r"computed from parameters.*\n  at .*\n  try: context.freeze\(params\)"):
        Model.init(nn.Sequential(Handing(nn.Frozen(nn.Dense(2)), halved), nn.Dense(1)), 4)
    made = Model.init(nn.Sequential(Handing(nn.Dense(2), halved, freezes=True), nn.Dense(1)), 4)  # the hint
    assert made.layout.count("frozen") == 10
    same_one = Handing(nn.Frozen(nn.Frozen(nn.Dense(2))), fl.ops.stop_gradient)
    assert Model.init(nn.Sequential(same_one, nn.Dense(1)), 4).layout.count("frozen") == 10
