"""Landscapes: the loss around a run on a line or a plane through parameter space, as arrays. Draws nothing."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.arguments import Form, takes
from fallline.arrays import real
from fallline.curvature.eigen import eigenvectors
from fallline.displays import Displayed
from fallline.errors import ArgumentError, unknown
from fallline.graph.op import Array
from fallline.insight.directions import Plane, filter_normalised, principal
from fallline.insight.opened import Part, Sample, opened
from fallline.insight.run_curvature import ON_ROWS, ROWS, part_and_rows, surface_on
from fallline.insight.sliced import Sliced
from fallline.insight.trajectory import Trajectory, replayed
from fallline.ranges import COUNT, SEED, Range

RANDOM, TRAJECTORY, EIGENVECTORS, LINE = KINDS = ("random", "trajectory", "eigenvectors", "line")
UNITS = {
    RANDOM: "filter lengths",
    TRAJECTORY: "distance in theta",
    EIGENVECTORS: "distance in theta",
    LINE: "share of the way",
}
# A curvature below this share of the largest is rounding: the loss would double where floats end.
FLAT = 1e-6
_POINTS, _DIMENSIONS = Range(at_least=2, at_most=10_000, whole=True), Range(at_least=1, at_most=2, whole=True)
_SPAN = Range(above=0, optional=True)
_PATH = Form("a trajectory, fl.trajectory(run)", lambda given: isinstance(given, Trajectory), optional=True)


@dataclass(frozen=True, eq=False)
class Landscape(Displayed):
    """The loss of a model on a line or a plane through its parameters.

        loss[i, j] = L(centre + axes[0][i] directions[0] + axes[1][j] directions[1])      loss[i] on a line

    kind: "random", "trajectory", "eigenvectors" or "line". unit: of the axes, in words. names: of the axes.
    axes: one array of coordinates for each direction, ascending. loss: (A,) or (A, B), infinite or NaN where the
    network overflows. error: its standard error over the rows, the same shape; NaN where the loss is no mean over rows.
    on: "training" or "validation" rows; rows: how many were looked at; of: of how many.
    centre: (P,), theta at coordinates 0. directions: (K, P). centre_loss, centre_error: there.
    path: (T, K), coordinates of the training's path, and path_loss: (T,), the loss of the same rows at its points
        themselves, off the plane; path_steps: (T,) updates made at each. share: of the path's movement that the plane
        holds, 0..1; shares: along each direction, (K,). None where there is no path.
    curvature: (K,), the second derivative along each eigenvector; None for other directions.
    """

    kind: str
    unit: str
    names: tuple[str, ...]
    axes: tuple[Array, ...]
    loss: Array
    error: Array
    on: str
    rows: int
    of: int
    centre: Array
    directions: Array
    centre_loss: float
    centre_error: float
    path: Array | None = None
    path_loss: Array | None = None
    path_steps: Array | None = None
    share: float | None = None
    shares: Array | None = None
    curvature: Array | None = None

    def to_dict(self) -> dict[str, Any]:
        """All fields but the vectors like theta as plain values: lists, numbers and texts, for JSON."""
        left_out = ("centre", "directions")
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in left_out}
        return {name: _plain(value) for name, value in plain.items()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """All arrays in a file for np.load: axis0, axis1, loss, error, centre, directions, path ..."""
        arrays = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("axes", "names")}
        arrays = {name: np.asarray(value) for name, value in arrays.items() if value is not None}
        axes = {f"axis{k}": axis for k, axis in enumerate(self.axes)}
        np.savez_compressed(path, allow_pickle=False, names=np.array(self.names), **axes, **arrays)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


@takes(dimensions=_DIMENSIONS, points=_POINTS, span=_SPAN, rows=COUNT, on=ON_ROWS, seed=SEED, path=_PATH)
def landscape(
    run: Any,
    data: Any = None,
    *,
    directions: Any = RANDOM,
    dimensions: int = 2,
    points: int = 51,
    span: float | None = None,
    rows: int = ROWS,
    on: str = "training",
    path: Trajectory | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> Landscape:
    """The loss around the end of a run, on a plane or a line through parameter space.

    run: a run, or the folder of one. data: of a run whose rows are not kept with it, (x, y) as for its training.
    directions: "random", filter-normalised: at coordinate 1 every filter moved by its own length, so that landscapes
        of several networks compare. "trajectory": the plane in which the training moved most, with its path on it; the
        path is found by training once more, as long as that took, unless `path` brings it. "eigenvectors": the largest
        curvature, up or down. Or one's own, (K, P), vectors like theta.
    dimensions: 2 for a plane, 1 for a line. points: along each axis. span: of the axes, to both sides; None: 1 for
        random directions and one's own, the path and a fifth more, and along an eigenvector as far as the loss
        doubles, if it bends as it does at the centre.
    rows: at most so many, drawn from `seed`; `error` is the standard error over them. on: "training" or "validation".
    Layers compute as they predict, with the running statistics of the end; a penalty of the loss counts, weight decay
    of an optimizer does not.
    Errors: ArgumentError for a run without rows, or without a path that can be found; DataError.
    Example: fl.landscape(run, directions="trajectory").loss
    Source: Goodfellow, Vinyals, Saxe 2015, arXiv:1412.6544; Li et al. 2018, arXiv:1712.09913.
    """
    seen = opened(run, data)
    part, sample, of = part_and_rows(seen, on, rows, seed)
    model, count = part.model, int(dimensions)
    centre = np.array(model.theta, np.float64)
    found: dict[str, Any] = {}
    if isinstance(directions, str):
        kind = directions
        if kind not in KINDS[:3]:
            raise unknown("directions", kind, KINDS[:3])
    else:
        kind = "given"
        own = np.atleast_2d(real(directions, "directions"))
        if own.dtype.kind not in "fiu" or own.ndim > 2 or own.shape[1] != model.theta.size or not 1 <= len(own) <= 2:
            raise ArgumentError(
                f"directions are one or two vectors like theta, ({model.theta.size},), got shape {own.shape}\n"
                '  try: directions="random"'
            )
        own, count = own.astype(np.float64), len(own)
        if not np.isfinite(own).all():
            raise ArgumentError("directions hold numbers that are not finite")
    plane: Plane | None = None
    names = tuple(f"direction {k + 1}" for k in range(count))
    if kind == RANDOM:
        own = filter_normalised(model, count, seed)
    elif kind == TRAJECTORY:
        path = replayed(seen, 50) if path is None else path
        if path.thetas.shape[1] != model.theta.size:
            raise ArgumentError("the trajectory is of a network with other parameters\n  try: fl.trajectory(run)")
        # Running statistics are written by their layers: they are no movement of descent, and may be of any size.
        moved = model.layout.unpack(np.zeros(centre.size), np.ones(model.layout.count()))
        plane = principal(path.thetas * moved, centre * moved, count)
        own, names = plane.directions, tuple(f"principal direction {k + 1}" for k in range(count))
    elif kind == EIGENVECTORS:
        own, found["curvature"] = _bends(part, sample, count, seed)
        names = tuple(f"eigenvector {k + 1}" for k in range(count))
    slices = Sliced(model, centre, own, sample, threads)
    axes = tuple(_axis(k, points, span, plane, found.get("curvature"), slices) for k in range(count))
    if plane is not None and path is not None:
        found |= {"path": plane.path, "share": plane.share, "shares": plane.shares, "path_steps": path.steps}
        found["path_loss"] = Sliced(model, centre, path.thetas - centre, sample, threads).losses(np.eye(len(path))).mean
    return filled(kind, UNITS.get(kind, "times the direction"), names, axes, slices, on, of, centre, own, found)


def _bends(part: Part, sample: Sample, count: int, seed: int) -> tuple[Array, Array]:
    """The directions in which the loss bends most, up or down, in theta, and the curvature along each.

    At a saddle the way down is one of them, without which it would look like a minimum.
    """
    surface = surface_on(part, sample)
    ends = [eigenvectors(surface, count, end=end, most=60, seed=seed) for end in ("highest", "lowest")]
    values, vectors = np.concatenate([one.values for one in ends]), np.concatenate([one.vectors for one in ends])
    # A bend down counts where it is clear of the error; of a tiny problem both ends hold the same vectors.
    clear = np.concatenate([np.ones(count, bool), ends[1].values < -ends[1].errors])
    clear[count:] &= ends[1].values < ends[0].values.min()
    order = np.flatnonzero(clear)
    steepest = order[np.argsort(-np.abs(values[order]), kind="stable")][:count]
    layout, zero = part.model.layout, np.zeros(part.model.theta.size)
    return np.stack([layout.unpack(zero, vectors[place]) for place in steepest]), values[steepest]


def _axis(
    k: int, points: int, span: float | None, plane: Plane | None, curvature: Array | None, slices: Sliced
) -> Array:
    """The coordinates along a direction; 0, the centre, is one of them where the axis is symmetric and points odd."""
    if span is not None:
        return np.linspace(-span, span, points)
    if plane is not None:
        low, high = min(0.0, plane.path[:, k].min()), max(0.0, plane.path[:, k].max())
        # A direction in which the path hardly moves is shown as wide as a tenth of the widest.
        room = max(high - low, 0.1 * float(np.ptp(plane.path, axis=0).max()))
        return np.linspace(low - 0.2 * room, high + 0.2 * room, points)
    if curvature is not None and abs(curvature[k]) > FLAT * np.abs(curvature).max():
        level = float(slices.losses(np.zeros((1, len(curvature)))).mean[0])
        far = np.sqrt(2 * max(abs(level), 1e-3) / abs(curvature[k]))
        return np.linspace(-far, far, points)
    return np.linspace(-1.0, 1.0, points)


def filled(
    kind: str, unit: str, names: tuple[str, ...], axes: tuple[Array, ...], slices: Sliced, on: str, of: int,
    centre: Array, own: Array, found: dict[str, Any],
) -> Landscape:  # fmt: skip
    """The landscape, with the loss at all points of the grid and at the centre."""
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    places = np.concatenate([grid.reshape(-1, len(axes)), np.zeros((1, len(axes)))])
    losses = slices.losses(places)
    shape = grid.shape[:-1]
    return Landscape(
        kind, unit, names, axes, losses.mean[:-1].reshape(shape), losses.error[:-1].reshape(shape), on,
        len(slices.sample), of, centre, own, float(losses.mean[-1]), float(losses.error[-1]), **found,
    )  # fmt: skip


__all__ = ["KINDS", "LINE", "UNITS", "Landscape", "filled", "landscape"]
