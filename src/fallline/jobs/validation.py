"""The metrics of a training, measured on validation rows after each epoch, and the number by which the best one is
chosen.
"""

from dataclasses import dataclass

from fallline.errors import ArgumentError, nearest
from fallline.graph.op import Array
from fallline.jobs.shared_cache import ByIdentity, SharedCache
from fallline.jobs.stopping import EarlyStopping
from fallline.nn.loss import Loss
from fallline.nn.measured import kind_of, measured_by
from fallline.nn.metric import Metric, Sum

PREFIX = "validation_"
TRAINING_LOSS = "training_loss"


@dataclass(frozen=True, slots=True)
class Measures:
    """kind: of the targets, as `metric.kind_of` says. metrics: besides the loss, in the order of their columns.

    watched: the metric by which the best epoch is chosen; None for the validation loss, or the loss without validation.
    validated: whether there are validation rows. by_training: the loss of the training rows chooses all the same.
    """

    kind: str = "custom"
    metrics: tuple[Metric, ...] = ()
    watched: Metric | None = None
    validated: bool = False
    by_training: bool = False

    @property
    def sums(self) -> dict[str, Sum]:
        """The metrics that are sums over rows, by name; all others look at the outputs for all rows."""
        return {one.name: one.sums[self.kind] for one in self.metrics if self.kind in one.sums}

    @property
    def names(self) -> tuple[str, ...]:
        """The keys of `EpochEnded.metrics`."""
        return tuple(PREFIX + one.name for one in self.metrics)

    @property
    def watches(self) -> str:
        """The column of the history by which the best epoch is chosen."""
        if self.watched:
            return PREFIX + self.watched.name
        return "validation_loss" if self.validated and not self.by_training else "loss"

    @property
    def higher_is_better(self) -> bool:
        return self.watched is not None and self.watched.better == "higher"


NOTHING = Measures()


def measures(
    requested: tuple[Metric, ...],
    rule: EarlyStopping | None,
    task: str,
    loss: Loss,
    y: Array | None,
    cache: SharedCache,
) -> Measures:
    """The measures of a training. y: targets of the validation rows as the loss takes them; None without any.

    Errors: ArgumentError for metrics without validation rows, for one that cannot measure such targets, and for one to
    watch that is not measured or does not say whether higher is better.
    """
    watch = None if rule is None or rule.watch is None else rule.watch.removeprefix(PREFIX)
    by_training = watch == TRAINING_LOSS
    watch = None if by_training else watch
    if y is None:
        if requested or watch not in (None, "loss"):
            named = requested[0].name if requested else watch
            raise ArgumentError(f"metrics={named!r} is measured on validation rows, and there are none\n"
                                "  try: validation=0.2")  # fmt: skip
        return NOTHING
    kind = cache.once(("kind of targets", task, ByIdentity(y)), lambda: kind_of(task, y))
    metrics = measured_by(requested, kind, loss)
    if watch in (None, "loss"):
        return Measures(kind, metrics, None, True, by_training)
    names = [one.name for one in metrics]
    if watch not in names:
        raise ArgumentError(f"early stopping watches {watch!r}, which is not measured{nearest(str(watch), names)}\n"
                            f"  try: metrics={watch!r}; measured are {', '.join(names) or 'none'}")  # fmt: skip
    found = metrics[names.index(str(watch))]
    if found.better is None:
        raise ArgumentError(f"early stopping watches {watch!r}, which does not say whether higher is better\n"
                            f"  try: metrics={{{watch!r}: nn.Metric(function, better='lower')}}")  # fmt: skip
    return Measures(kind, metrics, found, True)
