"""The problems of the benchmark: whole batches, the same numbers every time, and a reference that is right."""

from __future__ import annotations

import numpy as np
import pytest

from fallline.bench import numpy_steps as reference
from fallline.bench.cases import BEST, CASES, OTHERS, Array, Case, Problem, named, problem, short
from fallline.bench.numpy_steps import loss_curve
from fallline.bench.peers import COMPETITORS

EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@EVERY_CASE
def test_an_epoch_is_whole_batches(case: Case) -> None:
    assert case.rows % case.batch == 0


def test_every_floor_is_about_a_competitor_or_the_best_of_several() -> None:
    about = {name for case in CASES for floors in case.floors.values() for name in floors}
    assert about - {BEST} <= set(COMPETITORS) and set(OTHERS) <= set(COMPETITORS)
    raced_on_several = {name for name, entry in COMPETITORS.items() if entry.always}
    several = {name for case in CASES for name in case.floors_at(2) or ()}
    assert several - {BEST} <= raced_on_several and set(OTHERS) <= raced_on_several


def test_floors_hold_from_their_number_of_threads_on() -> None:
    case = Case((1, 1), 1, 1, floors={2: {"PyTorch": 3}, 8: {"PyTorch": 4}})
    assert case.floors_at(1) is None
    assert [case.floors_at(n) for n in (2, 7, 8, 64)] == [
        {"PyTorch": 3},
        {"PyTorch": 3},
        {"PyTorch": 4},
        {"PyTorch": 4},
    ]


def test_parameters_and_operations_by_hand() -> None:
    # 2-3-4: weights 6 + 12, biases 3 + 4. Products: forward 6 + 12, weights' gradients 6 + 12, hidden delta 12: 48
    # multiply-adds a row, 96 operations.
    case = Case((2, 3, 4), 10, 20)
    assert case.parameters == 25 and case.flops == 960


def test_an_autoencoders_targets_are_its_inputs() -> None:
    given = problem(short(named("784-1000-500-250-30-250-500-1000-784 batch 128 squared error")))
    assert given.y is given.x


def test_case_names_differ() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def numbers(given: Problem) -> list[Array]:
    return [given.x, given.y, *(p for layer in given.params for p in layer)]


def test_a_problem_is_the_same_every_time_and_float32() -> None:
    one, two = problem(short(CASES[1])), problem(short(CASES[1]))
    for a, b in zip(numbers(one), numbers(two)):
        np.testing.assert_array_equal(a, b)
    assert one.x.dtype == np.float32 and all(p.dtype == np.float32 for layer in one.params for p in layer)


def test_more_steps_than_an_epoch_are_made_whole_epochs() -> None:
    case = Case((1, 1), 10, 80)
    assert [case.whole(steps) for steps in (0, 1, 7, 8, 9, 17)] == [1, 1, 7, 8, 16, 24]


@pytest.mark.parametrize("steps", [1, 7, 8, 9, 64])
def test_epochs_add_up_to_the_steps_asked_for(steps: int) -> None:
    parts = list(problem(short(CASES[0])).epochs(steps))
    assert sum(parts) == steps and all(part == 8 for part in parts[:-1])


def test_whole_epochs_come_to_the_steps_asked_for_or_are_refused() -> None:
    given = problem(short(CASES[0]))  # 8 batches of 10 rows
    assert given.whole_epochs(24) == (3, 80) and given.whole_epochs(5) == (1, 50)
    with pytest.raises(ValueError, match="12 steps are not whole epochs of 8"):
        given.whole_epochs(12)


@pytest.mark.parametrize(("activation", "loss"), [("relu", "cross_entropy"), ("sigmoid", "squared_error")])
def test_the_references_step_is_down_the_measured_slope(activation: str, loss: str) -> None:
    # With plain descent, one step on a batch b lowers the loss on b by learning_rate * |gradient|^2 to first order.
    # The gradient here is by central differences of the reference's own loss, one parameter at a time.
    case = Case((3, 4, 2), 5, 5, activation, loss, "gradient_descent")
    given = problem(case)
    squares = 0.0
    for layer in given.params:
        for p in layer:
            for i in np.ndindex(p.shape):
                kept, h = p[i], np.float32(2**-7)
                p[i] = kept + h
                high = loss_curve(given, 1)[0]
                p[i] = kept - h
                low = loss_curve(given, 1)[0]
                p[i] = kept
                squares += ((high - low) / (2 * h)) ** 2
    first, second = loss_curve(given, 2)
    assert (first - second) / case.learning_rate == pytest.approx(squares, rel=2e-2)


def test_the_references_first_adam_step_is_the_learning_rate_for_every_parameter() -> None:
    # After one step m_hat = g and sqrt(v_hat) = |g|, so each parameter with a gradient moves by the learning rate:
    # the loss falls by learning_rate * sum |g|, and by learning_rate * sum g^2 under plain descent.
    adam = problem(Case((3, 1), 4, 4, loss="squared_error"))
    z = adam.x @ adam.params[0][0]
    delta = 2 * (z - adam.y) / z.size
    g = np.append((adam.x.T @ delta).ravel(), delta.sum())
    first, second = loss_curve(adam, 2)
    assert (first - second) / adam.case.learning_rate == pytest.approx(np.abs(g).sum(), rel=1e-2)


def test_softmax_and_its_delta_by_hand() -> None:
    # z = (0, ln 3): p = (1/4, 3/4). Truth 1: loss = -ln 3/4 = 0.28768, delta = p - (0, 1) = (1/4, -1/4).
    loss, delta = reference.loss_and_delta("cross_entropy", np.array([[0.0, np.log(3)]]), np.array([1]))
    assert loss == pytest.approx(-np.log(0.75))
    np.testing.assert_allclose(delta, [[0.25, -0.25]])
