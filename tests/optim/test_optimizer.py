"""Optimizers against formulas written once more from PyTorch's documentation, their precision, and their laws."""

import inspect
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fallline import optim, ranges
from fallline.config import from_config, to_config
from fallline.errors import ArgumentError, ArgumentTypeError, TraceError
from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.nn.theta import Layout, Slot
from fallline.optim import Optimizer
from fallline.program import reference

STEPS = 50
RNG = np.random.default_rng(0)
START = RNG.normal(size=12)
MASK = (np.arange(12) % 3 > 0).astype(float)
# Gradients of a bowl with noise: some large, some tiny, some exactly 0.
NOISE = RNG.normal(size=(STEPS, 12)) * np.geomspace(1e-6, 1e3, 12)
CURVES = np.geomspace(0.01, 5, 12) * (np.arange(12) != 4)
NOISE[:, 4] = 0


def gradient(theta: np.ndarray, step: int) -> np.ndarray:
    return CURVES * theta + NOISE[step]


# One loop each, element by element as PyTorch's pages for SGD, RMSprop, Adam and AdamW write it.


def torch_sgd(p: list, g_of: Any, lr: float, momentum: float, nesterov: bool, wd: list) -> list:
    b: list = [None] * len(p)
    for t in range(STEPS):
        g = g_of(p, t)
        for i in range(len(p)):
            d = g[i] + wd[i] * p[i]
            if momentum:
                b[i] = d if b[i] is None else momentum * b[i] + d
                d = d + momentum * b[i] if nesterov else b[i]
            p[i] = p[i] - lr * d
    return p


def torch_rmsprop(p: list, g_of: Any, lr: float, alpha: float, eps: float, wd: list) -> list:
    v = [0.0] * len(p)
    for t in range(STEPS):
        g = g_of(p, t)
        for i in range(len(p)):
            d = g[i] + wd[i] * p[i]
            v[i] = alpha * v[i] + (1 - alpha) * d * d
            p[i] = p[i] - lr * d / (v[i] ** 0.5 + eps)
    return p


def torch_adam(p: list, g_of: Any, lr: float, betas: tuple, eps: float, wd: list, decoupled: bool) -> list:
    m, v = [0.0] * len(p), [0.0] * len(p)
    for t in range(1, STEPS + 1):
        g = g_of(p, t - 1)
        for i in range(len(p)):
            d = g[i]
            if decoupled:
                p[i] = p[i] - lr * wd[i] * p[i]
            else:
                d = d + wd[i] * p[i]
            m[i] = betas[0] * m[i] + (1 - betas[0]) * d
            v[i] = betas[1] * v[i] + (1 - betas[1]) * d * d
            m_hat, v_hat = m[i] / (1 - betas[0] ** t), v[i] / (1 - betas[1] ** t)
            p[i] = p[i] - lr * m_hat / (v_hat**0.5 + eps)
    return p


CASES = [
    (optim.GradientDescent(0.05), lambda p, g, wd: torch_sgd(p, g, 0.05, 0, False, wd)),
    (optim.Momentum(0.02, momentum=0.8), lambda p, g, wd: torch_sgd(p, g, 0.02, 0.8, False, wd)),
    (optim.Nesterov(0.02, momentum=0.8), lambda p, g, wd: torch_sgd(p, g, 0.02, 0.8, True, wd)),
    (optim.RMSProp(0.03, beta2=0.95, eps=1e-6), lambda p, g, wd: torch_rmsprop(p, g, 0.03, 0.95, 1e-6, wd)),
    (optim.Adam(0.03, beta1=0.8, beta2=0.99, eps=1e-5),
     lambda p, g, wd: torch_adam(p, g, 0.03, (0.8, 0.99), 1e-5, wd, False)),
    (optim.AdamW(0.03, weight_decay=0.0), lambda p, g, wd: torch_adam(p, g, 0.03, (0.9, 0.999), 1e-8, wd, True)),
]  # fmt: skip
EVERY = [cls() for cls in optim.OPTIMIZERS.values()]
every = pytest.mark.parametrize("optimizer", EVERY, ids=lambda o: o.name)


def layout_of(size: int, decays: Any = None) -> Layout:
    """A slot for each element; decay pulls as strongly as `decays` says, or 1."""
    return Layout.of([Slot(0, (1,), decay=float(decay)) for decay in (np.ones(size) if decays is None else decays)])


