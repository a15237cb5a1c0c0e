"""Gradient checkpointing: the same bits from less memory, whatever the layers, and nothing changed where little is
gained.
"""

import numpy as np
import pytest

from fallline import nn, optim
from fallline.graph.verify import verify
from fallline.nn import ACTIVATIONS, Dense, Dropout, Residual, Sequential
from fallline.passes.checkpointing import ForwardPass, keep_less
from fallline.passes.simplify import simplify
from fallline.program import reference
from fallline.program.machine import Program
from fallline.program.memory_plan import memory_plan
from fallline.program.step_loop import lowered
from fallline.steps.step import training_step

BENDS = sorted(set(ACTIVATIONS) - {"softmax", "identity"})


def step(layers, batch, optimizer, dtype="float64", loss="squared_error"):
    """A training step's graph, and fresh values for its inputs."""
    rng = np.random.default_rng(0)
    model = nn.Model.init(Sequential(*layers), 6, loss=loss, dtype=dtype)
    start = {"theta": model.theta, "step": np.array(0), "cursor": np.array(0), "loss_sum": np.array(0.0)}
    moments = optimizer.started(model.theta, model.layout)
    start |= {"optimizer." + name: array for name, array in sorted(moments.items())}
    x = rng.standard_normal((3 * batch, 6)).astype(dtype)
    y = rng.standard_normal((3 * batch, *model.output_shape)).astype(dtype)
    data = {"x": x, "y": y, "order": rng.permutation(3 * batch), "seed": np.array(7)}
    graph = training_step(model, optimizer, start, data, batch)
    return graph, lambda: ([np.array(array) for array in start.values()], list(data.values()))


def after(graph, values, gradient_checkpointing, steps=3):
    """The state after some steps, as bytes, and the bytes of the arena."""
    state, data = values()
    program = Program(
        lowered(graph, len(state), len(state), gradient_checkpointing), [*state, *data], writable=len(state)
    )
    assert program.run(steps) == steps
    return b"".join(array.tobytes() for array in state), program.plan.size


def deep(depth, bend, width=16):
    return [layer for _ in range(depth) for layer in (Dense(width), ACTIVATIONS[bend]())] + [Dense(3)]


OPTIMIZERS = [optim.Adam(0.01, clip_norm=1.0, weight_decay=0.1), optim.GradientDescent(0.1), optim.Momentum(0.1)]


@pytest.mark.parametrize(("bend", "dtype"), [*((bend, "float32") for bend in BENDS), ("gelu", "float64")])
def test_every_activation_comes_to_the_same_bits_from_less_memory(bend, dtype):
    graph, values = step(deep(12, bend), 64, OPTIMIZERS[0], dtype)
    (kept, arena), (again, smaller) = (
        after(graph, values, gradient_checkpointing) for gradient_checkpointing in (False, True)
    )
    assert again == kept
    assert smaller < arena


RESIDUAL = Residual(Dense(8), ACTIVATIONS["gelu"](), Dense(8))
NETWORKS = {
    "dropout": [layer for _ in range(4) for layer in (Dense(9), ACTIVATIONS["relu"](), Dropout(0.5))],
    "residual blocks": [Dense(8), *[RESIDUAL] * 5],
    "functions of one's own": [layer for n in (5, 9, 7, 3) for layer in (Dense(n), np.square, np.tanh)],
    "one of each": [Dense(8), ACTIVATIONS["silu"](), RESIDUAL, Dropout(0.2), Dense(12), np.tanh, Dense(8), RESIDUAL],
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.name)
@pytest.mark.parametrize("name", NETWORKS)
def test_any_network_comes_to_the_same_bits(name, optimizer):
    graph, values = step([*NETWORKS[name], Dense(2)], 9, optimizer)
    assert after(graph, values, True)[0] == after(graph, values, False)[0]


@pytest.mark.parametrize("depth", [3, 20])
def test_the_new_graph_is_well_formed_and_means_the_same(depth):
    graph, values = step(deep(depth, "tanh"), 8, OPTIMIZERS[0])
    simple = simplify(graph)
    state, data = values()
    made = keep_less(simple, simple.outputs[len(state)], len(state))
    assert made is not None
    verify(made.graph)
    inputs = [*state, *data]
    for a, b in zip(reference.run(simple, inputs), reference.run(made.graph, inputs), strict=True):
        assert a.tobytes() == b.tobytes()


def test_a_segment_is_recomputed_just_before_it_is_read():
    graph, values = step(deep(12, "tanh"), 64, OPTIMIZERS[0])
    simple = simplify(graph)
    count = len(values()[0])
    made = keep_less(simple, simple.outputs[count], count)
    order = [made.segment[node] for node in made.graph.nodes() if node in made.segment]
    assert order == sorted(order, reverse=True)
    assert len(set(order)) >= 2
    # Each once, and none of the last segment, which is still there.
    origins = [made.origin[node] for node in made.segment]
    assert len(origins) == len(set(origins))
    assert max(node.serial for node in origins) < simple.outputs[count].serial


def test_memory_grows_with_the_root_of_the_depth():
    def activations(depth, gradient_checkpointing):
        graph, values = step(deep(depth, "tanh", 32), 256, optim.GradientDescent(0.1))
        count = len(values()[0])
        return memory_plan(lowered(graph, count, count, gradient_checkpointing)).plan.size

    layer = 256 * 32 * 8
    assert activations(64, False) > 60 * layer
    assert activations(64, True) < 2.5 * 8 * layer
    assert activations(64, True) < 2.5 * activations(16, True)


def test_nothing_is_done_where_little_would_be_gained():
    graph, values = step([Dense(2)], 4, OPTIMIZERS[1])
    simple = simplify(graph)
    count = len(values()[0])
    assert keep_less(simple, simple.outputs[count], count) is None


def test_cuts_lie_where_one_value_leads_on():
    layers = [Dense(8), Residual(Dense(8), np.tanh, Dense(8)), np.tanh, Dense(8), np.tanh, Dense(2)]
    graph, values = step(layers, 16, OPTIMIZERS[1])
    simple = simplify(graph)
    count = len(values()[0])
    loss = simple.outputs[count]
    forward = ForwardPass([node for node in simple.nodes() if node.serial <= loss.serial], simple, count)
    places = forward.candidates()
    assert len(places) >= 4
    for place in places:
        later = {x for node in forward.nodes[place + 1 :] for x in node.inputs if forward.place[x] <= place}
        passing = later & forward.active
        assert len(passing) == 1
