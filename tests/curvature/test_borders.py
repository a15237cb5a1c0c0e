"""Largest stable steps: every optimizer that states one is run just below it and just above it."""

import numpy as np
import pytest

from fallline import nn, optim
from fallline.curvature import at, of_model, stable_step
from fallline.errors import ArgumentError
from fallline.nn.theta import Layout, Slot
from fallline.optim import OPTIMIZERS as OF_TABLE

# beta2 so near 1 that the second moments stand still: the border is of steps with this preconditioner.
STILL = 1 - 1e-12
OPTIMIZERS = [
    optim.GradientDescent(0.1),
    optim.GradientDescent(0.1, weight_decay=0.7),
    optim.Momentum(0.1, momentum=0.8),
    optim.Momentum(0.1, momentum=0.0),
    optim.Momentum(0.1, momentum=0.9, velocity="steps", weight_decay=0.2),
    optim.Nesterov(0.1, momentum=0.9),
    optim.Nesterov(0.1, momentum=0.5, weight_decay=0.3),
    optim.RMSProp(0.1, beta2=STILL),
    optim.RMSProp(0.1, beta2=STILL, weight_decay=0.4),
    optim.Adam(0.1, beta1=0.9, beta2=STILL),
    optim.Adam(0.1, beta1=0.0, beta2=STILL, eps_beside="raw"),
    optim.AdamW(0.1, beta1=0.6, beta2=STILL, weight_decay=0.9),
]
LATE = 10**9  # steps after which Adam's corrections stand still too


def problem(seed, size=6):
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((size, size)))
    matrix = (q * np.exp(rng.uniform(-1, 2, size))) @ q.T
    return matrix, np.exp(rng.uniform(-2, 1, size))


def layout_of(size, rates):
    """Weights (decayed), and biases (not), with factors of the learning rate if asked for."""
    half = size // 2
    slots = (Slot(0, (half, 1), "w", rate=2.0 if rates else 1.0), Slot(half, (size - half,), "b", decay=0.0))
    return Layout(slots, size)


def radius(optimizer, matrix, v, layout):
    """The spectral radius of a step of the optimizer's own rule on the quadratic, which is linear while v is held."""
    size, small = len(matrix), 1e-9
    names = [name for name in optimizer.started(np.zeros(size), layout) if not _is_second(name, optimizer)]
    columns = []
    for place in range(size * (1 + len(names))):
        whole = np.zeros(size * (1 + len(names)))
        whole[place] = small  # so small that its square does not move the second moments
        theta, *parts = whole.reshape(-1, size)
        state = dict(zip(names, parts, strict=True))
        second = {} if isinstance(optimizer, optim.Momentum | optim.GradientDescent) else {"v": v.copy()}
        new, after = optimizer.moved(theta, matrix @ theta, {**state, **second}, np.int64(LATE), layout)
        columns.append(np.concatenate([new, *(after[name] for name in names)]) / small)
    return np.abs(np.linalg.eigvals(np.stack(columns, axis=1))).max()


def _is_second(name, optimizer):
    return name == "v" and not isinstance(optimizer, optim.Momentum)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