def run(
    optimizer: Optimizer, theta: np.ndarray, g_of: Any = gradient, steps: int = STEPS, mask: Any = None
) -> np.ndarray:
    layout = layout_of(len(theta), mask)
    state = optimizer.started(theta, layout)
    for step in range(steps):
        theta, state = optimizer.moved(theta, g_of(theta, step), state, np.int64(step), layout)
    return theta


def test_every_optimizer_is_compared() -> None:
    assert {type(o) for o, _ in CASES} == set(optim.OPTIMIZERS.values())


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(("optimizer", "independent"), CASES, ids=[o.name for o, _ in CASES])
def test_fifty_steps_are_those_of_the_documented_formula(
    optimizer: Optimizer, independent: Any, weight_decay: float, masked: bool
) -> None:
    ours = run(with_fields(optimizer, weight_decay=weight_decay), START, mask=MASK if masked else None)
    wd = [weight_decay * (m if masked else 1) for m in MASK]
    theirs = independent(START.tolist(), lambda p, t: gradient(np.array(p), t).tolist(), wd)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def with_fields(optimizer: Optimizer, **fields: Any) -> Optimizer:
    return type(optimizer)(**{**{name: getattr(optimizer, name) for name, _, _ in ranges.options(optimizer)}, **fields})


def test_first_step_of_adam_worked_by_hand() -> None:
    # m_hat = g and v_hat = g^2 at the first step, so theta moves by learning_rate g / (|g| + eps).
    adam, layout = optim.Adam(0.1, eps=1e-8), layout_of(2)
    state = {"m": np.zeros(2), "v": np.zeros(2)}
    theta, state = adam.moved(np.array([1.0, 1.0]), np.array([4.0, -0.5]), state, np.int64(0), layout)
    np.testing.assert_allclose(theta, [0.9, 1.1], rtol=1e-7)
    np.testing.assert_allclose(state["m"], [0.4, -0.05])
    np.testing.assert_allclose(state["v"], [0.016, 0.00025])


SCHEDULED = [0.01, optim.Cosine(0.01, steps=STEPS), optim.WarmUp(0.01, warm_steps=5), lambda step: 0.01 / (1 + step)]


