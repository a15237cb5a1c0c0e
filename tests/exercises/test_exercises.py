"""The exercises: right answers pass, whatever is wrong is told where, and known slips by their name."""

import numpy as np
import pytest

from fallline import exercises
from fallline.errors import ArgumentError, GradientError, MissingFileError
from fallline.exercises import EXERCISES, file_of
from fallline.testing import check_grads

NAMES = sorted(EXERCISES)


def answer(tmp_path, name: str, body: str) -> exercises.Answer:
    file = tmp_path / "answer.py"
    file.write_text(file_of(EXERCISES[name], body), encoding="utf-8")
    return exercises.check(name, file)


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_is_right_and_the_file_to_begin_with_is_empty(tmp_path, name) -> None:
    assert answer(tmp_path, name, EXERCISES[name].solution).is_right
    assert "still empty" in str(answer(tmp_path, name, "..."))


@pytest.mark.parametrize("name", NAMES)
def test_the_file_to_begin_with_fits_a_terminal(name) -> None:
    assert max(len(line) for line in EXERCISES[name].start.splitlines()) <= 78


@pytest.mark.parametrize("name", NAMES)
def test_a_solution_that_is_wrong_by_a_thousandth_is_not_right(tmp_path, name) -> None:
    lines = EXERCISES[name].solution.split("\n")
    lines[-1] = lines[-1].replace("return ", "found = ")
    more = "found = found if isinstance(found, (tuple, dict)) else (found,)"
    off = "np.asarray(one) * 1.001"
    last = (
        f"return {{k: {off} for k, one in found.items()}} if isinstance(found, dict) else tuple({off} for one in found)"
    )
    assert not answer(tmp_path, name, "\n".join([*lines, more, last])).is_right