@pytest.mark.parametrize("rates", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_steps_shrink_just_below_the_border_and_grow_just_above(optimizer, rates, seed) -> None:
    matrix, v, layout = *problem(seed), layout_of(6, rates)
    params = layout.split(np.ones(6))
    here = at(lambda p: 0.5 * (_flat(p) @ matrix @ _flat(p)), params, layout=layout)
    found = stable_step(here, optimizer, state={"v": v}, step=LATE, tolerance=1e-12, most=6)
    assert found.ratio == pytest.approx(0.1 / found.border)
    assert radius(optimizer.at_rate(0.999 * found.border), matrix, v, layout) < 1
    assert radius(optimizer.at_rate(1.001 * found.border), matrix, v, layout) > 1


def _flat(params):
    w, b = params
    return np.concatenate([w.reshape(-1), b])


def test_worked_borders_of_a_bowl() -> None:
    # f = x^2 / 2 + 5 y^2 / 2: lambda_max 5.
    here = at(lambda p: 0.5 * (p[0] ** 2 + 5 * p[1] ** 2), np.ones(2))
    assert stable_step(here, optim.GradientDescent(0.1)).border == pytest.approx(2 / 5)
    assert stable_step(here, optim.Momentum(0.1, momentum=0.9)).border == pytest.approx(3.8 / 5)
    assert stable_step(here, optim.Nesterov(0.1, momentum=0.9)).border == pytest.approx(3.8 / (2.8 * 5))
    # Adam after many steps with v = (1, 25): P = (1, 5), so P^-1/2 H P^-1/2 = diag(1, 1).
    found = stable_step(here, optim.Adam(0.1), state={"m": np.ones(2), "v": np.array([1.0, 25.0])}, step=10**6)
    assert found.border == pytest.approx(2 * 1.9 / 0.1, rel=1e-6) and found.curvature.value == pytest.approx(1)
    assert found.ratio == pytest.approx(0.1 / 38, rel=1e-6)
    assert "largest stable learning rate 38 = 2 (1 + beta1) / ((1 - beta1) lambda)" in str(found)


def test_groups_have_one_border_and_keep_their_ratio() -> None:
    layout = Layout((Slot(0, (1, 1), "w"), Slot(1, (1,), "b", decay=0.0)), 2)
    here = at(lambda p: 0.5 * (p[0][0, 0] ** 2 + 5 * p[1][0] ** 2), layout.split(np.ones(2)), layout=layout)
    both = optim.Groups({"w": optim.GradientDescent(0.4), "b": optim.Momentum(0.1, momentum=0.9)})
    # w: 0.4 of 2 / 1; b: 0.1 of 3.8 / 5 = 0.76, so w reaches its border first, at 5 times these rates.
    found = stable_step(here, both)
    assert found.border == pytest.approx(2.0) and found.learning_rate == 0.4
    assert found.ratio == pytest.approx(0.2)
    unknown = optim.Groups({"w": optim.Adam(0.4), "b": optim.Momentum(0.1)})
    assert stable_step(here, unknown).border is None


@pytest.mark.parametrize(
    ("optimizer", "why"),
    [
        (optim.Adam(0.1), "second moments, and they were not given"),
        (optim.LBFGS(), "length of every step"),
        (optim.Muon(0.1), "one length whatever the gradient"),
    ],
)
def test_where_no_border_is_known_it_says_why(optimizer, why) -> None:
    found = stable_step(at(lambda x: x @ x, np.zeros(2)), optimizer)
    assert found.border is None and found.ratio is None and found.curvature is None
    assert why in str(found)


def test_nothing_that_bends_upwards_bears_any_step() -> None:
    assert stable_step(at(lambda x: -(x @ x), np.zeros(2)), optim.GradientDescent(0.1)).ratio == 0.0


def test_weight_decay_is_counted_once_wherever_it_stands() -> None:
    rng = np.random.default_rng(0)
    model = nn.Model.init(nn.mlp((5,), 1, "tanh"), 3, loss="squared_error")
    rows = rng.standard_normal((20, 3)), rng.standard_normal(20)
    decayed = optim.GradientDescent(0.1, weight_decay=0.5)
    inside = stable_step(of_model(model, rows, weight_decay=0.5), decayed, tolerance=1e-9, most=30)
    outside = stable_step(of_model(model, rows), decayed, tolerance=1e-9, most=30)
    without = stable_step(of_model(model, rows), optim.GradientDescent(0.1), tolerance=1e-9, most=30)
    assert inside.border == pytest.approx(outside.border, rel=1e-6) and inside.border < without.border


def test_a_state_of_other_parameters_is_refused() -> None:
    with pytest.raises(ArgumentError, match="of other parameters"):
        stable_step(at(lambda x: x @ x, np.zeros(2)), optim.Adam(0.1), state={"v": np.ones(3)})


def test_every_optimizer_that_states_a_border_is_run_at_it() -> None:
    stating = {cls for cls in OF_TABLE.values() if cls.bears is not optim.Optimizer.bears}
    assert stating <= {type(one) for one in OPTIMIZERS}
