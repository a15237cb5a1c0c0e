"""Muon against PyTorch's, against singular values, and its laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import optim
from fallline.config import from_config, to_config
from fallline.errors import ArgumentError, ShapeError
from fallline.nn.theta import Layout
from fallline.optim import Muon, Optimizer
from fallline.optim.muon import A, B, C

SHAPES = [(4, 4), (3, 7), (6, 2), (1, 5), (5, 1)]
RNG = np.random.default_rng(0)
STEPS = 12
START = {f"{i}": RNG.normal(size=shape) for i, shape in enumerate(SHAPES)}
NOISE = [{name: RNG.normal(size=w.shape) for name, w in START.items()} for _ in range(STEPS)]


def gradient(params: Any, step: int) -> Any:
    return {name: 0.3 * w + NOISE[step][name] for name, w in params.items()}


def ours(optimizer: Optimizer) -> Any:
    params = START
    state = optimizer.init(params)
    for step in range(STEPS):
        params, state = optimizer.update(gradient(params, step), state, params)
    return params


@pytest.mark.parametrize(
    ("fields", "theirs"),
    [
        ({}, {}),
        ({"momentum": 0.8, "weight_decay": 0.1}, {"momentum": 0.8, "weight_decay": 0.1}),
        ({"nesterov": False, "iterations": 3}, {"nesterov": False, "ns_steps": 3}),
    ],
)
def test_twelve_steps_are_those_of_pytorch(fields: Any, theirs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    # It iterates in bfloat16, whose three digits are no oracle: float64 is used instead.
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda tensor: tensor.clone())
    # Its weights have a row for each output, ours a column. The class would load a compiler, which takes ten seconds.
    from torch.optim._muon import _single_tensor_muon

    weights = {name: torch.tensor(w.T.copy()) for name, w in START.items()}
    buffers = [torch.zeros_like(w) for w in weights.values()]
    given: Any = {"weight_decay": 0.0, "momentum": 0.95, "nesterov": True, "ns_steps": 5, **theirs}
    given |= {"lr": 0.05, "ns_coefficients": (A, B, C), "eps": 1e-7, "adjust_lr_fn": None, "has_complex": False}
    for step in range(STEPS):
        grads = gradient({name: w.numpy().T for name, w in weights.items()}, step).values()
        _single_tensor_muon([*weights.values()], [torch.tensor(g.T.copy()) for g in grads], buffers, **given)
    # One decays before its step and the other after, which is the same to the last bits.
    for name, w in ours(Muon(0.05, **fields)).items():
        np.testing.assert_allclose(w, weights[name].numpy().T, rtol=1e-9, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("shape", SHAPES)
def test_iterations_move_singular_values_by_the_polynomial_and_keep_the_vectors(shape: tuple[int, int]) -> None:
    u = np.random.default_rng(1).normal(size=shape)
    left, values, right = np.linalg.svd(u, full_matrices=False)
    values = values / np.linalg.norm(u)
    for _ in range(5):
        values = A * values + B * values**3 + C * values**5
    np.testing.assert_allclose(Muon().orthogonal(u), left * values @ right, rtol=1e-9, atol=1e-11)
    assert values.min() > 0.6 and values.max() < 1.3


def test_the_size_of_a_gradient_does_not_matter() -> None:
    for scale in (1e-4, 1e4):
        state = Muon(0.1).init(START)
        moved, _ = Muon(0.1).update({k: scale * g for k, g in NOISE[0].items()}, state, START)
        plain, _ = Muon(0.1).update(NOISE[0], state, START)
        for name in START:
            np.testing.assert_allclose(moved[name], plain[name], rtol=1e-10)


def test_no_gradient_leaves_theta_where_it_is() -> None:
    still = {k: np.zeros_like(w) for k, w in START.items()}
    moved, _ = Muon(0.1).update(still, Muon(0.1).init(START), START)
    assert all(np.array_equal(moved[name], START[name]) for name in START)


def test_what_is_no_matrix_is_named() -> None:
    for shape in ((3,), (), (2, 3, 4)):
        with pytest.raises(ShapeError, match=r"Muon moves matrices, and the parameter 'b' has the shape"):
            Muon().init({"a": np.ones((2, 2)), "b": np.ones(shape)})
    with pytest.raises(ShapeError, match=r"'0\.bias' has the shape \(3,\)\n  try: optim\.Groups"):
        fl.fit(fl.nn.mlp((3,), 1), (np.ones((4, 2)), np.ones(4)), loss="squared_error", optimizer=Muon(), epochs=1)


def test_it_is_held_to_its_ranges_and_comes_back_from_json() -> None:
    for wrong in ({"momentum": 1.0}, {"iterations": 0}, {"iterations": 1.5}, {"eps": 0.0}, {"nesterov": 1}):
        with pytest.raises(ArgumentError, match="Muon: "):
            Muon(0.02, **wrong)
    made = Muon(optim.Cosine(0.1), momentum=0.5, weight_decay=0.1)
    assert from_config(to_config(made), Optimizer) == made


def test_a_single_matrix_is_enough() -> None:
    w = START["1"]
    layout = Layout.of(w)
    assert Muon().started(np.ravel(w), layout)["m"].shape == (w.size,)
    moved, _ = Muon(0.1).update(NOISE[0]["1"], Muon(0.1).init(w), w)
    assert moved.shape == w.shape
