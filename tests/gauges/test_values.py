"""Values of gauges: the same numbers as by one gradient for each row, and cases worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn, tree
from fallline.gauges.step_gauges import landing, parabola
from fallline.nn.context import Context, applied
from fallline.runs.events import Gauged

NETWORK = nn.Sequential(nn.Dense(6), nn.Tanh(), nn.Dense(4), nn.ReLU(), nn.Dense(3))


def gauged(run: fl.Run) -> list[Gauged]:
    return [event for event in run.events if isinstance(event, Gauged)]


def at_step(network: Any, data: Any, names: Any, step: int = 0, **settings: Any) -> tuple[fl.Run, Gauged]:
    """A float64 run of all rows in their order, and its gauges at a step."""
    chosen = {"loss": "cross_entropy", "batch_size": None, "epochs": step + 1, "dtype": "float64", **settings}
    run = fl.fit(network, data, gauges=fl.gauges.Gauges(names, every=1), **chosen)
    return run, next(event for event in gauged(run) if event.step == step)


def row_gradients(model: fl.nn.Model, x: Any, y: Any) -> tuple[list[str], np.ndarray, list[dict[str, np.ndarray]]]:
    """Paths, losses and gradients of rows, from one gradient for each row alone: no batch, no vmap."""
    paths = [path for path, _ in model.layout.trained.items()]
    prepared = model.prepare(y).y
    losses, grads = [], []

    def loss(params: Any, one: Any, target: Any) -> Any:
        z = applied(model.network, params, one, Context(dtype=model.dtype))
        return model.loss.function(z, target)

    for i in range(len(prepared)):
        one = tree.map(lambda array, i=i: np.asarray(array)[i : i + 1], x)
        value, g = fl.value_and_grad(loss)(model.params, one, prepared[i : i + 1])
        losses.append(value)
        by_path = dict(tree.items(g))
        grads.append({path: by_path[path] for path in paths})
    return paths, np.array(losses), grads


def flat(grads: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([np.ravel(g) for g in grads.values()])


def first_model(data: Any, network: Any = NETWORK, loss: Any = "cross_entropy", seed: int = 0) -> nn.Model:
    """The model that a training begins with."""
    training = fl.train(network, data, loss=loss, epochs=1, dtype="float64", batch_size=None, seed=seed)
    return training.run.model


@pytest.mark.parametrize("network", [
    NETWORK,
    nn.Sequential(nn.SharedDense(5, 3), nn.Tanh(), nn.Heads(3, link="softmax")),
    nn.Sequential(nn.Frozen(nn.Dense(4)), nn.Tanh(), nn.Dense(3)),
    nn.Sequential(nn.Dense(4), nn.SiLU(), nn.Dense(3)),
], ids=str)  # fmt: skip
def test_gauges_of_rows_are_those_of_one_gradient_a_row(labelled: Any, network: Any) -> None:
    names = ["norm_test", "inner_product_test", "orthogonality_test", "noise_scale", "row_gradient_norms",
             "signal_to_noise", "gradient_variance", "gradient_norm"]  # fmt: skip
    if "Heads" in str(network):
        # Members are judged one by one, so a row's loss is the mean of its members' losses, not that of their average.
        names = [name for name in names if name != "gradient_norm"]
    _, event = at_step(network, labelled, names)
    assert set(event.values) == set(names) and not event.notes
    model = first_model(labelled, network)
    paths, _, grads = row_gradients(model, *labelled) if "Heads" not in str(network) else members_alone(model, labelled)
    g = np.stack([flat(one) for one in grads])
    n, mean = len(g), g.mean(axis=0)
    square, trace = mean @ mean, np.sum((g - mean) ** 2) / (n - 1)
    along = g @ mean
    across = g - np.outer(along / square, mean)
    found = {name: event.values[name] for name in event.values}
    expected = {
        "norm_test": np.sqrt(trace / n / square),
        "inner_product_test": np.sqrt(np.sum((along - square) ** 2) / (n - 1) / n) / square,
        "orthogonality_test": np.sqrt(np.sum(across**2) / (n - 1) / n / square),
        "row_gradient_norms": np.quantile(np.linalg.norm(g, axis=1), [0, 0.25, 0.5, 0.75, 1]),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name][""], value, rtol=1e-9, err_msg=name)
    np.testing.assert_allclose(found["noise_scale"]["trace"], trace, rtol=1e-9)
    np.testing.assert_allclose(found["noise_scale"]["signal"], square - trace / n, rtol=1e-9, atol=1e-12)
    if square > trace / n:
        np.testing.assert_allclose(found["noise_scale"][""], trace / (square - trace / n), rtol=1e-8)
    for path in paths:
        own = np.stack([one[path].ravel() for one in grads])
        if "gradient_norm" in found:
            np.testing.assert_allclose(found["gradient_norm"][path], np.linalg.norm(own.mean(axis=0)), rtol=1e-9)
        np.testing.assert_allclose(found["gradient_variance"][path], own.var(axis=0).sum(), rtol=1e-8, atol=1e-15)
        variance = own.var(axis=0, ddof=1)
        ratio = own.mean(axis=0)[variance > 1e-20] ** 2 / variance[variance > 1e-20]
        np.testing.assert_allclose(found["signal_to_noise"][path], ratio.mean(), rtol=1e-6)


def members_alone(model: nn.Model, data: Any) -> Any:
    """The same where each member's loss counts."""
    paths, grads, y = [path for path, _ in model.layout.trained.items()], [], model.prepare(data[1]).y

    def loss(params: Any, one: Any, target: Any) -> Any:
        context = Context(dtype=model.dtype)
        output = applied(model.network, params, one, context)
        members = context.answers(output)
        return sum(model.loss.function(members[k], target) for k in range(3)) / 3

    for i in range(len(y)):
        g = dict(tree.items(fl.grad(loss)(model.params, data[0][i : i + 1], y[i : i + 1])))
        grads.append({path: g[path] for path in paths})
    return paths, np.zeros(len(y)), grads


