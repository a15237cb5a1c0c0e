"""The lesson `gates`: deltas by the rules of gates against the library's, one case by hand, and the drawing."""

import numpy as np
import pytest

from fallline import lessons, transforms
from fallline.lessons.gates import result, walked, wires


def test_a_case_worked_by_hand() -> None:
    # x = 3, y = -4, z = 2: a = -12, b = max(-4, 2) = 2, c = -10, d = -30.
    # d' = 1; c' = x = 3; a' = b' = c' = 3; x' = c + a' y = -10 - 12; y' = a' x = 9, nothing through max; z' = 3.
    found = lessons.run("gates")
    assert {g.name: g.value for g in found.gates} == {"x": 3, "y": -4, "z": 2, "a": -12, "b": 2, "c": -10, "d": -30}
    assert {g.name: g.delta for g in found.gates} == {"x": -22, "y": 9, "z": 3, "a": 3, "b": 3, "c": 3, "d": 1}
    assert found.uses("x") == [("a", -12.0), ("d", -10.0)]


@pytest.mark.parametrize("point", [(3.0, -4.0, 2.0), (0.0, 1.0, 5.0), (-2.0, 2.0, 2.0), (100.0, -100.0, -100.0)])
def test_deltas_are_the_librarys_and_the_central_difference(point) -> None:
    found = lessons.run("gates", **dict(zip("xyz", point)))
    mine = [gate.delta for gate in found.gates if not gate.inputs]
    np.testing.assert_allclose(mine, found.by_library, rtol=1e-12)
    np.testing.assert_allclose(mine, found.by_difference, rtol=1e-6, atol=1e-6)
    assert found.tie == (point[1] == point[2])


def test_rules_of_gates_hold_for_other_graphs() -> None:
    def other(x, y):
        a = x + y
        return a * a + np.maximum(a * y, x)

    point = {"x": 1.5, "y": -0.5}
    arrays = [np.array(one) for one in point.values()]
    gates = walked(transforms.graph_of(other, *arrays), point)
    assert gates[-1].value == pytest.approx(float(other(*arrays)))
    exact = transforms.grad(other, argnums=(0, 1))(*arrays)
    np.testing.assert_allclose([gates[0].delta, gates[1].delta], exact, rtol=1e-12)


def test_wires_run_while_their_values_are_needed() -> None:
    point = [np.array(one) for one in (1.0, 2.0, 3.0)]
    gates = walked(transforms.graph_of(result, *point), {"x": 1.0, "y": 2.0, "z": 3.0})
    assert wires(gates, ascii_only=True) == [
        "x",
        "|   y",
        "|   |   z",
        "o---o---+---a",
        "|   o---o---+---b",
        "|           o---o---c",
        "o-------------------o---d",
    ]


def test_a_bias_gets_the_sum_of_its_rows() -> None:
    found = lessons.run("gates")
    np.testing.assert_allclose(found.spread.sum(axis=0), found.shared, rtol=1e-12)
