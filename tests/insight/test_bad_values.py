"""Values that make no sense are refused as ours, whichever option of an insight they are given for."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import curvature, nn

BAD = {"a dict": {}, "an object": object(), "bytes": b"x", "an array": np.zeros((2, 2)), "nan": np.nan, "none": [None]}


@pytest.fixture(scope="module")
def asked() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Functions that look at runs, networks and surfaces, with arguments that they take."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 3))
    run = fl.fit(nn.mlp((2,), 1), (x, x[:, 0]), loss="squared_error", epochs=1)
    bowl = curvature.at(lambda v: np.sum(v**2), np.zeros(2))
    of_runs = [(fl.landscape, (run,)), (fl.trajectory, (run,)), (fl.surface_of, (run,)), (fl.stable_step, (run,)),
               (fl.read_gauges, (run,)), (fl.difference, (run, run)), (fl.line_between, (run, run)),
               (fl.drawing, (run.model,))]  # fmt: skip
    names = ("lambda_max", "lambda_min", "trace", "density", "eigenvalues", "eigenvectors", "verdict_on")
    of_surfaces = [(getattr(curvature, name), (bowl,)) for name in names]
    of_surfaces.append((curvature.stable_step, (bowl, fl.optim.GradientDescent(0.1))))
    return {function.__name__: (function, given) for function, given in (*of_runs, *of_surfaces)}


@pytest.mark.parametrize("kind", BAD)
def test_no_option_takes_a_value_that_makes_no_sense_or_fails_as_numpy_does(asked: Any, kind: str) -> None:
    tried = 0
    for name, (function, given) in asked.items():
        for option, one in inspect.signature(function).parameters.items():
            if one.kind is not one.KEYWORD_ONLY or (kind == "a dict" and option == "state"):
                continue
            tried += 1
            with pytest.raises(fl.errors.FalllineError), warnings.catch_warnings():
                warnings.simplefilter("error")
                function(*given, **{option: BAD[kind]})
                print(f"{name}({option}={BAD[kind]!r}) was taken")
    assert tried > 30


def test_directions_of_ones_own_are_one_or_two_finite_vectors(asked: Any) -> None:
    function, (run,) = asked["landscape"]
    size = run.model.theta.size
    for wrong in (np.zeros((0, size)), np.zeros((3, size)), np.zeros((2, 2, size)), np.full(size, np.inf), True):
        with pytest.raises(fl.errors.FalllineError, match="directions"):
            function(run, directions=wrong)


def test_a_plot_takes_its_options_by_name(asked: Any) -> None:
    _, (run,) = asked["landscape"]
    with pytest.raises(fl.errors.ArgumentTypeError, match=r"plot\.loss"):
        run.plot.loss(5)