def test_the_update_is_the_step_that_is_made(labelled: Any) -> None:
    run, event = at_step(NETWORK, labelled, ["update_ratio", "loss_change", "distance"], optimizer=fl.optim.Adam(0.02))
    before, after = first_model(labelled), run.model
    for path, slot in before.layout.items():
        change = slot.of(after.theta) - slot.of(before.theta)
        size = np.linalg.norm(slot.of(before.theta))
        if size:
            np.testing.assert_allclose(event.values["update_ratio"][path], np.linalg.norm(change) / size, rtol=1e-9)
        assert event.values["distance"][path] == 0
    y = before.prepare(labelled[1]).y
    losses = [float(model.objective(model.theta, labelled[0], y)) for model in (before, after)]
    np.testing.assert_allclose(event.values["loss_change"][""], losses[1] - losses[0], rtol=1e-9)
    # After one step the distance is the length of the step.
    last = fl.fit(NETWORK, labelled, loss="cross_entropy", batch_size=None, epochs=1, dtype="float64",
                  optimizer=fl.optim.Adam(0.02), gauges=fl.gauges.Gauges("distance", every=1))  # fmt: skip
    for path, slot in before.layout.items():
        moved = np.linalg.norm(slot.of(last.model.theta) - slot.of(before.theta))
        np.testing.assert_allclose(last.gauges["distance"][path], [0, moved], rtol=1e-9)


