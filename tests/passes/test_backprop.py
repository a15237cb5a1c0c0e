"""Laws of backpropagation, and the chain rule worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline.errors import GraphError
from fallline.graph.declare import cast_to, elementwise, primitive
from fallline.graph.node import Graph, constant, new_input
from fallline.graph.op import TABLE, Kind
from fallline.graph.trace import trace
from fallline.graph.verify import verify
from fallline.passes.backprop import backprop
from fallline.program import reference

RNG = np.random.default_rng(0)
W, X = RNG.standard_normal((3, 2)), RNG.standard_normal((5, 3))


def network(w, x):
    h = np.tanh(x @ w)
    return h * np.mean(h, axis=0) + x[:, :2]


def test_the_chain_rule_by_hand():
    # y = tanh(w x + b)^2 at w = 0.5, x = 2, b = -0.2: z = 0.8, h = tanh 0.8 = 0.6640367703,
    # d y / d h = 2 h = 1.3280735406, d h / d z = 1 - h^2 = 0.5590551677, delta = their product = 0.7424663756;
    # d y / d w = delta x = 1.4849327512, d y / d x = delta w = 0.3712331878, d y / d b = delta.
    g = fl.grad(lambda w, x, b: np.tanh(w * x + b) ** 2, argnums=(0, 1, 2))(0.5, 2.0, -0.2)
    np.testing.assert_allclose(g, [1.4849327512, 0.3712331878, 0.7424663756], rtol=1e-9)


scalars = st.floats(-3, 3)


@given(scalars, scalars, st.integers(0, 99))
def test_backprop_is_linear_in_its_seed(a, b, seed):
    rng = np.random.default_rng(seed)
    u, v = rng.standard_normal((2, 5, 2))
    _, pullback = fl.vjp(network, argnums=(0, 1))(W, X)
    for mixed, gu, gv in zip(pullback(a * u + b * v), pullback(u), pullback(v), strict=True):
        np.testing.assert_allclose(mixed, a * gu + b * gv, atol=1e-12)


def test_backward_and_forward_derivatives_are_transposes():
    u, v = RNG.standard_normal((5, 2)), RNG.standard_normal((3, 2))
    _, pullback = fl.vjp(network)(W, X)
    _, moved = fl.jvp(network)(W, v, X)
    assert np.sum(pullback(u) * v) == pytest.approx(np.sum(u * moved), rel=1e-12)


def test_the_gradient_of_a_sum_is_the_sum_of_the_gradients():
    first, second = fl.grad(lambda w: np.sum(network(w, X)[:2]))(W), fl.grad(lambda w: np.sum(network(w, X)[2:]))(W)
    np.testing.assert_allclose(fl.grad(lambda w: np.sum(network(w, X)))(W), first + second, atol=1e-13)


def test_a_permuted_batch_has_the_same_gradient():
    loss = lambda w, x: np.mean(np.sin(x @ w) ** 2)
    np.testing.assert_allclose(fl.grad(loss)(W, X), fl.grad(loss)(W, X[[3, 0, 4, 1, 2]]), atol=1e-15)


def test_gradients_on_several_ways_are_added():
    assert fl.grad(lambda x: x * x + 3 * x)(2.0) == 7
    assert fl.grad(lambda x: (x + x) * (x + x))(3.0) == 24


def test_what_an_output_does_not_depend_on_gets_zeros():
    a, b = fl.grad(lambda a, b: np.sum(a), argnums=(0, 1))(X, W)
    assert (a == 1).all()
    assert (b == 0).all()
    assert b.shape == W.shape
    assert fl.grad(lambda x: 3.0)(1.0) == 0
    assert fl.grad(lambda x: np.float64(np.argmax(X)) + 0 * x)(1.0) == 0


def test_no_gradient_passes_whole_numbers_or_a_stop():
    assert fl.grad(lambda x: x * np.floor(x).astype(int))(2.5) == 2
    assert fl.grad(lambda x: x * fl.ops.stop_gradient(x))(2.5) == 2.5
    np.testing.assert_array_equal(fl.grad(lambda x: np.sum(x * (x > 0)))(np.array([-1.0, 2.0])), [0, 1])


def test_an_inner_value_may_be_what_is_differentiated_and_passed_through():
    x = new_input((), np.float64)
    h = x * x
    y = h * 3
    d_x, d_h, d_y = backprop([y], [x, h, y])
    assert [float(v) for v in reference.run(Graph((x,), (d_x, d_h, d_y)), [np.array(2.0)])] == [12, 3, 1]


def test_several_outputs_without_seeds_are_summed_and_seeds_are_checked():
    x = new_input((3,), np.float64)
    total = backprop([np.sum(x), np.sum(x * x)], [x])
    np.testing.assert_array_equal(reference.run(Graph((x,), tuple(total)), [np.array([1.0, 2, 3])])[0], [3, 5, 7])
    with pytest.raises(GraphError, match=r"seed of shape \[\] for an output of shape \[3\]"):
        backprop([x * 2], [x], [constant(1.0)])


def test_every_gradient_graph_is_well_formed():
    function = fl.grad(lambda w, x: np.sum(network(w, x) ** 2), argnums=(0, 1))
    verify(fl.graph_of(function, W, X))
    verify(fl.graph_of(fl.hessian(lambda w: np.sum(network(w, X))), W))


def test_float32_stays_float32():
    graph = fl.graph_of(fl.value_and_grad(lambda w, x: np.mean(network(w, x) ** 2)), np.float32(W), np.float32(X))
    assert {str(node.dtype) for node in graph.nodes()} == {"float32"}
    _, loss = trace(lambda w: np.std(w) + np.linalg.norm(w) + np.prod(w), [new_input((2,), np.float32)])
    assert loss.dtype == np.float32


@pytest.fixture
def table():
    before = dict(TABLE)
    yield TABLE
    TABLE.clear()
    TABLE.update(before)


def test_a_rule_of_the_wrong_form_is_reported_by_name(table):
    @primitive(Kind.CONTRACTION, infer=lambda x: ((), x.dtype), grad=lambda g, y, x: (g,))
    def folded(x):
        """Its rule forgets to spread the gradient."""
        return np.sum(x)

    @elementwise(grad=lambda g, y, x: (g, g))
    def doubled(x):
        """Its rule returns two gradients for one input."""
        return 2 * x

    @elementwise(grad=lambda g, y, x: (cast_to(g, np.dtype(np.float64)),))
    def widened(x):
        """Its rule changes the precision."""
        return x

    with pytest.raises(GraphError, match=r"rule of folded returns float64\[\] for an input float64\[3\]"):
        fl.grad(folded)(np.ones(3))
    with pytest.raises(GraphError, match="rule of doubled returns 2 for 1 inputs"):
        fl.grad(doubled)(1.0)
    with pytest.raises(GraphError, match=r"rule of widened returns float64\[\] for an input float32\[\]"):
        fl.grad(widened)(np.float32(1))


def test_gradients_of_cuts_that_overlap_are_added():
    fl.testing.check_grads(
        lambda t: np.sum(t[:3] ** 2) + np.sum(np.sin(t[2:])) + np.prod(t[1:3]), (np.arange(5.0) + 1,)
    )
    fl.testing.check_grads(
        lambda t: np.sum(t[:2, :2] @ t[1:, :2].T) + np.sum(t[:, 2:] ** 3), (np.arange(12.0).reshape(3, 4),)
    )
