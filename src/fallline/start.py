"""`train` and `fit`: one training, as a stream of events or as its result. All else is told by Settings."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from fallline.arguments import takes
from fallline.errors import unknown
from fallline.gauges.chosen import Gauges
from fallline.jobs.job import prepare
from fallline.jobs.settings import Settings
from fallline.jobs.stopping import EarlyStopping
from fallline.nn.encoder import Columns, Decoder
from fallline.nn.loss import Loss
from fallline.optim import Optimizer
from fallline.steps.measure import Measure
from fallline.training.run import Run
from fallline.training.training import Training

Path = str | os.PathLike[str]


@takes()
def train(
    model: Any,
    data: Any,
    *,
    loss: str | Loss | Callable[[Any, Any], Any] | None = None,
    optimizer: str | Optimizer | None = None,
    epochs: int | None = None,
    batch_size: int | str | None = "auto",
    validation: Any = None,
    early_stopping: EarlyStopping | int | bool | None = None,
    metrics: Any = None,
    measure: Measure | Sequence[Measure] | Mapping[str, Measure] | None = None,
    measure_every: str = "step",
    gauges: Gauges | Sequence[str] | str | bool | None = None,
    shuffle: bool = True,
    seed: int = 0,
    dtype: Any = None,
    threads: int | None = None,
    gradient_checkpointing: bool = False,
    out: Path | None = None,
    checkpoints: int | str | None = "auto",
    overwrite: bool = False,
    resume: bool | Path = False,
    extra: Mapping[str, Any] | None = None,
    encoder: Columns | None = None,
    decoder: Decoder | None = None,
    init: Run | None = None,
) -> Training:
    """A training as a stream of events: theta <- theta - (the optimizer's step), again and again.

    model: a Sequential or another layer, whose parameters are drawn from the seed once the data are known; or a Model,
        whose parameters are where training starts (they are copied, never changed).
    data: a pair (x, y), or (x, y, weight), a dict with these names, or anything with these attributes.
        x: (N, ...) real numbers; or a dict or tuple of such arrays, for a network that takes several inputs. Floats
        reach the network in the precision of training, whole numbers (uint8 too) and bool as they are. Contiguous
        native arrays are read where they lie if they hold whole numbers, if their floats have that precision, if they
        are memory-mapped, or if they are larger than 256 MiB (each batch is converted then); all others are converted
        whole, once. y: as the loss wants it. weight: (N,), >= 0, of the rows: the loss of a batch is then
        sum w_i l_i / sum w_i over its rows, and that of the validation rows likewise where they have weights.
        Data that do not fit in memory come in the same places, and give the bits of the same rows in memory. Memory
        maps above 256 MiB, and objects with shape, dtype and slices of rows (an h5py data set), are read a window ahead
        by a thread. So is a Source of one's own (fl.Source: rows, form, read). Batches (x, y) come from an iterable, or
        from a function, of the epoch or of nothing, that makes a fresh iterator for each epoch; an iterator is good for
        one. They may be of any sizes, and are visited in their own order. Where an iterable has no attribute `rows`,
        only its end tells how many there are: `epochs` has to be given, and a schedule its number of steps.
    loss: a name of nn.LOSSES, a record such as nn.Huber(2.0), or a function(output, y) -> scalar written in NumPy;
        where the network has one output, it gets y as a column, (N, 1), like the outputs. A Model brings its own. The
        function is traced once: a variable that it reads keeps its first value, and a number that it draws is refused.
        For a loss that changes, train on from run.model with another one (docs/noise.md).
    optimizer: a name of optim.OPTIMIZERS or optim.MINIMISERS, or a record such as optim.Adam(1e-3). None: Adam, or that
        of `init`. A minimiser, such as optim.LBFGS(), uses all rows in every step, so that an epoch is a step, and ends
        by itself: with the reason "converged" where the gradient is small, "stalled" where no step lowers the loss.
    epochs: passes over the rows, >= 1. None: as long as the validation loss falls, or the loss where there is no
        validation, up to a limit in steps; `run.summary()` tells when it was still falling. With validation, the best
        parameters are kept. The rule is EarlyStopping's, unless early_stopping gives another or is False.
    batch_size: rows a step, >= 1; the last batch of an epoch may be smaller. None or "full": all rows at once, in
        their own order; so does a number above that of the rows. "auto": 32, or all for a minimiser such as LBFGS.
    validation: the share of rows for validation, 0 <= share < 1, of each class alike and chosen by the seed; or other
        rows, (x, y) or (x, y, weight); or None. An iterable of batches is read once and kept.
    early_stopping: an EarlyStopping, a whole number for its patience in epochs, True for its defaults. Watches the
        validation loss, or the loss where there is no validation; EarlyStopping(watch="f1") a metric.
    metrics: measured on the validation rows after each epoch, besides the usual ones (accuracy; r2 and rmse): names
        of nn.METRICS, functions f(y_true, y_pred) such as scikit-learn's, its scorers or their names, nn.Metric, or a
        dict of these by name. A function gets all validation rows at once, in the form of `Model.predict`, and their
        weights where it has an argument sample_weight and they have some.
    measure: inner values of steps to be told by events Measured: measures of fl.measure, or a dict of them by name,
        such as {"gradient norm": fl.measure.norm("gradient", "*.weight")}. They change no result beyond rounding, and
        without them a step is the same program as ever. The numbers of all measured steps stay in the run.
    measure_every: "step" tells of all steps; "call" of the last step of each machine call, twenty a second or so.
    gauges: what to watch between steps: True for the usual gauges, names of `fl.gauges.GAUGES`, "all", or a
        fl.gauges.Gauges, which also says how often. Events Gauged tell of them, and `run.gauges` has them as columns.
        They change no bit of the result, and are looked at so seldom that they take at most 5 % of the time
        (docs/gauges.md).
    shuffle: visit the rows in another order each epoch, which follows from the seed and the epoch alone. Batches of an
        iterable are visited as they come.
    seed: a whole number >= 0 for the first parameters, the validation rows and the orders.
    dtype: "float32" (the default) or "float64".
    threads: cores to train on at most, >= 1; a step too small to gain from several runs on one. None means as many as
        this process may use. The results have the same bits with any number.
    gradient_checkpointing: take less memory and more time in deep networks: a few activations are stored, those
        between them are recomputed in the backward pass. The results have the same bits. `fl.plan` shows the saving.
    out: a folder to save the run in; one that holds a run already is refused without overwrite or resume.
    checkpoints: epochs between checkpoints in that folder; "auto" writes one every 15 seconds or so, and every one
        includes the place inside the epoch. None writes none.
    resume: True goes on in `out`, or starts where there is no run yet; a folder is one that must hold a run. It comes
        to the same bits as if it had never stopped. Other data or settings are refused, but for epochs and threads;
        functions of your own are known by their names alone.
    extra: anything JSON can hold that is to be kept with the model, such as where its data came from.
    encoder: nn.Columns, such as nn.standardise(x): becomes part of the model, which then takes rows as they are in x,
        in training and whenever it predicts. decoder: nn.Labels or nn.Quantity, likewise: y is given, and predicted,
        as labels or in the units of the target.
    init: a run to go on from, instead of beginning anew: its parameters after the last step, the optimizer's arrays,
        and its counts of steps and epochs, so that schedules go on. model may then be None; epochs says how many more.
        data and settings may be others. With the same data and settings, and rates that do not follow from the length
        of the training, k epochs and then n - k more come to the same bits as n epochs.

    Returns an iterator over the events, with the result so far as its `run`. The last event is TrainingEnded; a loss
    that stops being finite ends the training with Diverged before it, and keeps the last parameters whose loss was
    finite: that is an answer and no exception.
    Errors: ArgumentError or DataError with everything that is wrong, TraceError or ShapeError for a network or loss
    that does not fit; all before the first step. ExistingFileError, MissingFileError for folders.
    Example:
        for event in (training := fl.train(model, (x, y), loss="cross_entropy")):
            print(event)
        training.run.model.predict(x)
    """
    given = dict(locals())
    del given["model"], given["data"]
    return Training(prepare(model, data, Settings(**given)))


@takes()
def fit(model: Any, data: Any, *, ensemble: int | None = None, **settings: Any) -> Run:
    """A training from its start to its end: arguments as for `train`; returns the Run.

    ensemble: train so many networks side by side, from seeds drawn from `seed` and with the same validation rows, and
        return them as one: its model predicts the average of their probabilities, or of their numbers, and its history
        is their mean; nn.members(run.model) are the single ones. Members that diverge are left out.

    A loss is traced once: a variable that it reads keeps its first value; docs/noise.md shows losses that change.
    Ctrl-C ends the training in good order: the Run has the last state, and its stop_reason is "interrupted". SIGTERM
    and SIGHUP end it likewise, all saved, and then the process; handlers of your own are left alone.
    Errors: as for `train`; SavingError where the disk refuses to save: its `run` has the result all the same.
    Example:
        run = fl.fit(nn.mlp((64,), 10), (x, y), loss="cross_entropy", validation=0.2, early_stopping=True)
        run.model.predict(x), run.history["loss"], run.summary()
    """
    known = [field.name for field in fields(Settings)]
    for name in settings:
        if name not in known:
            raise unknown("setting", name, [*known, "ensemble"])
    if ensemble is not None:
        from fallline.experiments.members import fit_ensemble

        return fit_ensemble(model, data, ensemble, settings)
    training = train(model, data, **settings)
    with training.interrupts:
        for _ in training:
            pass
    return training.run