def test_deltas_and_activations_are_those_of_a_plain_pass(labelled: Any) -> None:
    x, y = labelled
    network = nn.Sequential(nn.Dense(5), nn.Tanh(), nn.Dense(3))
    names = ["delta_size", "activation_mean", "activation_deviation", "saturated", "dead_units"]
    _, event = at_step(network, labelled, names)
    p = first_model(labelled, network).params
    pre = x @ p[0]["weight"] + p[0]["bias"]
    h = np.tanh(pre)
    z = h @ p[2]["weight"] + p[2]["bias"]
    share = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    share[np.arange(len(y)), y] -= 1  # N d loss / d z
    deltas = {"2": share, "1": share @ p[2]["weight"].T}
    deltas["0"] = deltas["1"] * (1 - h**2)
    for path, out in {"0": pre, "1": h, "2": z}.items():
        np.testing.assert_allclose(event.values["delta_size"][path], np.sqrt(np.mean(deltas[path] ** 2)), rtol=1e-9)
        np.testing.assert_allclose(event.values["activation_mean"][path], out.mean(), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(event.values["activation_deviation"][path], out.std(), rtol=1e-9)
    np.testing.assert_allclose(event.values["saturated"]["1"], np.mean(1 - h**2 < 0.01))
    assert "dead_units" not in event.values  # tanh is never off


def test_units_that_are_off_for_every_row_are_counted() -> None:
    # Four units with weights 1 and biases 0, -100, -100, 100 on x in [-1, 1]: two are off for every row, ReLU passes
    # the last on for every row. tanh behind biases 0, 0, 0, 100 is flat in one of four.
    x = np.linspace(-1, 1, 40)[:, None]
    for layer, bias, name, share in (
        (nn.ReLU(), [0, -100, -100, 100], "dead_units", 0.5),
        (nn.LeakyReLU(0.1), [0, -100, -100, 100], "dead_units", 0.0),
        (nn.Tanh(), [0, 0, 0, 100], "saturated", 0.25),
        (nn.Sigmoid(), [0, 0, -100, 100], "saturated", 0.5),
    ):
        network = nn.Sequential(nn.Dense(4), layer, nn.Dense(1))
        model = nn.Model.init(network, 1, loss="squared_error", dtype="float64")
        model.params[0]["weight"][...], model.params[0]["bias"][...] = 1, bias
        _, event = at_step(model, (x, x[:, 0]), name, loss=None)
        assert event.values[name] == {"1": share}, layer


def test_a_step_onto_the_minimum_has_alpha_0_and_one_across_alpha_1() -> None:
    # L(w) = mean (w x - y)^2 / ... with x = 1, y = 0: L = w^2, gradient 2 w. A learning rate of 1/2 lands at 0, one of
    # 1 at -w, one of 1/4 half way: tau* = 2, alpha = -1/2; 3/4 overshoots by half: alpha = 1/2; 2 has alpha 3.
    x, y = np.ones((8, 1)), np.zeros(8)
    for rate, alpha in ((0.5, 0.0), (1.0, 1.0), (0.25, -0.5), (0.75, 0.5), (2.0, 3.0)):
        model = nn.Model.init(nn.Dense(1, bias=False), 1, loss="squared_error", dtype="float64")
        model.theta[...] = 3.0
        _, event = at_step(model, (x, y), ["alpha", "loss_change"], loss=None,
                           optimizer=fl.optim.GradientDescent(rate))  # fmt: skip
        np.testing.assert_allclose(event.values["alpha"][""], alpha, atol=1e-9)
        np.testing.assert_allclose(event.values["alpha"]["slope"], -rate * 36)  # gradient 6, step 6 rate
        np.testing.assert_allclose(event.values["loss_change"][""], 9 * ((1 - 2 * rate) ** 2 - 1), atol=1e-9)


def test_the_parabola_is_the_exact_one_and_trusts_the_certain_numbers() -> None:
    # 1 - 2 tau + 3 tau^2 / 2: 1 and 0.5 at the ends, slopes -2 and 1, the minimum at tau = 2/3.
    ends = np.array([1.0, 0.5]), np.array([-2.0, 1.0])
    np.testing.assert_allclose(parabola(*ends, np.zeros(2), np.zeros(2)), [1, -2, 3])
    np.testing.assert_allclose(parabola(*ends, np.full(2, 0.1), np.full(2, 4.0)), [1, -2, 3])
    assert landing(np.array([1.0, -2.0, 3.0])) == pytest.approx(0.5)
    # A wild loss at the end counts for little where its variance is large; among equals it would bend the fit.
    wild = np.array([1.0, 9.0])
    trusting = parabola(wild, ends[1], np.array([1e-4, 1e4]), np.full(2, 1e-4))
    np.testing.assert_allclose(trusting, [1, -2, 3], atol=1e-3)
    assert not np.allclose(parabola(wild, ends[1], np.full(2, 1.0), np.full(2, 1.0)), [1, -2, 3], atol=0.5)
    assert landing(np.array([0.0, -1.0, -1.0])) == -1  # bends down: no minimum to land at
    assert np.isnan(landing(np.array([0.0, 1.0, 1.0])))  # begins uphill


def test_histograms_count_every_element_in_the_bin_of_its_power_of_two(labelled: Any) -> None:
    from fallline.gauges.gradient_gauges import bins, edges, places

    values = np.array([0.0, 1.0, 1.5, -1.0, 2.0**-50, 2.0**60, 0.3])
    borders = edges()
    inside = np.digitize(np.clip(values, -(2.0**15.5), 2.0**15.5), borders)  # values beyond the last bin are in it
    assert places(values).tolist()[:3] == inside.tolist()[:3]
    assert (places(values) - bins() // 2).tolist() == [0, 41, 41, -41, 0, 56, 39]
    run, event = at_step(NETWORK, labelled, ["gradient_histogram", "gradient_parameter_histogram"])
    for path, slot in run.model.layout.items():
        assert event.values["gradient_histogram"][path].sum() == slot.size
    assert event.values["gradient_parameter_histogram"][""].sum() == run.model.layout.size


def test_losses_by_class_and_the_hardest_rows_are_those_of_the_rows(labelled: Any) -> None:
    x, y = labelled
    _, event = at_step(NETWORK, labelled, ["class_loss", "hardest_rows"])
    _, losses, _ = row_gradients(first_model(labelled), x, y)
    for label in range(3):
        np.testing.assert_allclose(event.values["class_loss"][str(label)], losses[y == label].mean(), rtol=1e-9)
    order = np.argsort(-losses)[:10]
    assert event.values["hardest_rows"]["row"].tolist() == order.tolist()
    np.testing.assert_allclose(event.values["hardest_rows"]["loss"], losses[order], rtol=1e-9)


def test_weights_of_rows_weigh_their_gradients(numbers: Any) -> None:
    # A row of weight 0 and one of weight 2 beside rows of weight 1.
    x, y = numbers
    weight = np.ones(len(y))
    weight[:2] = 0, 2
    network = nn.Sequential(nn.Dense(4), nn.Tanh(), nn.Dense(1))
    names = ["norm_test", "gradient_norm", "inner_product_test"]
    _, event = at_step(network, (x, y, weight), names, loss="squared_error")
    paths, _, grads = row_gradients(first_model((x, y), network, "squared_error"), x, y)
    g = np.stack([flat(one) for one in grads]) * (weight * len(y) / weight.sum())[:, None]
    n, mean = len(g), g.mean(axis=0)
    trace = np.sum((g - mean) ** 2) / (n - 1)
    np.testing.assert_allclose(event.values["norm_test"][""], np.sqrt(trace / n / (mean @ mean)), rtol=1e-9)
    own = np.stack([one[paths[0]].ravel() for one in grads]) * (weight * len(y) / weight.sum())[:, None]
    np.testing.assert_allclose(event.values["gradient_norm"][paths[0]], np.linalg.norm(own.mean(axis=0)), rtol=1e-9)


def test_a_penalty_is_part_of_every_row_s_gradient(numbers: Any) -> None:
    loss = nn.Objective("squared_error", penalty=nn.L2(0.5))
    network = nn.Sequential(nn.Dense(4), nn.Tanh(), nn.Dense(1))
    _, event = at_step(network, numbers, ["norm_test", "gradient_norm"], loss=loss)
    model = first_model(numbers, network, "squared_error")
    paths, _, grads = row_gradients(model, *numbers)
    pull = {path: 0.5 * slot.of(model.theta) * path.endswith("weight") for path, slot in model.layout.items()}
    g = np.stack([flat({path: one[path] + pull[path] for path in paths}) for one in grads])
    n, mean = len(g), g.mean(axis=0)
    trace = np.sum((g - mean) ** 2) / (n - 1)
    np.testing.assert_allclose(event.values["norm_test"][""], np.sqrt(trace / n / (mean @ mean)), rtol=1e-9)


def test_curvature_is_that_of_the_dense_hessian(labelled: Any) -> None:
    names = ["lambda_max", "lambda_min", "hessian_trace", "stability", "spectral_density"]
    network, x, y = nn.Sequential(nn.Dense(4), nn.Tanh(), nn.Dense(3)), *labelled
    _, event = at_step(network, labelled, names, step=3, optimizer=fl.optim.Momentum(0.3, momentum=0.9))
    run = fl.fit(network, labelled, loss="cross_entropy", batch_size=None, epochs=3, dtype="float64",
                 optimizer=fl.optim.Momentum(0.3, momentum=0.9))  # fmt: skip
    targets = run.model.prepare(y).y
    hessian = fl.hessian(lambda theta: run.model.objective(theta, x, targets))(run.model.theta)
    spectrum = np.linalg.eigvalsh(hessian)
    top = event.values["lambda_max"]
    assert abs(top[""] - spectrum[-1]) <= top["error"] + 1e-9 and top["error"] < 0.02 * spectrum[-1]
    low = event.values["lambda_min"]
    assert abs(low[""] - spectrum[0]) <= low["error"] + 1e-9
    np.testing.assert_allclose(event.values["hessian_trace"][""], spectrum.sum(), rtol=1e-6)
    # Heavy ball bears 2 (1 + 0.9) / lambda.
    np.testing.assert_allclose(event.values["stability"][""], 0.3 * spectrum[-1] / 3.8, rtol=0.02)
    assert event.values["stability"]["learning_rate"] == 0.3
    density = event.values["spectral_density"]
    assert np.trapezoid(density[""], density["at"]) == pytest.approx(1, abs=0.01)
    # Its mean is that of the eigenvalues, which three probes tell to a part of their spread.
    mean = np.trapezoid(density[""] * density["at"], density["at"])
    assert mean == pytest.approx(spectrum.mean(), abs=0.2 * spectrum.std())
    assert density["at"][0] < spectrum[0] and density["at"][-1] > spectrum[-1]


def test_some_rows_of_a_batch_stand_for_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the gradients of all rows do not fit into memory, noise is still that of the batch, and not of fewer rows.
    from fallline.gauges import gauge_graph

    rng = np.random.default_rng(0)
    x, names = rng.normal(size=(200, 6)), ["norm_test", "inner_product_test", "orthogonality_test", "noise_scale"]
    data = x, rng.integers(0, 3, 200)
    _, every = at_step(nn.mlp((16,), 3), data, names)
    monkeypatch.setattr(gauge_graph, "MOST_ELEMENTS", 16_000)
    _, some = at_step(nn.mlp((16,), 3), data, [*names, "signal_to_noise"])
    assert some.values["noise_scale"]["trace"] != every.values["noise_scale"]["trace"]
    for name in names:  # 1 / 0.7: with the rows that were taken for those of the batch they were off by more
        for path in every.values[name]:
            ratio = some.values[name][path] / every.values[name][path]
            assert 0.7 < ratio < 1 / 0.7, (name, path)


def test_one_row_has_no_noise_to_be_compared_with(labelled: Any) -> None:
    x, y = labelled
    noisy = ["norm_test", "inner_product_test", "orthogonality_test", "noise_scale", "signal_to_noise"]
    _, event = at_step(NETWORK, (x[:8], y[:8]), noisy, batch_size=1)
    for name in noisy:
        assert all(np.isnan(value).all() for value in event.values[name].values()), name
