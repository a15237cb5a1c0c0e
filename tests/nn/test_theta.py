"""Layouts: kinds and factors of slots, patterns on paths, and the trainable elements that an optimizer sees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.errors import ArgumentError
from fallline.nn.theta import KINDS, Layout

PARAMS = ({"weight": np.zeros((2, 3)), "bias": np.zeros(3)}, {}, {"weight": np.zeros((3, 1)), "mean": np.zeros(1)})
PLAIN = Layout.of(PARAMS)


def test_slots_are_trainable_and_decay_pulls_on_weights() -> None:
    assert [(path, slot.start, slot.kind, slot.rate, slot.decay) for path, slot in PLAIN.items()] == [
        ("0.bias", 0, "trainable", 1, 0), ("0.weight", 3, "trainable", 1, 1),
        ("2.mean", 9, "trainable", 1, 0), ("2.weight", 10, "trainable", 1, 1),
    ]  # fmt: skip
    theta = np.arange(13.0)
    assert PLAIN.trained is PLAIN and PLAIN.pack(theta) is theta and PLAIN.unpack(None, theta) is theta
    assert PLAIN.rates(np.float32) is None


def test_patterns_choose_slots_by_their_paths() -> None:
    marked = PLAIN.marked("*.weight", decay=0.5).marked(("0.*", "2.mean"), kind="frozen", rate=0.1)
    assert [slot.kind for _, slot in marked.items()] == ["frozen", "frozen", "frozen", "trainable"]
    assert [slot.decay for _, slot in marked.items()] == [0, 0.5, 0, 0.5]
    assert [slot.rate for _, slot in marked.items()] == [0.1, 0.1, 0.1, 1]
    np.testing.assert_array_equal(marked.decay_mask(np.float64), np.repeat([0, 0.5, 0, 0.5], [3, 6, 1, 3]))
    np.testing.assert_array_equal(marked.rates(np.float32), np.repeat(np.float32([0.1, 1]), [10, 3]))
    assert Layout.of(marked.slots) == marked
    with pytest.raises(ArgumentError, match=r"no parameter is called '2.wieght'; did you mean '2.weight'\?"):
        PLAIN.matching("2.wieght")
    with pytest.raises(ArgumentError, match="a parameter is one of trainable, kept, frozen, got 'froze'"):
        PLAIN.marked("*", kind="froze")
    with pytest.raises(ArgumentError, match="factor >= 0"):
        PLAIN.marked("*", rate=-1)


@given(st.lists(st.sampled_from(KINDS), min_size=4, max_size=4))
def test_pack_and_unpack_move_trainable_elements_alone(kinds: list[str]) -> None:
    layout = PLAIN
    for (path, _), kind in zip(PLAIN.items(), kinds, strict=True):
        layout = layout.marked(path, kind=kind)
    theta = np.arange(13.0)
    packed = layout.pack(theta)
    is_trainable = np.repeat([kind == "trainable" for kind in kinds], [3, 6, 1, 3])
    np.testing.assert_array_equal(packed, theta[is_trainable])
    assert packed.shape == (layout.trained.size,) == (layout.count("trainable"),)
    np.testing.assert_array_equal(layout.unpack(theta, packed), theta)
    np.testing.assert_array_equal(layout.unpack(theta, -packed), np.where(is_trainable, -theta, theta))
    new = {path: np.full(slot.shape, 99.0) for path, slot in layout.items() if slot.kind == "kept"}
    is_kept = np.repeat([kind == "kept" for kind in kinds], [3, 6, 1, 3])
    np.testing.assert_array_equal(layout.unpack(theta, packed, new), np.where(is_kept, 99, theta))
    assert [slot.path for _, slot in layout.trained.items()] == [
        path for path, slot in layout.items() if slot.kind == "trainable"
    ]


def test_more_than_ten_layers_keep_their_order() -> None:
    layout = Layout.of(tuple(np.zeros(1) for _ in range(12))).marked("3", kind="frozen")
    theta = np.arange(12.0)
    np.testing.assert_array_equal(layout.pack(theta), np.delete(theta, 3))
    assert [slot.path for _, slot in layout.trained.items()] == [str(i) for i in range(12) if i != 3]
    np.testing.assert_array_equal(np.ravel(layout.trained.split(layout.pack(theta))), np.delete(theta, 3))


def test_marks_are_the_differences_from_a_layout_that_nobody_marked() -> None:
    assert PLAIN.marks == {}
    marked = PLAIN.marked("*.weight", decay=0.5).marked("2.mean", kind="kept")
    assert marked.marks == marked.differences(PLAIN)
    assert [*marked.marks] == ["0.weight", "2.mean", "2.weight"]
