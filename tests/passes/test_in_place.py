"""In-place updates by parts: the same step as before, no gradient vector, and nothing kept for the end."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline import nn, optim
from fallline.graph.node import Graph, new_input
from fallline.graph.verify import verify
from fallline.passes import in_place
from fallline.passes.in_place import subtract_in_place, update_by_parts
from fallline.passes.simplify import simplify
from fallline.program import reference
from fallline.program.memory_plan import memory_plan
from fallline.program.step_loop import build, lowered
from fallline.steps.step import training_step


def step(widths, batch=4, optimizer=None, whole=False):
    """A training step's graph, and values for its inputs."""
    rng = np.random.default_rng(0)
    layers = [layer for n in widths[1:-1] for layer in (nn.Dense(n), nn.Tanh())]
    model = nn.Model.init(
        nn.Sequential(*layers, nn.Dense(widths[-1])), widths[0], loss="squared_error", dtype="float64"
    )
    optimizer = optimizer or optim.GradientDescent(0.1)
    state = {"theta": model.theta, "step": np.array(0), "cursor": np.array(0), "loss_sum": np.array(0.0)}
    state |= {"optimizer." + name: array for name, array in optimizer.started(model.theta, model.layout).items()}
    x, y = rng.standard_normal((2 * batch, widths[0])), rng.standard_normal((2 * batch, widths[-1]))
    data = {"x": x[:batch] if whole else x, "y": y[:batch] if whole else y, "order": rng.permutation(2 * batch)}
    values = [*state.values(), *data.values()]
    return training_step(model, optimizer, state, data, batch, whole), values, len(state)


def products(graph):
    return [node for node in graph.nodes() if node.op.name == "contract_onto"]


