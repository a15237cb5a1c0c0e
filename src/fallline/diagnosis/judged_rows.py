"""The rows of a run as plain numbers and labels: all that a judge of them reads. Knows no verdict."""

from dataclasses import dataclass

import numpy as np

from fallline import tree
from fallline.arrays import Array
from fallline.diagnosis.case import Case
from fallline.errors import DataError
from fallline.insight.opened import Sample

# Losses of quantities whose outputs are the predictions themselves.
PLAIN = ("squared_error", "absolute_error", "huber")
# Columns that a judge in closed form can take: it takes time with their square.
MOST_COLUMNS = 1024


def matrix(rows: Sample) -> Array:
    """The inputs of rows, laid side by side, (n, D) float64. Errors: DataError for more than MOST_COLUMNS."""
    parts = [np.asarray(one, np.float64).reshape(len(rows), -1) for one in tree.leaves(rows.x)]
    wide = sum(one.shape[1] for one in parts)
    if wide > MOST_COLUMNS:
        raise DataError(f"rows of {wide:,} numbers are too wide for a simple model to be held against")
    return np.concatenate(parts, axis=1)


# Answers that spread less than this, relative to the target, are one answer.
ALIKE = 0.01


@dataclass(frozen=True, eq=False, slots=True)
class Truth:
    """The right answers of rows. codes: (n,) classes 0..k-1, None for quantities; values: (n, M).
    squared: whether quantities are held against the square of the error, as their loss is."""

    values: Array
    codes: Array | None
    k: int
    squared: bool = True

    @staticmethod
    def of(case: Case, rows: Sample) -> "Truth":
        """Errors: DataError for targets that are neither one label nor numbers."""
        model, y = case.part.model, np.asarray(rows.y)
        if rows.weight is not None:
            raise DataError("rows have weights, which simple models do not know here")
        if model.task == "classification" and y.ndim == 1:
            k = int(model.output_shape[0])
            return Truth(np.eye(k)[y], y, k)
        if model.task == "binary" and y.shape[1:] in ((), (1,)):
            codes = (y.reshape(len(y)) > 0).astype(np.int64)
            return Truth(np.eye(2)[codes], codes, 2)
        if model.task == "regression" and model.loss.name in PLAIN:
            return Truth(y.reshape(len(y), -1).astype(np.float64), None, 0, model.loss.name == "squared_error")
        raise DataError(f"simple models are not known for targets of the loss {model.loss.name}")

    def losses(self, answers: Array) -> Array:
        """(n,): 1 for a wrong class and 0 for the right one; of quantities the squared error, or the error."""
        if self.codes is not None:
            wrong: Array = (np.argmax(answers, axis=1) != self.codes).astype(np.float64)
            return wrong
        off = np.abs(self.values - answers)
        found: Array = np.mean(np.square(off) if self.squared else off, axis=1)
        return found

    def are_alike(self, answers: Array) -> bool:
        """Whether answers are one class for all rows, or one quantity though the truth varies."""
        if self.codes is not None:
            said = np.argmax(answers, axis=1)
            return bool(np.all(said == said[0]))
        return bool(np.all(answers.std(axis=0) < ALIKE * self.values.std(axis=0)))


def answers_of(case: Case, rows: Sample) -> Array:
    """The network's answers, (n, K) scores of classes or (n, M) quantities."""
    z = np.asarray(case.part.model.outputs(rows.x), np.float64)
    if case.part.model.task == "binary":
        return np.concatenate([-z, z], axis=1)
    return z.reshape(len(z), -1)


def are_constant(case: Case) -> bool:
    """Whether the inputs of all training rows are the same."""
    return all(np.all(one == one[:1]) for one in map(np.asarray, tree.leaves(case.rows.x)))


def held_out_of(case: Case, rows: Sample) -> Array | None:
    """For rows what the run kept of networks that were not trained on them, as `Truth` has it; None without folds."""
    kept, model = case.opened.run.held_out, case.opened.run.model
    if kept is None or len(case.opened.parts) < 2:
        return None
    found = np.asarray(kept, np.float64)[rows.index]
    if not np.isfinite(found).all():
        return None
    if found.ndim > 1:
        order = model.classes
        labels = case.part.model.classes
        if order is None or labels is None or np.array_equal(order, labels):
            return found
        return found[:, [int(np.flatnonzero(order == one)[0]) for one in labels]]
    scale = float(getattr(model.decoder, "scale", 1.0))
    middle = float(getattr(model.decoder, "mean", 0.0))
    return ((found - middle) / scale).reshape(len(found), -1)


def label_of(case: Case, code: int) -> str:
    """A class as a person calls it."""
    labels = case.opened.run.model.labels
    return str(code if labels is None or code >= len(labels) else labels[code])


def columns_of(case: Case, count: int) -> list[str]:
    """The names of so many inputs of the network: those of the encoder's columns where it has one."""
    encoder = case.opened.run.model.encoder
    if encoder is None or encoder.width != count:
        return [f"column {i}" for i in range(count)]
    found = list[str]()
    for one in encoder.columns:
        name = f"column {one.name}" if one.name.isdigit() else one.name
        found += [name] if one.width == 1 else [f"{name}, part {i}" for i in range(one.width)]
    return found


def constant_loss(case: Case) -> float:
    """About the loss of answering nothing: of K classes alike, or 0 for quantities; infinite for other losses."""
    model, y = case.part.model, case.rows.y
    if model.task == "classification":
        return float(np.log(max(model.output_shape[0], 2)))
    if model.task == "binary":
        return float(np.log(2))
    return float(np.mean(np.square(y, dtype=np.float64))) if model.loss.name == "squared_error" else np.inf


__all__ = ["Truth", "answers_of", "are_constant", "columns_of", "constant_loss", "held_out_of", "label_of", "matrix"]
