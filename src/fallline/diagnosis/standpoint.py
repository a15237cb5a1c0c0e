"""Standpoint: the numbers that tell where descent stands, at the parameters a run ended with. Says nothing of them.

The noise of the gradient from batch to batch, the ends of the Hessian's spectrum, falls of the loss along lines, and
trials of a few further steps at several learning rates. Each is computed when it is asked for first.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fallline.arrays import Array
from fallline.curvature.borders import Border, stable_step
from fallline.curvature.lanczos import Extremes, Krylov, lanczos
from fallline.diagnosis.training_loss import Programs, TrainingLoss, batch_of, is_by_rows, last_step, programs
from fallline.insight.opened import Part
from fallline.optim import Minimiser

# Rows times parameters of the gradients that the noise is estimated from, and of one product with the Hessian: each
# about 0.1 s on one core.
GRADIENT_WORK, PRODUCT_WORK = 3e8, 4e7
# Rows times parameters of all gradients of a trial, and steps of one at most and at least.
TRIAL_WORK, TRIAL_STEPS, FEWEST_STEPS = 1e9, 60, 10
MOST_ROWS, FEWEST_ROWS = 2048, 64
# Products with the Hessian: enough for both ends to a few percent on networks of 100 to 150,000 parameters.
PRODUCTS = 40
# Parameters of a network whose ends are found to the last digits, as it takes no more products than that.
EXACT = 100
# A last rate below this share of the highest one was brought down.
BROUGHT_DOWN = 0.05
# How often a line is followed farther, each time 512 times as far.
FARTHER = 8
# A factor from which on the rate is raised itself, and not the step that came of it.
RAISED = 1e6
# Gradients at the same place, from which moments of an optimizer are estimated before a trial.
WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Line:
    """The loss along a line from the standpoint. length: of the move where it is lowest; fall: of the loss there."""

    length: float
    fall: float


@dataclass(frozen=True, slots=True)
class Trial:
    """Some further steps as the training makes them. rate: the learning rate. before, after: the loss on the rows.

    beyond: the share of steps that went beyond the lowest place of their line, on the rows that they were made from.
    """

    steps: int
    rate: float
    before: float
    after: float
    beyond: float

    @property
    def fall(self) -> float:
        return self.before - self.after if math.isfinite(self.after) else -math.inf


class Standpoint:
    """One network of a run at the parameters it ended with. parts: how many networks share the time.

    shared: what networks of one form have in common, filled as it is made.
    """

    def __init__(self, part: Part, replays: bool, parts: int, shared: dict[Any, Any]) -> None:
        assert part.job is not None
        self.part, self.job, self._replays, self._parts, self._shared = part, part.job, replays, parts, shared

    @property
    def size(self) -> int:
        """P, the number of trainable parameters."""
        return self.part.model.layout.count()

    @property
    def training_rows(self) -> int:
        return int(self.job.train.meant or 0)

    @property
    def batch(self) -> int:
        return batch_of(self.job, self.training_rows)

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        try:
            return self._shared[key]
        except TypeError:  # a layer or a loss that cannot be hashed
            return make()
        except KeyError:
            self._shared[key] = found = make()
            return found

    @property
    def _programs(self) -> Programs:
        model = self.part.model
        key = "programs", model.network, model.layout.kinds, model.loss, self.batch
        made: Programs = self._once(key, lambda: programs(model, self.batch))
        return made

    @cached_property
    def loss(self) -> TrainingLoss:
        """The training loss on pieces as large as a batch, or smaller ones where a batch is most of the rows."""
        most = int(min(MOST_ROWS, max(FEWEST_ROWS, GRADIENT_WORK / self.size))) // self._parts
        sample = self.part.sample(max(most, min(2 * self.batch, MOST_ROWS)))
        assert sample is not None
        size = self.batch
        if sample.whole and size >= self.training_rows:
            return TrainingLoss(self.part, sample, size, self._programs)
        if is_by_rows(self.part.model) and len(sample) < 8 * size:
            size = max(1, len(sample) // 8)
        return TrainingLoss(self.part, sample, size, self._programs)

    @cached_property
    def bend(self) -> TrainingLoss:
        """The training loss on fewer rows, for products with the Hessian."""
        most = int(min(MOST_ROWS, max(FEWEST_ROWS, PRODUCT_WORK / self.size / self._parts)))
        sample = self.part.sample(MOST_ROWS)
        assert sample is not None
        by_rows = is_by_rows(self.part.model)
        return TrainingLoss(self.part, sample, most if by_rows else self.batch, self._programs, max(most, self.batch))

    @property
    def bears_products(self) -> bool:
        """Whether the Hessian's ends can be had in seconds."""
        return self.size * FEWEST_ROWS <= 16 * PRODUCT_WORK

    @cached_property
    def _at_rest(self) -> tuple[float, Array, float]:
        return self.loss.gradients()

    @property
    def value(self) -> float:
        return float(self._at_rest[0])

    @property
    def gradient(self) -> Array:
        return self._at_rest[1]

    @property
    def gradient_norm(self) -> float:
        return float(np.linalg.norm(self.gradient))

    @property
    def batch_noise(self) -> float:
        """The length by which the gradient of a batch differs from that of all rows; 0 where a batch is all of them."""
        spread, rows = self._at_rest[2], len(self.loss.pieces[0].arrays["y"])
        if self.batch >= self.training_rows or not math.isfinite(spread):
            return 0.0
        left = 1 - self.batch / self.training_rows
        return math.sqrt(spread * rows / self.batch * left)

    @cached_property
    def first_value(self) -> float:
        """The loss at the first parameters; where those are not known, that of the first epoch; NaN without either."""
        if self._replays:
            begun = np.array(self.job.model.layout.pack(self.job.model.theta.astype(np.float64)))
            return self.loss.value(begun)
        epochs = [] if self.part.run is None else self.part.run.epochs
        return epochs[0].loss if epochs else math.nan

    @cached_property
    def ends(self) -> Extremes:
        """The ends of the Hessian's spectrum. Errors: DataError where it is not finite."""
        if self.size <= EXACT:
            return lanczos(self.bend.product(), self.size, most=self.size, tolerance=1e-9)
        most = max(10, PRODUCTS // self._parts)
        return lanczos(self.bend.product(), self.size, most=most, tolerance=1e-2)

    def along(self, direction: Array, lengths: Array | None = None) -> Line:
        """The lowest loss on a line, at some lengths and then about the best of them.

        direction: of any length. lengths: by default those from a few thousandths of the parameters' distance from 0
        up to all of it, or of 1 where they are nearer.
        """
        norm = float(np.linalg.norm(direction))
        if not norm or not math.isfinite(norm):
            return Line(0.0, 0.0)
        if lengths is None:
            lengths = max(1.0, float(np.linalg.norm(self.loss.theta))) * 0.5 ** np.arange(10)
        unit, here = direction / norm, self.value
        found = {0.0: here}

        def look(lengths: Array) -> float:
            for length in lengths:
                value = self.loss.value(self.loss.theta + length * unit)
                found[float(length)] = value if math.isfinite(value) else math.inf
            return min(found, key=lambda length: found[length])

        best = look(lengths)
        # A target of 1e15 lies beyond all parameters' distance from 0: where the farthest is the lowest, farther on.
        for _ in range(FARTHER):
            if best < float(np.max(lengths)):
                break
            lengths = lengths.max() * 8.0 ** np.arange(1, 4)
            best = look(lengths)
        if best:
            best = look(best * np.array([0.7, 1.4]))
        return Line(best, here - found[best])

    @cached_property
    def down(self) -> Line:
        """The fall along minus the gradient."""
        return self.along(-self.gradient)

    @cached_property
    def escape(self) -> tuple[Array, Line]:
        """The direction of lowest curvature, with the sign along which the loss falls further, and that fall."""
        ends = self.ends
        lines = [(sign * ends.lowest_vector, self.along(sign * ends.lowest_vector)) for sign in (1.0, -1.0)]
        return max(lines, key=lambda pair: pair[1].fall)

    @cached_property
    def newton_fall(self) -> float:
        """The fall of the loss by the best of some damped Newton steps in the space of the gradient's products.

            step = -(|H| + d)^-1 g        d from a millionth to a tenth of the highest curvature

        The expected fall g' H^-1 g / 2 has the loss's unit, whatever the units of parameters; this one is measured.
        """
        g = self.gradient
        if not np.isfinite(g).all() or not g.any():
            return 0.0
        space = Krylov(self.bend.product(), g)
        for _ in range(min(self.size, max(8, 20 // self._parts))):
            space.grow()
            if space.is_closed:
                break
        values, vectors = space.values, space.vectors([*range(space.steps)])
        top, here, best = float(np.abs(values).max()), self.value, 0.0
        for damping in (1e-6, 1e-4, 1e-2, 1e-1):
            step = -vectors.T @ (vectors @ g / (np.abs(values) + damping * top)) if top else 0 * g
            for length in (1.0, 0.25):
                value = self.loss.value(self.loss.theta + length * step)
                best = max(best, here - value) if math.isfinite(value) else best
        return best

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        run, optimizer = self.part.run, self.job.optimizer
        found = run.epochs[-1].learning_rate if run is not None and run.epochs else math.nan
        return found if math.isfinite(found) else float(optimizer.rate_at(np.int64(last_step(self.part))))

    @property
    def is_brought_down(self) -> bool:
        """Whether a schedule, or a rule, has made the learning rate small before the end."""
        run = self.part.run
        rates = [] if run is None else [e.learning_rate for e in run.epochs if math.isfinite(e.learning_rate)]
        return bool(rates) and rates[-1] <= BROUGHT_DOWN * max(rates)

    @property
    def trial_steps(self) -> int:
        """Steps of a trial; 0 where none is made: of a minimiser, of a rate that is 0, and of very large networks."""
        rows = min(self.batch, self.loss.rows)
        steps = int(min(TRIAL_STEPS, TRIAL_WORK / max(rows * self.size, 1)))
        none = isinstance(self.job.optimizer, Minimiser) or not self.rate > 0
        return 0 if none or steps < FEWEST_STEPS else steps

    @cached_property
    def border(self) -> Border:
        """The largest stable learning rate here, from the highest eigenvalue as this optimizer's steps meet it."""
        return stable_step(self.bend, self.job.optimizer, state=self._moments, step=WARM_UP, most=PRODUCTS)

    def trial(self, factor: float) -> Trial:
        """Some steps on, with the learning rate of the last step times a factor, from moments that fit this place."""
        optimizer, loss, layout = self.job.optimizer, self.loss, self.part.model.layout.trained
        # A step far below float64's spacing about the parameters is none, however often it is multiplied.
        raised = factor if factor > RAISED else 1.0
        theta, rate, state = loss.theta, raised * self.rate, dict(self._moments)
        beyond, done = 0, 0
        with np.errstate(all="ignore"):
            for place in range(self.trial_steps):
                g = self._batch_gradient(place, theta)
                new, state = optimizer.moved(theta, g - loss.decay * theta, state, WARM_UP + place, layout, rate)
                move = factor / raised * (new - theta)
                theta, done = theta + move, place + 1
                if not np.isfinite(theta).all():
                    break
                # The loss falls before the lowest place of the step's line and rises after it.
                beyond += float(self._batch_gradient(place, theta) @ move) > 0
            after = loss.value(theta)
        return Trial(done, factor * self.rate, self.value, after, beyond / max(done, 1))

    @cached_property
    def _step(self) -> Array:
        """One more step as before, from moments that fit this place."""
        optimizer, loss, layout = self.job.optimizer, self.loss, self.part.model.layout.trained
        g = self._batch_gradient(0, loss.theta)
        new, _ = optimizer.moved(
            loss.theta, g - loss.decay * loss.theta, dict(self._moments), WARM_UP, layout, self.rate
        )
        found: Array = new - loss.theta
        return found

    def factor_to(self, share: float) -> float:
        """How many times as long a step would have to be to move the parameters by a share of their length, in tens."""
        if not self.trial_steps:
            return 1.0
        # A step that is shorter than float64's spacing about the parameters is known from the rate alone.
        length = float(np.linalg.norm(self._step)) or self.rate * self.gradient_norm
        wanted = share * max(1.0, float(np.linalg.norm(self.loss.theta)))
        if not 0 < length < wanted:
            return 1.0
        return float(10.0 ** math.floor(math.log10(wanted) - math.log10(length)))

    @cached_property
    def reach(self) -> float:
        """How far a step as before goes towards the lowest place of its own line: 1 is there, and above 2 the loss is
        higher than before on a parabola; NaN for a step that leads up from its beginning."""
        move = self._step
        length = float(np.linalg.norm(move))
        line = self.along(move, length * 3.0 ** np.arange(-9, 14))
        return length / line.length if line.length else math.nan

    def _batch_gradient(self, place: int, theta: Array) -> Array:
        """The gradient of a batch: of several pieces where these are smaller."""
        loss = self.loss
        count = max(1, min(len(loss.pieces), round(self.batch / len(loss.pieces[0].arrays["y"]))))
        some = [loss.gradient_of(place * count + i, theta)[1] for i in range(count)]
        return some[0] if count == 1 else np.mean(some, axis=0)

    @cached_property
    def _moments(self) -> dict[str, Any]:
        """An optimizer's arrays as they are after some gradients at this place."""
        optimizer, loss, layout = self.job.optimizer, self.loss, self.part.model.layout.trained
        state: dict[str, Any] = dict(optimizer.started(loss.theta, layout))
        if not state:
            return state
        for place in range(min(WARM_UP, self.trial_steps)):
            g = self._batch_gradient(place, loss.theta)
            _, state = optimizer.moved(loss.theta, g - loss.decay * loss.theta, state, place, layout, self.rate)
        return state


__all__ = ["Line", "Standpoint", "Trial"]
