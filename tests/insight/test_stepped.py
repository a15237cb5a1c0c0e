"""The step after an explanation is the one that training would make with these rows alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn, optim, tree
from fallline.errors import ArgumentTypeError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 2)), RNG.normal(size=20)
OPTIMIZERS: list[Any] = [
    optim.GradientDescent(0.1),
    optim.Momentum(0.05, weight_decay=0.1),
    optim.Adam(0.01),
    optim.AdamW(0.01, weight_decay=0.1, clip_norm=0.1),
    optim.Groups({"*.bias": optim.GradientDescent(0.1), "*": optim.Adam(0.01)}),
]


def train(optimizer: Any, **more: Any) -> fl.Run:
    return fl.fit(nn.mlp((3,), 1, "tanh"), (X, Y), loss="squared_error", optimizer=optimizer, epochs=3, batch_size=5,
                  dtype="float64", threads=1, **more)  # fmt: skip


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda one: one.name)
@pytest.mark.parametrize("from_disk", [False, True])
def test_it_is_the_step_that_a_training_goes_on_with(optimizer: Any, from_disk: bool, tmp_path: Any) -> None:
    run = train(optimizer, **({"out": tmp_path / "run"} if from_disk else {}))
    given = fl.load_run(tmp_path / "run") if from_disk else run
    found = fl.explain(given, X[:1], Y[:1], weight="0.weight[1,2]")
    row = fl.fit(run.model, (X[:1], Y[:1]), init=run, epochs=1, batch_size=1, threads=1, optimizer=optimizer)
    after = dict(tree.items(row.model.params))["0.weight"][1, 2]
    assert found.stepped.after == pytest.approx(float(after), rel=1e-12)
    assert found.stepped.before == run.model.params[0]["weight"][1, 2]
    loss = float(np.asarray(row.model.objective(row.model.theta, X[:1], found.y)))
    assert found.stepped.loss_after == pytest.approx(loss, rel=1e-12)
    assert found.stepped.loss_before == found.loss


def test_without_a_run_it_is_plain_gradient_descent_and_says_so() -> None:
    model = nn.Model.init(nn.Dense(1), 2, loss="squared_error", dtype="float64")
    found = fl.explain(model, X[0], [1.0], weight="weight[0,0]", optimizer=optim.GradientDescent(0.25))
    after = found.stepped.before - 0.25 * found.derivative  # type: ignore[operator]
    assert found.stepped.after == pytest.approx(after, rel=1e-14)
    assert "as given, in a fresh state" in str(found)
    free = fl.explain(model, X[0], [1.0])
    assert free.stepped.learning_rate == 0.1 and "as no run says otherwise" in str(free)
    # A quadratic: the change is the first order plus half the curvature along the step.
    assert free.stepped.loss_after - free.loss > free.stepped.expected
    assert fl.explain(model, X[0], [1.0], to="x[0]").stepped.before is None


def test_frozen_and_kept_numbers_stay_and_are_named_so() -> None:
    network = nn.Sequential(nn.Frozen(nn.Dense(2)), nn.BatchNorm(), nn.Dense(1))
    model = nn.Model.init(network, 2, loss="squared_error", dtype="float64")
    for path, told in (("0.weight[0,0]", "it is frozen"), ("1.mean[0]", "its layer writes it while training")):
        found = fl.explain(model, X[:3], Y[:3], weight=path)
        assert found.derivative != 0 and found.stepped.before == found.stepped.after
        assert told in " ".join(str(found).split())


def test_a_run_without_its_state_starts_from_a_fresh_one_and_says_so() -> None:
    run = replace(train(optim.Adam(0.01)), ended_with=None)
    found = fl.explain(run, X[0], Y[0])
    assert "in a fresh state" in found.stepped.source and found.stepped.optimizer.startswith("Adam(")
    assert abs(found.stepped.after - found.stepped.before) == pytest.approx(0.01, rel=1e-4)  # type: ignore[operator]
    other = replace(run, config={**run.config, "optimizer": {"not_saved": "mine"}})
    assert "takes no steps of this kind" in fl.explain(other, X[0], Y[0]).stepped.source
    with pytest.raises(ArgumentTypeError, match="optimizer is a record"):
        fl.explain(run, X[0], Y[0], optimizer="adam")


def test_groups_have_a_rate_each_and_a_search_for_steps_has_none() -> None:
    groups = optim.Groups({"*.bias": optim.GradientDescent(0.1), "*": optim.Adam(optim.Cosine(0.01))})
    found = fl.explain(train(groups), X[0], Y[0])
    assert found.stepped.learning_rate is None and "each group at its own rate" in " ".join(str(found).split())
    assert "gradient alone" not in str(found)
    run = fl.fit(nn.mlp((3,), 1), (X, Y), loss="squared_error", optimizer="lbfgs", epochs=2, batch_size="full")
    assert "takes no steps of this kind" in fl.explain(run, X[0], Y[0]).stepped.source
    with pytest.raises(ArgumentTypeError, match="steps by one gradient"):
        fl.explain(run, X[0], Y[0], optimizer=optim.LBFGS())


def test_a_schedule_steps_at_the_rate_of_its_last_epoch() -> None:
    run = train(optim.GradientDescent(optim.Cosine(0.1)))
    found = fl.explain(run, X[0], Y[0])
    assert found.stepped.learning_rate == pytest.approx(run.history["learning_rate"][-1])
    assert "that of the run" in found.stepped.source