@pytest.mark.parametrize(
    "name, body, said",
    [
        ("dense-backward", "return g @ w.T, x.T @ g / len(x), g.mean(axis=0)", "rows are averaged here"),
        ("dense-backward", "return g @ w.T, x.T @ g, g", "d_b has shape (5, 2), and should have (2,)"),
        ("dense-backward", "return g @ w.T, (x.T @ g).T, g.sum(0)", "It is the transpose"),
        ("dense-backward", "return g @ w.T, -x.T @ g, g.sum(0)", "minus the right one"),
        ("dense-backward", "return g @ w.T, x.T @ g", "returns 2 arrays; asked for are 3: d_x, d_w, d_b"),
        ("dense-backward", "return None", "returns nothing"),
        ("dense-backward", "w *= 2\nreturn g @ w.T, x.T @ g, g.sum(0)", "changed its arguments"),
        ("dense-backward", "return g @ w, x.T @ g, g.sum(0)", "answer.py, line 8: ValueError"),
        ("dense-backward", "return np.log(-np.ones_like(x)), x.T @ g, g.sum(0)", "not finite"),
        ("sigmoid-backward", "return g / (1 + np.exp(-x))", "the slope of the sigmoid is y (1 - y)"),
        ("sigmoid-backward", "y = 1 / (1 + np.exp(-x))\nreturn y * (1 - y)", "multiplies it by g"),
        ("sigmoid-backward", "return 0 * x", "zero everywhere"),
        ("two-layers", "return {'w1': params['w1']}", "dict with the names of the parameters"),
        ("descent", "return theta + learning_rate * gradient", "goes up the slope"),
        ("descent", "return theta", "stays where it was"),
        ("momentum", "return theta - learning_rate * velocity, 0.9 * velocity + gradient", "At step 0"),
        ("adam", "m = 0.9 * m + 0.1 * gradient\nv = 0.999 * v + 0.001 * gradient**2\n"
                 "return theta - learning_rate * m / (np.sqrt(v) + 1e-8), m, v", "The moments are right"),
        ("central-difference", "return np.array([(function(theta + e) - function(theta)) / step "
                               "for e in step * np.eye(len(theta))])", "on one side, from theta up"),
        ("central-difference", "return (function(theta + step) - function(theta - step)) / (2 * step)",
         "gradient has shape (), and should have (4,)"),
        ("central-difference", "theta += step\nreturn theta", "theta is not what it was"),
        ("central-difference", "return np.array([(function(theta + e) - function(theta - e)) / step "
                               "for e in step * np.eye(len(theta))])", "divided by step"),
        ("stable-loss", "p = np.exp(logits)\np /= p.sum(1, keepdims=True)\n"
                        "return -np.log(p[np.arange(len(p)), labels]).mean()", "subtract the largest logit of the row"),
        ("stable-loss", "p = np.exp(logits - logits.max())\np /= p.sum(1, keepdims=True)\n"
                        "return -np.log(p[np.arange(len(p)), labels]).mean()", "a largest logit of its own"),
        ("stable-loss", "p = np.exp(logits - logits.max(1, keepdims=True))\np /= p.sum(1, keepdims=True)\n"
                        "return -np.log(p[np.arange(len(p)), labels]).mean()", "This p rounds to 0"),
        ("stable-loss", "z = logits - logits.max(axis=1, keepdims=True)\n"
                        "return np.sum(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels])",
         "This is the sum over the rows"),
        ("stable-loss", "z = logits - logits.max(1, keepdims=True)\np = np.exp(z) / np.exp(z).sum(1, keepdims=True)\n"
                        "return -np.log(p[np.arange(len(p)), labels] + 1e-12).mean()", "A small number added to p"),
        ("mini-batches", "return theta - learning_rate * gradient(theta, x, y)", "one step with all rows"),
        ("mini-batches", "x, begin = x[order], 0\nfor k in range(0, len(x), size):\n"
                         "    theta = theta - learning_rate * gradient(theta, x[k:k + size], y[k:k + size])\n"
                         "return theta", "rows of y are not those of x"),
        ("mini-batches", "for k in range(len(x) // size):\n    r = order[k * size:(k + 1) * size]\n"
                         "    theta = theta - learning_rate * gradient(theta, x[r], y[r])\nreturn theta",
         "The last batch is left out"),
        ("mini-batches", "theta -= 1\nreturn theta", "changed in place"),
        ("mini-batches", "return theta", "gradient was never called"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_a_slip_is_told_by_its_name(tmp_path, name, body, said) -> None:
    found = answer(tmp_path, name, body)
    flat = " ".join(found.text(width=80).split())
    assert not found.is_right and said in flat
    assert max(map(len, found.text(width=80).split("\n"))) <= 80


def test_softmax_without_the_mean_is_told_by_the_number_of_rows(tmp_path) -> None:
    body = EXERCISES["softmax-backward"].solution.replace(" / len(labels)", "")
    assert "times the number of rows" in " ".join(str(answer(tmp_path, "softmax-backward", body)).split())


def test_a_missing_slope_in_the_first_layer_is_told(tmp_path) -> None:
    body = EXERCISES["two-layers"].solution.replace(" * (1 - h * h)", "")
    found = " ".join(str(answer(tmp_path, "two-layers", body)).split())
    assert "The slope of tanh" in found and "d_w1" in found and "d_w2:" not in found


def test_files_that_are_no_answer(tmp_path) -> None:
    with pytest.raises(MissingFileError, match="--write"):
        exercises.check("descent", tmp_path / "none.py")
    with pytest.raises(ArgumentError, match="did you mean 'descent'"):
        exercises.find("descend")
    file = tmp_path / "a.py"
    for text, said in [
        ("def step(theta:\n", "line 1: this is no Python"),
        ("def other():\n    return 1\n", "has no function step: it defines other"),
        ("x = 1 / 0\n", "a.py, line 1: ZeroDivisionError"),
        ("import sys\nsys.exit(3)\n", "ends the program by itself"),
        ("def step(theta):\n    return theta\n", "other arguments"),
    ]:
        file.write_text(text)
        assert said in str(exercises.check("descent", file)).replace("\n  ", " ")


def test_a_backward_pass_by_hand_falls_under_the_gradient_check() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
    check_grads(np.matmul, (x, w), backward=lambda g, x, w: (g @ w.T, x.T @ g))
    check_grads(lambda p: {"y": p["a"] ** 3}, ({"a": x},), backward=lambda g, p: {"a": 3 * p["a"] ** 2 * g["y"]})
    for wrong, said in [
        (lambda g, x, w: (g @ w.T, 1.001 * x.T @ g), "argument 1 is wrong"),
        (lambda g, x, w: (g @ w.T, g.T @ x), r"has shape \(2, 3\), and the argument \(3, 2\)"),
        (lambda g, x, w: g @ w.T, "gives 1 gradients, and there are 2"),
    ]:
        with pytest.raises(GradientError, match=said):
            check_grads(np.matmul, (x, w), backward=wrong)


def test_theta_may_be_moved_and_moved_back(tmp_path) -> None:
    body = "found = []\nfor k in range(len(theta)):\n    theta[k] += step\n    up = function(theta)\n" \
           "    theta[k] -= 2 * step\n    found.append((up - function(theta)) / (2 * step))\n    theta[k] += step\n" \
           "return found"  # fmt: skip
    assert answer(tmp_path, "central-difference", body).is_right