@settings(max_examples=15)
@given(widths=st.lists(st.integers(1, 6), min_size=2, max_size=5), batch=st.integers(1, 5), whole=st.booleans())
def test_a_step_written_into_theta_is_the_step(widths, batch, whole):
    graph, values, count = step(widths, batch, whole=whole)
    changed = subtract_in_place(simplify(graph), count)
    verify(changed)
    for a, b in zip(reference.run(graph, values), reference.run(changed, values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_every_layers_product_is_summed_onto_its_weights():
    graph, _, count = step([3, 5, 4, 2])
    changed = subtract_in_place(simplify(graph), count)
    assert sorted(node.shape for node in products(changed)) == [(3, 5), (4, 2), (5, 4)]


@pytest.mark.parametrize(
    "optimizer",
    [optim.Adam(0.1), optim.Momentum(0.1), optim.GradientDescent(0.1, clip_norm=1.0),
     optim.GradientDescent(0.1, weight_decay=0.1)],
)  # fmt: skip
def test_a_step_that_needs_the_gradient_is_left_alone(optimizer):
    graph, _, count = step([3, 5, 2], optimizer=optimizer)
    simple = simplify(graph)
    assert subtract_in_place(simple, count) is simple


def test_products_are_added_as_soon_as_their_factors_are_there():
    graph, _, count = step([3, 5, 4, 2])
    changed = subtract_in_place(simplify(graph), count)
    last, middle, first = products(changed)
    assert [node.shape for node in (last, middle, first)] == [(4, 2), (5, 4), (3, 5)]
    backward = [node for node in changed.nodes() if node.where.backward and node.op.name == "contract"]
    # The last layer's weights have moved before the first hidden layer's gradient is computed.
    assert last.serial < backward[-1].serial < first.serial


def test_deep_networks_keep_no_deltas_for_the_end_of_the_step():
    def arena(depth):
        graph, _, count = step([8] + [64] * depth + [2], batch=32)
        return memory_plan(lowered(graph, count, len(graph.outputs) - 1)).plan.size

    layer = 32 * 64 * 8
    assert arena(20) - arena(10) <= 11 * layer  # an activation a layer, and no delta


def test_a_rate_that_follows_from_the_products_is_waited_for():
    graph, values, count = step([3, 5, 2])
    simple = simplify(graph)
    theta, new = simple.inputs[0], simple.outputs[0]
    rate = np.sum(np.square(new - theta)) + 0.1
    gradient = new.inputs[1].inputs[0] if new.inputs[1].inputs[0].shape else new.inputs[1].inputs[1]
    following = Graph(simple.inputs, (theta - rate * gradient, *simple.outputs[1:]))
    changed = subtract_in_place(following, count)
    assert products(changed)
    for a, b in zip(reference.run(following, values), reference.run(changed, values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def in_parts(patch):
    """Let any gradient count as large, and take it apart as far as it goes."""
    patch.setattr(in_place, "LARGE", 1)
    patch.setattr(in_place, "PART", 1)


OPTIMIZERS = {
    "adam": optim.Adam(0.1), "momentum": optim.Momentum(0.1), "adamw": optim.AdamW(0.1, weight_decay=0.1),
    "rmsprop": optim.RMSProp(0.1), "decayed": optim.GradientDescent(0.1, weight_decay=0.1),
}  # fmt: skip


@settings(max_examples=20)
@given(
    widths=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    batch=st.integers(1, 5),
    name=st.sampled_from(sorted(OPTIMIZERS)),
)
def test_a_step_taken_part_by_part_is_the_step(widths, batch, name):
    with pytest.MonkeyPatch.context() as patch:
        in_parts(patch)
        graph, values, count = step(widths, batch, OPTIMIZERS[name])
        simple = simplify(graph)
        changed, parts = update_by_parts(simple, count)
        assert changed is not simple
        assert len(set(parts.values())) == 2 * (len(widths) - 1)
        verify(changed)
        for a, b in zip(reference.run(graph, values), reference.run(changed, values), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_machine_takes_the_same_steps_part_by_part(threads):
    def after(steps):
        graph, values, count = step([5, 7, 6, 3], 4, optim.Adam(0.05), whole=True)
        state, data = [np.array(value) for value in values[:count]], values[count:]
        loop = build(graph, state, data, watch=len(graph.outputs) - 1, threads=threads)
        assert loop.run(steps) == steps
        return loop

    whole = after(5)
    with pytest.MonkeyPatch.context() as patch:
        in_parts(patch)
        parted = after(5)
    assert len(parted.program.instructions) > len(whole.program.instructions)
    for a, b in zip(parted.state, whole.state, strict=True):
        assert a.tobytes() == b.tobytes()


def test_a_part_is_taken_before_the_next_layer_down_and_its_memory_is_free():
    graph, _, count = step([64] * 9, 4, optim.Adam(0.1))
    loss = len(graph.outputs) - 1
    whole = memory_plan(lowered(graph, count, loss))
    with pytest.MonkeyPatch.context() as patch:
        in_parts(patch)
        patch.setattr(in_place, "PART", 64 * 64)
        parted = memory_plan(lowered(graph, count, loss))
    gradient = 8 * 8 * (64 * 64 + 64)  # bytes of eight layers
    assert whole.plan.size > gradient
    assert parted.plan.size < gradient / 2
    assert not [ins for ins in parted.instructions if ins.name == "copy" and ins.operands[0].size > 1]


@pytest.mark.parametrize("optimizer", [optim.Adam(0.1, clip_norm=1.0), optim.GradientDescent(0.1, clip_norm=1.0)])
def test_a_gradient_that_is_needed_whole_stays_whole(optimizer):
    with pytest.MonkeyPatch.context() as patch:
        in_parts(patch)
        graph, _, count = step([3, 5, 2], optimizer=optimizer)
        simple = simplify(graph)
        assert update_by_parts(simple, count) == (simple, {})


def test_small_gradients_and_those_that_are_results_stay_whole():
    graph, _, count = step([3, 5, 2], optimizer=optim.Adam(0.1))
    simple = simplify(graph)
    assert update_by_parts(simple, count) == (simple, {})
    with pytest.MonkeyPatch.context() as patch:
        in_parts(patch)
        (joined,) = [node for node in simple.nodes() if node.op.name == "join"]
        shown = Graph(simple.inputs, (*simple.outputs, joined))
        assert update_by_parts(shown, count) == (shown, {})


@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=9), least=st.integers(1, 80))
def test_parts_are_joined_until_they_are_large_enough(sizes, least):
    parts = [new_input((size,), np.float64) for size in sizes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_place, "PART", least)
        groups = in_place.grouped(parts)
    assert [id(part) for group in groups for part in group] == [id(part) for part in parts]
    assert len(groups) == 1 or all(sum(part.size for part in group) >= least for group in groups)
