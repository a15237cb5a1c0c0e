"""Docstrings of all that has a table: examples that run, errors where there are options, a shape or a formula."""

from __future__ import annotations

import re
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn, optim
from fallline.nn.activation import ACTIVATIONS
from fallline.nn.initial import INITIALIZERS
from fallline.nn.loss import LOSSES
from fallline.optim import OPTIMIZERS, SCHEDULES

NAMED: dict[str, type[Any]] = {
    cls.__name__: cls
    for cls in [*ACTIVATIONS.values(), *(type(one) for one in (*LOSSES.values(), *INITIALIZERS.values())),
                *OPTIMIZERS.values(), *SCHEDULES.values()]
}  # fmt: skip
TRANSFORMS = ("grad", "value_and_grad", "vjp", "jvp", "hvp", "jacobian", "hessian")


def example_of(doc: str) -> str:
    """The code after `Example:`, to the next line that is not indented under it."""
    found = re.search(r"^Example: ((?:.|\n    )+)", doc, re.MULTILINE)
    assert found, "no Example:"
    return found[1]


def namespace() -> dict[str, Any]:
    """Everything that an example names: the public rooms, a network, and data of each kind of target."""
    x = np.random.default_rng(0).standard_normal((24, 3))
    labels = np.arange(24) % 10
    short = SimpleNamespace(fit=lambda *args, **settings: fl.fit(*args, epochs=1, **settings))
    rooms = {name: getattr(room, name) for room in (nn, optim) for name in room.__all__}
    y = x[:, :1]
    return {**rooms, "nn": nn, "optim": optim, "fl": short, "np": np, "x": x, "y": y, "data": (x, y),
            "model": nn.mlp((4,), 1), "labels": labels, "counts": labels}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_a_definition_in_a_table_has_an_example_that_runs_and_lists_its_errors(name: str) -> None:
    cls, given = NAMED[name], namespace()
    doc = cls.__doc__ or ""
    lines = "\n".join(line.removeprefix("    ") for line in doc.split("\n"))
    code = example_of(lines)
    assert name in code or f'"{getattr(cls, "name", name.lower())}"' in code, code  # of this one, not of its neighbour
    if name in ("BinaryCrossEntropy", "Hinge"):
        given["labels"] = given["labels"] % 2
    assert eval(code, given) is not None  # the example's own text
    if fields(cls):
        assert "rrors" in lines


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_lists_its_errors_and_shows_a_call(name: str) -> None:
    doc = getattr(fl, name).__doc__
    assert "Errors: " in doc and ">>> " in doc


# Public names that a user calls or writes, besides those above; records that are only handed out are not among them.
CALLED = {name: getattr(fl, name) for name in fl.__all__ if callable(getattr(fl, name))}
CALLED = {
    name: made for name, made in CALLED.items() if name not in {*TRANSFORMS, "Fold", "Form", "Plan", "Race", "Run"}
}
MEASURES = ("norm", "mean", "spread", "largest", "zeros", "value")
CALLED |= {f"measure.{name}": getattr(fl.measure, name) for name in MEASURES}
CALLED |= {f"nn.{name}": getattr(nn, name) for name in ("Dropout", "Residual", "Frozen", "BatchNorm", "mlp")}
CALLED |= {f"optim.{name}": getattr(optim, name) for name in ("Groups", "LBFGS", "Muon")}


@pytest.mark.parametrize("name", CALLED)
def test_a_public_name_reports_its_errors_and_has_an_example(name: str) -> None:
    doc = CALLED[name].__doc__ or ""
    assert "rrors" in doc
    assert "Example:" in doc or ">>> " in doc or "\n    fl." in doc
