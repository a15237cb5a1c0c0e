"""Loops of random turns: values, gradients and directional derivatives are those of the loop unrolled."""

import numpy as np
import pytest

import fallline as fl
from fallline.tree import leaves

SHAPES = ((), (3,), (2, 3), (1, 3))


def fitted(a, shape):
    """Any value in another shape."""
    if a.shape == shape:
        return a
    if not shape:
        return np.sum(a)
    if a.shape == (2, 3):
        a = np.max(a, axis=0) if shape == (3,) else np.mean(a, axis=0, keepdims=True)
    return np.reshape(a, shape) if a.size == np.prod(shape) and a.ndim else a + np.zeros(shape)


def alike(a, c):
    return (a, c) if not a.ndim or not c.ndim or a.shape == c.shape else (fitted(a, (2, 3)), fitted(c, (2, 3)))


STEPS = [
    lambda a, c, w, k: np.tanh(a),
    lambda a, c, w, k: np.multiply(*alike(a, c)),
    lambda a, c, w, k: fitted(a, (2, 3)) @ w,
    lambda a, c, w, k: np.sum(a),
    lambda a, c, w, k: np.where(a > 0, a, 0.1 * a),
    lambda a, c, w, k: np.concatenate([fitted(a, (2, 3)), fitted(c, (1, 3))])[1:],
    lambda a, c, w, k: fitted(a, (2, 3))[:, ::-1],
    lambda a, c, w, k: np.maximum(*alike(a, c)),
    lambda a, c, w, k: fitted(a, (2, 3)).T.reshape(2, 3),
    lambda a, c, w, k: fl.ops.gather(fitted(a, (3,)), k % 3, axis=0),
    lambda a, c, w, k: fl.ops.sigmoid(a) + np.exp(w[0, 0]),
]


def case(seed):
    """A loss of a loop that is handed in, and where to take it."""
    rng = np.random.default_rng(seed)
    steps = [(STEPS[rng.integers(len(STEPS))], *rng.integers(100, size=2)) for _ in range(rng.integers(2, 8))]
    shapes = [SHAPES[i] for i in rng.integers(len(SHAPES), size=rng.integers(1, 4))]
    ends = rng.integers(100, size=len(shapes))
    turns, reverse, read = int(rng.integers(1, 5)), bool(rng.integers(2)), rng.random(3) < 0.6
    k = rng.integers(4, size=turns)
    params = {"w": rng.normal(size=(3, 3)) / 2, "b": rng.normal(size=3), "c": [rng.normal(size=s) for s in shapes]}
    x = rng.normal(size=(turns, *SHAPES[rng.integers(len(SHAPES))]))
    direction = {"w": rng.normal(size=(3, 3)), "b": rng.normal(size=3), "c": [rng.normal(size=s) for s in shapes]}

    def loss(loop, params, x):
        def turn(carry, row):
            pool = [*carry["c"], row["x"], row["x"] * params["b"], carry["n"] * 1.0]
            for step, i, j in steps:
                pool.append(step(pool[i % len(pool)], pool[j % len(pool)], params["w"], row["k"]))
            after = [np.tanh(fitted(pool[i % len(pool)], s)) for i, s in zip(ends, shapes, strict=True)]
            return {"c": after, "n": carry["n"] + row["k"]}, (pool[-1], pool[len(pool) // 2], carry["n"])

        begun = {"c": params["c"], "n": np.array(2)}
        last, (one, two, n) = loop(turn, begun, {"x": x, "k": k}, reverse=reverse)
        total = 0.0 * np.sum(params["w"])
        total = total + sum(np.sum(c**2) for c in last["c"]) if read[0] else total
        total = total + np.sum(np.sin(one)) if read[1] else total
        return total + np.sum(two * two) * last["n"] + np.sum(n) if read[2] else total

    return loss, params, x, direction


def unrolled(f, carry, xs, reverse):
    turns = len(xs["k"])
    results = [None] * turns
    for t in range(turns - 1, -1, -1) if reverse else range(turns):
        carry, results[t] = f(carry, {"x": xs["x"][t], "k": xs["k"][t]})
    return carry, tuple(np.stack(parts) for parts in zip(*results, strict=True))


def close(got, expected):
    for a, b in zip(leaves(got), leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("seed", range(10))
def test_a_random_loop_is_the_loop_unrolled(seed):
    loss, params, x, direction = case(seed)
    mine, its = (lambda p, x, loop=loop: loss(loop, p, x) for loop in (fl.scan, unrolled))
    close(fl.value_and_grad(mine, (0, 1))(params, x), fl.value_and_grad(its, (0, 1))(params, x))
    close(fl.jvp(mine)(params, direction, x), fl.jvp(its)(params, direction, x))
    close(fl.hvp(mine)(params, direction, x), fl.hvp(its)(params, direction, x))


@pytest.mark.parametrize("seed", range(20, 23))
def test_a_random_loop_on_the_machine_is_the_loop_unrolled(seed):
    loss, params, x, direction = case(seed)
    mine, its = (lambda p, x, loop=loop: loss(loop, p, x) for loop in (fl.scan, unrolled))
    close(fl.compile(fl.value_and_grad(mine, (0, 1)))(params, x), fl.value_and_grad(its, (0, 1))(params, x))
    close(fl.compile(fl.hvp(mine))(params, direction, x), fl.hvp(its)(params, direction, x))


def test_a_loop_that_depends_on_nothing_is_a_constant():
    def loss(w):
        last, ys = fl.scan(lambda c, x: (c * 0.5 + x, x), 1.0, np.arange(3.0))
        return np.sum(w) * last + np.sum(ys)

    assert fl.jvp(loss)(np.ones(2), np.ones(2)) == (2 * 2.625 + 3, 2 * 2.625)  # 1, 0.5, 1.25, 2.625
