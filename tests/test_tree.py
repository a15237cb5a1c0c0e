"""Laws of trees: flattening has an inverse, one order, and one name for each leaf."""

from collections import OrderedDict, namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline import tree
from fallline.errors import ArgumentTypeError

Pair = namedtuple("Pair", "left right")
trees = st.recursive(
    st.integers() | st.none(),
    lambda child: (
        st.lists(child, max_size=3)
        | st.tuples(child, child)
        | st.dictionaries(st.sampled_from("abcd"), child, max_size=3)
        | st.builds(Pair, child, child)
    ),
    max_leaves=12,
)


@given(trees)
def test_unflatten_undoes_leaves(t):
    again = tree.unflatten(t, tree.leaves(t))
    assert again == t
    assert tree.structure(again) == tree.structure(t)


@given(trees)
def test_map_keeps_the_structure_and_meets_every_leaf_once(t):
    assert tree.structure(tree.map(str, t)) == tree.structure(t)
    assert tree.leaves(tree.map(lambda x: x + 1, t)) == [x + 1 for x in tree.leaves(t)]
    assert tree.map(lambda x: x, t) == t


@given(trees)
def test_every_leaf_has_a_path_of_its_own_in_the_order_of_leaves(t):
    items = list(tree.items(t))
    assert [leaf for _, leaf in items] == tree.leaves(t)
    assert len({path for path, _ in items}) == len(items)


@given(trees, trees)
def test_equal_structures_have_equal_paths(a, b):
    if tree.structure(a) == tree.structure(b):
        assert [path for path, _ in tree.items(a)] == [path for path, _ in tree.items(b)]


def test_paths_read_as_they_are_written():
    t = {"layers": [{"weight": 1, "bias": 2}, Pair(3, (4, None))]}
    expected = {"layers.0.bias": 2, "layers.0.weight": 1, "layers.1.left": 3, "layers.1.right.0": 4}
    assert list(tree.items(t)) == list(expected.items())
    assert list(tree.items(5)) == [("", 5)]


def test_dicts_flatten_alike_in_any_order_and_keep_their_own():
    a, b = {"x": 1, "y": 2}, {"y": 2, "x": 1}
    assert tree.leaves(a) == tree.leaves(b)
    assert list(tree.map(str, b)) == ["y", "x"]


def test_kinds_of_containers_differ_in_structure():
    forms = [
        tree.structure(t) for t in ([1, 2], (1, 2), Pair(1, 2), {"left": 1, "right": 2}, {"0": 1, "1": 2}, 1, None)
    ]
    assert len(set(forms)) == len(forms)
    assert type(tree.map(str, Pair(1, 2))) is Pair
    assert isinstance(tree.map(str, OrderedDict(a=1)), dict)


def test_keys_that_cannot_be_sorted_are_reported():
    with pytest.raises(ArgumentTypeError, match="keys that can be sorted"):
        tree.leaves({1: 2, "a": 3})


def test_equal_forms_flatten_to_equal_lists_and_others_do_not():
    x, y = np.zeros(2), np.ones(3)
    dicts = [{"a": x}, {"b": x}, {"a": [x]}, {"a": x, "b": y}, {}, {"a": {}}, {"a": None}]
    lists = [[x], (x,), [x, y], [[x], y], [x, [y]], [None], [x, None], [None, x], [], (), [[]], [(x, y)], [(x,), y]]
    trees = [x, None, "*", ["*"], *dicts, *lists]
    forms = []
    for one in trees:
        found, form = [], []
        tree.flatten(one, found, form)
        assert len(found) == len(tree.leaves(one))
        assert all(a is b for a, b in zip(found, tree.leaves(one), strict=True))
        forms.append((tuple(form), tuple(leaf if isinstance(leaf, str) else "array" for leaf in found)))
    assert len(set(forms)) == len(trees)
    for one in trees:
        filled = tree.unflatten(one, tree.leaves(one))
        assert tree.structure(filled) == tree.structure(one)
        assert type(filled) is type(one)
