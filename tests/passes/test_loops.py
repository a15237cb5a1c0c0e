"""Merged loops: one for a value and for the carries that its gradient needs, without unread outputs."""

import numpy as np

import fallline as fl
from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.graph.verify import verify
from fallline.passes.loops import fewer_loops
from fallline.passes.simplify import simplify
from fallline.program import reference


def graph_of(function, *shapes):
    return trace(function, [new_input(shape, np.float64) for shape in shapes])[0]


def loops(graph):
    return [node for node in graph.nodes() if node.op.name == "loop"]


def fewer(graph, *values):
    """The graph after the pass, which has the same results."""
    made = verify(simplify(fewer_loops(simplify(graph))))
    for got, expected in zip(reference.run(made, values), reference.run(graph, values), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)
    return made


RNG = np.random.default_rng(0)
W, XS = RNG.normal(size=(3, 3)), RNG.normal(size=(4, 1, 3))


def test_a_loop_and_what_its_gradient_keeps_of_it_are_one():
    def loss(w, xs):
        h, ys = fl.scan(lambda h, x: (np.tanh(h @ w + x), h), xs[0], xs)
        return np.sum(h) + np.sum(ys * ys)

    graph = graph_of(fl.value_and_grad(loss), W.shape, XS.shape)
    assert len(loops(graph)) > 2
    assert len(loops(fewer(graph, W, XS))) == 2


def test_a_carry_that_nothing_follows_from_is_left_out():
    def last(w, xs):
        carry = (xs[0], xs[0])
        return fl.scan(lambda c, x: ((c[0] @ w + x, np.exp(c[1] * x)), np.sin(x)), carry, xs)[0][0]

    (loop,) = loops(fewer(graph_of(last, W.shape, XS.shape), W, XS))
    body = loop.attrs["body"]
    assert (body.carries, body.stacked) == (1, 0)
    assert not {"exp", "sin"} & {node.op.name for node in body.graph.nodes()}


def test_what_every_turn_would_compute_alike_is_computed_once():
    (loop,) = loops(made := fewer(graph_of(
        fl.grad(lambda w, xs: np.sum(fl.scan(lambda h, x: (h @ np.exp(w).T + x, None), xs[0], xs)[0]), 1),
        W.shape, XS.shape), W, XS))  # fmt: skip
    inside = {node.op.name for node in loop.attrs["body"].graph.nodes()}
    assert not {"exp", "transpose"} & inside
    assert "exp" in {node.op.name for node in made.nodes()}


def test_a_loop_of_which_nothing_is_read_is_gone():
    def unread(w, xs):
        fl.scan(lambda h, x: (h @ w + x, None), xs[0], xs)
        return np.sum(w)

    assert not loops(fewer(graph_of(unread, W.shape, XS.shape), W, XS))


def test_the_gradient_of_a_weight_is_one_product_over_turns_of_few_rows():
    w, xs = RNG.normal(size=(64, 64)) / 8, RNG.normal(size=(3, 1, 64))

    def loss(w, xs):
        return np.sum(fl.scan(lambda h, x: (np.tanh(h @ w + x), None), xs[0], xs)[0])

    backward = loops(fewer(graph_of(fl.grad(loss), w.shape, xs.shape), w, xs))[-1].attrs["body"]
    assert backward.summed == 0 and all(node.shape != w.shape for node in backward.graph.outputs)


def test_a_vector_that_is_read_as_it_is_stays_whole():
    def both(w, xs):
        last, ys = fl.scan(lambda h, x: (h @ w, h), xs[0], xs)
        return last, ys

    graph = graph_of(both, W.shape, XS.shape)
    (loop,) = loops(graph)
    whole = type(graph)(graph.inputs, (loop, *graph.outputs))
    fewer(whole, W, XS)