@pytest.mark.parametrize("rate", SCHEDULED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every
def test_the_traced_update_is_the_plain_one_and_keeps_theta_s_precision(
    optimizer: Optimizer, dtype: type, rate: Any
) -> None:
    optimizer = with_fields(optimizer, learning_rate=rate, weight_decay=0.1, clip_norm=1.0, clip_value=0.5)
    theta = START.astype(dtype)
    layout = layout_of(len(theta), MASK)
    state = optimizer.started(theta, layout)
    names = list(state)

    def update(theta: Any, g: Any, step: Any, *moments: Any) -> Any:
        new, after = optimizer.moved(theta, g, dict(zip(names, moments)), step, layout)
        assert set(after) == set(names)
        return (new, *(after[name] for name in names))

    vector = [new_input(theta.shape, dtype) for _ in range(2 + len(names))]
    graph, _ = trace(update, [vector[0], vector[1], new_input((), np.int64), *vector[2:]])
    wide = [n for n in graph.nodes() if n.shape == theta.shape and n.op.name != "constant"]
    assert {n.dtype for n in [*wide, *graph.outputs] if n.dtype.kind == "f"} == {np.dtype(dtype)}
    for step in range(4):
        g = gradient(theta, step).astype(dtype)
        plain, state_after = optimizer.moved(theta, g, state, np.int64(step), layout)
        assert plain.dtype == dtype and all(a.dtype == dtype for a in state_after.values())
        traced = reference.run(graph, [theta, g, np.array(step), *(state[name] for name in names)])
        for a, b in zip(traced, [plain, *(state_after[name] for name in names)]):
            np.testing.assert_allclose(a, b, rtol=4 * np.finfo(dtype).eps)
        theta, state = plain, state_after


@every
def test_no_more_passes_over_theta_than_the_formula_needs(optimizer: Optimizer) -> None:
    layout = layout_of(100)
    names = list(optimizer.started(np.zeros(100), layout))
    vector = [new_input((100,), np.float32) for _ in range(2 + len(names))]
    optimizer = with_fields(optimizer, weight_decay=0.0)
    graph, _ = trace(lambda theta, g, step, *state: optimizer.moved(theta, g, dict(zip(names, state)), step, layout),
                     [vector[0], vector[1], new_input((), np.int64), *vector[2:]])  # fmt: skip
    passes = sum(node.shape == (100,) for node in graph.nodes()) - len(vector)
    most = {"gradient_descent": 2, "momentum": 4, "nesterov": 6, "rmsprop": 9, "adam": 12, "adamw": 12}
    assert passes <= most[optimizer.name]


@every
def test_the_way_down_a_bowl_ends_at_its_bottom(optimizer: Optimizer) -> None:
    # 1/2 sum c (theta - bottom)^2; steps fade so that those of fixed size come to rest too.
    c, bottom = np.array([1.0, 3.0, 0.5]), np.array([1.0, -2.0, 0.3])
    optimizer = with_fields(optimizer, learning_rate=optim.Cosine(0.1, steps=600), weight_decay=0.0)
    theta = run(optimizer, np.zeros(3), lambda theta, step: c * (theta - bottom), 600)
    np.testing.assert_allclose(theta, bottom, atol=1e-3)


@every
def test_no_gradient_and_no_decay_leave_theta_where_it_is(optimizer: Optimizer) -> None:
    still = run(with_fields(optimizer, weight_decay=0.0), START, lambda theta, step: np.zeros(12), 3)
    np.testing.assert_array_equal(still, START)


@every
def test_decay_draws_masked_weights_to_zero_and_nothing_else(optimizer: Optimizer) -> None:
    optimizer = with_fields(optimizer, weight_decay=0.5, learning_rate=0.01)
    theta = run(optimizer, START, lambda theta, step: np.zeros(12), 20, mask=MASK)
    np.testing.assert_array_equal(theta[MASK == 0], START[MASK == 0])
    assert (np.abs(theta[MASK == 1]) < np.abs(START[MASK == 1])).all()


gradients = arrays(np.float64, 6, elements=st.floats(-1e6, 1e6))


@given(g=gradients, limit=st.floats(1e-3, 1e3))
def test_clipping_by_norm_shortens_and_never_turns(g: np.ndarray, limit: float) -> None:
    cut = optim.GradientDescent(clip_norm=limit).clipped(g)
    norm = np.sqrt(np.sum(g * g))
    assert np.sqrt(np.sum(cut * cut)) <= limit * (1 + 1e-12)
    np.testing.assert_allclose(cut * norm, g * min(norm, limit), rtol=1e-9, atol=1e-300)
    if norm <= limit:
        np.testing.assert_array_equal(cut, g)


@given(g=gradients, limit=st.floats(1e-3, 1e3))
def test_clipping_by_value_is_numpys_clip_and_comes_first(g: np.ndarray, limit: float) -> None:
    cut = optim.GradientDescent(clip_value=limit).clipped(g)
    np.testing.assert_array_equal(cut, np.clip(g, -limit, limit))
    both = optim.GradientDescent(clip_value=limit, clip_norm=limit).clipped(g)
    np.testing.assert_array_equal(both, optim.GradientDescent(clip_norm=limit).clipped(cut))


def test_a_gradient_that_is_not_finite_stays_so_through_clipping() -> None:
    # So that the loss of the next step tells of it; silence would train on.
    for bad in (np.nan, np.inf):
        with np.errstate(invalid="ignore"):
            assert not np.isfinite(optim.Adam(clip_norm=1.0).clipped(np.array([1.0, bad]))).all()


@pytest.mark.parametrize("cls", list(optim.OPTIMIZERS.values()), ids=list(optim.OPTIMIZERS))
def test_every_field_declares_its_range_and_is_held_to_it(cls: type[Optimizer]) -> None:
    fields = {name: range_ for name, _, range_ in ranges.options(cls)}
    assert set(inspect.signature(cls).parameters) == set(fields)
    assert next(iter(inspect.signature(cls).parameters)) == "learning_rate"
    for name, range_ in fields.items():
        assert range_.doc
        for wrong in (-1.0, np.nan, np.inf, "fast", True, [1]):
            with pytest.raises(ArgumentError, match=f"{cls.__name__}: {name} has to be"):
                cls(**{name: wrong})


def test_all_wrong_fields_are_reported_at_once() -> None:
    with pytest.raises(
        ArgumentError, match=r"(?s)Adam: learning_rate has to be a number > 0.*\n  and beta1 .*\n  and eps"
    ):
        optim.Adam(-1, beta1=2, eps=0)


@every
def test_records_come_back_from_json(optimizer: Optimizer) -> None:
    for rate in (0.3, optim.OneCycle(0.2, steps=10), optim.WarmUp(0.1, warm_steps=3, then=optim.Cosine(0.1))):
        record = with_fields(optimizer, learning_rate=rate, clip_norm=2.0)
        assert from_config(to_config(record), Optimizer) == record
    with pytest.raises(ArgumentError, match=r"learning_rate is <function .*, which a file cannot hold"):
        to_config(with_fields(optimizer, learning_rate=lambda step: 0.1))


def test_get_makes_an_optimizer_from_names_and_numbers() -> None:
    assert optim.get("adam") == optim.Adam()
    assert optim.get("momentum", learning_rate=0.3, momentum=None) == optim.Momentum(0.3)
    assert optim.get("adam", learning_rate=0.01, schedule="cosine", steps=100) == optim.Adam(
        optim.Cosine(0.01, steps=100)
    )
    assert optim.get("adamw", schedule="step") == optim.AdamW(optim.Step(1e-3))
    for call, says in (
        (lambda: optim.get("adm"), "unknown optimizer 'adm'; did you mean 'adam'"),
        (lambda: optim.get("adam", schedule="cosin"), "unknown schedule 'cosin'; did you mean 'cosine'"),
        (lambda: optim.get("adam", beta=0.9), "unknown argument of adam 'beta'; did you mean 'beta"),
        (
            lambda: optim.get("adam", learning_rate=-1.0, schedule="cosine"),
            "Adam: learning_rate has to be a number > 0",
        ),
    ):
        with pytest.raises(ArgumentError, match=says):
            call()


def test_a_rate_that_branches_or_is_no_number_is_refused_when_it_is_given() -> None:
    with pytest.raises(TraceError, match=r"(?s)function of the step.*np\.where"):
        optim.Adam(lambda step: 0.1 if step < 3 else 0.01)
    with pytest.raises(ArgumentTypeError, match="one number"):
        optim.Adam(lambda step: np.ones(3) * step)
    assert optim.Adam(lambda step: 0.1).rate_at(np.int64(3)) == 0.1


def test_resolve_reports_the_schedule_the_length_and_refuses_bad_rates() -> None:
    assert optim.Adam(optim.Cosine(0.1)).resolve(40) == optim.Adam(optim.Cosine(0.1, steps=40))
    assert optim.Adam(0.1).resolve(40) == optim.Adam(0.1)
    with pytest.raises(ArgumentError, match=r"the learning rate is -0\.5 at step 9"):
        optim.Adam(lambda step: 0.4 - 0.1 * step).resolve(10)


@pytest.mark.parametrize("kind", [optim.Momentum, optim.Nesterov])
def test_a_velocity_of_steps_keeps_the_rate_at_which_each_step_was_made(kind: type[optim.Momentum]) -> None:
    # gradient 1 throughout, rates 1 then 0.1, momentum 1/2: v = 1, then 1/2 + 0.1 (steps) or 0.1 (1/2 + 1) (gradients)
    theta, one = np.zeros(1), np.ones(1)
    moves = {}
    for velocity in ("gradients", "steps"):
        made = kind(lambda step: 1.0 - 0.9 * step, momentum=0.5, velocity=velocity)
        params, state = made.update(one, made.init(theta), theta)
        moves[velocity] = float((params - made.update(one, state, params)[0])[0])
    ahead = kind is optim.Nesterov
    assert moves["steps"] == pytest.approx(0.5 * 0.6 + 0.1 if ahead else 0.6)
    assert moves["gradients"] == pytest.approx(0.1 * (0.5 * 1.5 + 1) if ahead else 0.15)
    constant = [kind(0.1, velocity=velocity) for velocity in ("gradients", "steps")]
    for made in constant:
        params, state = theta, made.init(theta)
        for _ in range(3):
            params, state = made.update(one, state, params)
        moves[made.velocity] = float(params[0])
    assert moves["steps"] == pytest.approx(moves["gradients"])
