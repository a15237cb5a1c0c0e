"""Model: a network, its theta, and the meaning of its outputs. Knows no training and no files.

Theta is one flat contiguous vector of all parameters; the named arrays are views of it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from fallline import arrays, tree
from fallline.arguments import misfit, of, raises_ours, record, takes
from fallline.config import from_config, to_config
from fallline.displays import Displayed
from fallline.errors import ArgumentError, ArgumentTypeError, DataError, NotCalled, ShapeError
from fallline.graph.op import Array, Shape
from fallline.nn import loss as losses
from fallline.nn import measured, summary
from fallline.nn.context import Context, applied
from fallline.nn.encoder import Columns, Decoder, Labels, Quantity
from fallline.nn.forms import forms_of, sizes
from fallline.nn.given import as_float, as_network, classes_of_config, decoder_of, without_link
from fallline.nn.inputs import as_dtypes, as_rows, as_shapes, dtypes_to_tree, shapes_to_config
from fallline.nn.intake import Problems, as_numbers, check_finite
from fallline.nn.layer import Layer, started, with_batch
from fallline.nn.loss import Loss
from fallline.nn.meaning import as_they_are, decided, probabilities
from fallline.nn.part import part_of, theta_of
from fallline.nn.prediction import Predictor
from fallline.nn.probe import declared
from fallline.nn.rows_apart import check_rows_stay_apart, is_known
from fallline.nn.scores import scores
from fallline.nn.target import Targets
from fallline.nn.theta import KEPT, PATTERNS, TRAINABLE, Layout, exactly, remember
from fallline.nn.undrawn import Undrawn
from fallline.ranges import short
from fallline.source import named
from fallline.stored import blocks_of, is_source
from fallline.tree import Tree

# The meaning of outputs z, (N, *output_shape), of a model; plain NumPy.
Meaning = Callable[[Any, Any], Any]


@record
@dataclass(frozen=True, eq=False)
class Model(Displayed, NotCalled):
    """A network with its parameters, and the meaning of its outputs. Made by `Model.init`, or by training.

    network: the layers. input_shape, output_shape: of one row; of several inputs, a dict or tuple of shapes. layout:
    where each named parameter lies in theta.
    theta: all parameters, one vector. loss: says how outputs become predictions. classes: labels in the order of the
    outputs; None for numbers, and before any targets were met: a classifier then names them 0, 1, 2 ... flat:
    predictions of one number a row come as (N,), as the targets did; None before any targets were met.
    encoder: from the columns of a table to the network's inputs; with one, x is the raw rows everywhere. decoder: from
    its outputs to labels, or to a quantity in its unit; targets are given so too.
    input_dtypes: of inputs that reach the network as whole numbers or bool, by name: {"x": "uint8"}, {"x.tokens":
    "int64"}; all others are floats, in the precision of theta.
    """

    _instead_of_a_call = "model.predict(x), or model.outputs(x) for the raw outputs"

    network: Layer
    input_shape: Any  # a Shape, or a dict or tuple of shapes
    output_shape: Shape
    layout: Layout = field(repr=False)
    theta: Array = field(repr=False)
    loss: Loss
    classes: Array | None = None
    flat: bool | None = None
    encoder: Columns | None = field(default=None, repr=False)
    decoder: Decoder | None = field(default=None, repr=False)
    input_dtypes: Mapping[str, str] = field(default_factory=dict, repr=False)

    @staticmethod
    @takes()
    def init(
        network: Any,
        input_shape: Any,
        *,
        loss: Any = "squared_error",
        seed: int | np.random.Generator = 0,
        dtype: Any = "float32",
        input_dtype: Any = None,
    ) -> "Model":
        """A model before training, its parameters drawn from the seed.

        network: a Sequential, another layer, or a list of layers. A last layer that is the loss's own link (Softmax
            before cross-entropy, Sigmoid before binary cross-entropy) is left to the loss, which is exact without it.
        input_shape: of one row of x: (D,), or D, for D features; a dict or tuple of shapes where x is one of arrays.
        loss: a name of LOSSES, a record such as Huber(1.0), or a function(output, y) -> scalar.
        seed: a whole number >= 0, or a NumPy Generator. `fit(network, ...)` draws other numbers from the same seed;
            `fit(model, ...)` starts from this model's.
        dtype: "float32" or "float64"; both start from the same numbers.
        input_dtype: of whole numbers or bool that reach the network as they are, such as "uint8"; for several inputs a
            dict or tuple of dtypes, None for floats.
        Errors: ArgumentError, ArgumentTypeError; ShapeError when a layer cannot take its input.
        Example: Model.init(Sequential(Dense(64), ReLU(), Dense(10)), 784, loss="cross_entropy")
        """
        chosen, precision, shape = losses.get(loss), as_float(dtype), as_shapes(input_shape)
        dtypes = as_dtypes(input_dtype, shape)
        forms = forms_of(shape, dtypes, precision)
        layer = without_link(as_network(network), chosen)
        try:
            rng = np.random.default_rng(seed)
        except (TypeError, ValueError):
            raise ArgumentError(f"seed is a whole number >= 0 or a NumPy Generator, got {seed!r}") from None
        params, out = started(layer, rng, shape, precision)
        layout = Layout.of(params)
        layout, traced = declared(layer, layout, forms, precision)
        theta = layout.join(params, precision)
        model = Model(layer, shape, tuple(out), layout, theta, chosen, input_dtypes=dtypes)
        if traced != model.output_shape:
            raise ShapeError(
                f"{layer!r}: init announces the shape {with_batch(out)}, apply returns {with_batch(traced)}"
            )
        if len(model.output_shape) != 1 and chosen.task != "custom":
            raise ShapeError(
                f"the network gives {with_batch(out)}, and the loss {chosen.name} takes rows of numbers, (N, K)\n"
                "  try: nn.Flatten() and nn.Dense(K) at its end"
            )
        if not is_known(layer):
            check_rows_stay_apart(layer, model.params, forms)
        return model

    @property
    def params(self) -> Tree:
        """The named parameters: views of theta, so writing into one changes the model."""
        remember(self.theta, self.layout)
        return self.layout.split(self.theta)

    @property
    def inputs(self) -> Tree:
        """The form of one row of the network's input: shape and dtype, in a dict or tuple of several inputs."""
        return forms_of(self.input_shape, self.input_dtypes, self.dtype)

    @property
    def row_shape(self) -> Any:
        """Of one row of x: the network's, or one number for each column of the encoder."""
        return self.input_shape if self.encoder is None else (len(self.encoder.columns),)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.theta.dtype

    @property
    def task(self) -> str:
        """ "regression", "binary", "classification" or "custom"."""
        return self.loss.task

    @property
    def labels(self) -> Array | None:
        """The classes that `predict` names; None where it gives numbers."""
        if self.classes is not None or self.flat is not None:
            return self.classes
        count = {"classification": self.output_shape[-1:], "binary": (2,) * (self.output_shape == (1,))}.get(self.task)
        return np.arange(*count) if count else None

    @property
    def decay_mask(self) -> Array:
        """The factor of weight decay of each parameter: 1 on weights, 0 on biases. A vector like theta."""
        return self.layout.decay_mask(self.dtype)

    @raises_ours
    def apply(self, theta: Any, x: Any) -> Any:
        """The raw outputs for a batch as the model predicts: a function of theta in plain NumPy, for tracing.

        theta: the vector, or its tree, `params`.
        """
        params = theta if isinstance(theta, dict | list | tuple) else self.layout.split(theta)
        floats = next((leaf.dtype for leaf in tree.leaves(params)), None)
        return applied(self.network, params, x, Context(dtype=floats))

    @raises_ours
    def objective(self, theta: Any, x: Any, y: Any) -> Any:
        """The loss of a batch as a function of theta, or of `params`; y as `prepare` returns it in `Targets.y`."""
        return self.loss.function(self.apply(theta, x), y)

    @takes()
    def prepare(self, y: Any) -> Targets:
        """Targets as the loss takes them, checked against the network; labels by the classes this model has."""
        outputs = self.output_shape[0] if len(self.output_shape) == 1 else None
        return self.loss.prepare(self.standard(y), self.dtype, outputs, self.classes)

    def standard(self, y: Any) -> Any:
        """Targets in the units of the outputs: those of a quantity through its decoder, others as they are."""
        if not isinstance(self.decoder, Quantity):
            return y
        problems = Problems()
        array = as_numbers(y, "y", problems)
        if array is not None:
            check_finite(array, "y", np.float64, problems)
        problems.raise_if_any()
        return self.decoder.encode(array)

    @takes(targets=of(Targets, "targets, as `prepare` returns them"))
    def for_targets(self, targets: Targets) -> "Model":
        """The same model, predicting in the form these targets were given in."""
        classes = self.classes if isinstance(self.decoder, Labels) else targets.classes
        return replace(self, classes=classes, flat=targets.flat)

    def between(self, encoder: Columns | None, decoder: Decoder | None) -> "Model":
        """The same model behind this encoder and before this decoder; None leaves those of the model.

        Errors: ArgumentError where they do not fit the network or its loss.
        """
        encoder = self.encoder if encoder is None else encoder
        decoder = self.decoder if decoder is None else decoder
        if encoder is not None and not isinstance(encoder, Columns):
            raise ArgumentTypeError(f"an encoder is nn.Columns, got {encoder!r:.60}\n  try: nn.standardise(x)")
        if decoder is not None and not isinstance(decoder, Labels | Quantity):
            raise ArgumentTypeError(f"a decoder is nn.Labels or nn.Quantity, got {decoder!r:.60}")
        if encoder is not None and self.input_shape != (encoder.width,):
            raise ArgumentError(
                f"the encoder gives {encoder.width} numbers for a row, the network takes {with_batch(self.input_shape)}"
            )
        wants = {"classification": Labels, "binary": Labels, "regression": Quantity}.get(self.task)
        if decoder is not None and wants is not None and type(decoder) is not wants:
            raise ArgumentError(f"the decoder is {short(decoder):.60}, and the loss {self.loss.name} needs "
                                f"nn.{wants.__name__}")  # fmt: skip
        if not isinstance(decoder, Labels):
            return replace(self, encoder=encoder, decoder=decoder)
        apart = {"classification": self.output_shape[-1], "binary": 2}.get(self.task, len(decoder.labels))
        if len(decoder.labels) != apart:
            raise ArgumentError(f"the decoder has {len(decoder.labels)} labels, and the network tells {apart} apart")
        return replace(self, encoder=encoder, decoder=decoder, classes=decoder.classes)

    @takes(patterns=PATTERNS)
    def marked(
        self,
        patterns: str | Sequence[str],
        *,
        kind: str | None = None,
        rate: float | None = None,
        decay: float | None = None,
    ) -> "Model":
        """The same model with other kinds or factors for some parameters, which its trainings follow.

        patterns: of paths, as file names are matched: "0.weight", "*.weight", "0.*".
        kind: "frozen", no training changes them; "trainable", back to the kind that the network gives them. rate:
            factor of their learning rate, >= 0. decay: factor of their weight decay, >= 0. None leaves them.
        Errors: ArgumentError for a pattern that fits no path, and for another kind or a negative factor.
        Example: fl.fit(model.marked("0.*", kind="frozen"), (x, y))
        """
        if kind == KEPT:
            raise ArgumentError(
                'a parameter is kept by its layer\n  try: context.keep(params["mean"], new) in its apply'
            )
        layout = self.layout.marked(patterns, kind=kind, rate=rate, decay=decay)
        if kind == TRAINABLE:
            own = dict(self._declared().items())
            for path in (slot.path for slot in self.layout.matching(patterns)):
                layout = layout.marked(exactly(path), kind=own[path].kind)
        return replace(self, layout=layout)

    def _declared(self) -> Layout:
        """The layout as the network alone makes it."""
        return declared(self.network, Layout.of(self.params), self.inputs, self.dtype)[0]

    @takes(theta=of(np.ndarray, "an array"))
    def with_theta(self, theta: Array) -> "Model":
        """The same model with other parameters; theta is not copied."""
        arrays.plain(theta, "theta")
        if theta.shape != (self.layout.size,) or theta.dtype != self.dtype:
            raise ShapeError(f"theta is {self.dtype}[{self.layout.size}], got {theta.dtype}{list(theta.shape)}")
        return replace(self, theta=theta)

    @takes()
    def with_params(self, params: Tree) -> "Model":
        """The same model with other parameters, copied from a tree like `params`.

        Errors: ArgumentError for another form; ArgumentTypeError for values that are no arrays of real numbers.
        Example: model.with_params(params).predict(x), after a loop of one's own
        """
        return replace(self, theta=theta_of(self.layout, params, self.dtype))

    def __getitem__(self, key: Any) -> "Model":
        """Some layers of a Sequential as a model over the same theta: model[:2], model[-1].

        It begins with the encoder where it has the first layer, and predicts as the whole does where it has the last;
        elsewhere `predict` gives the numbers that leave it.
        Errors: ArgumentTypeError for a network that is no Sequential; ArgumentError for no layers; OutOfRangeError.
        Example: features = run.model[:-1].predict(x)
        """
        part: Model = part_of(self, key)
        return part

    @takes()
    def evaluate(self, data: Any, *, metrics: Any = None, threads: int | None = None) -> dict[str, float]:
        """The loss and the metrics on some rows: {"loss": 0.31, "accuracy": 0.9}.

        data: (x, y) or (x, y, weight), a Source, or batches from an iterable, given as for training. The loss is the
            mean over the rows, weighted where they have weights; so are metrics, but for a function without a
            sample_weight, which counts every row once.
        metrics: more than the usual ones: names of nn.METRICS, functions(y_true, y_pred), scorers of scikit-learn or
            their names, or a dict of these by name.
        threads: as for `outputs`.
        Errors: DataError, ShapeError for rows and targets that do not fit the model; ArgumentError for metrics.
        Example: run.model.evaluate((x_test, y_test))["accuracy"]
        """
        return scores(self, data, measured.resolve(metrics), threads)

    def outputs(self, x: Any, *, threads: int | None = None, **unknown: Any) -> Array:
        """The raw outputs (logits, for a classifier), (N, *output_shape), computed in blocks of bounded memory.

        x: (N, *input_shape), or (N, D) for an encoder of D columns; a dict or tuple of arrays where the network has
            several inputs; anything that holds numbers; no rows give no outputs. Contiguous arrays of floats, or of the
            whole numbers that the model was trained on, memory-mapped ones too, are read where they lie. The rows of a
            Source are read a block at a time.
        threads: lanes to use at most, where there is work for them; None means the cores this process may use. Results
            do not depend on it.
        Errors: ShapeError for another shape; DataError for text, NaN or infinity, with their place.
        """
        if unknown:  # without the wrapper of `takes`, which costs a row's prediction a twentieth
            raise misfit(Model.outputs, "outputs", (self, x), unknown, settings=False)
        return self._through(as_they_are, x, threads)

    def predict(self, x: Any, *, threads: int | None = None, **unknown: Any) -> Array:
        """The class label of each row, or numbers in the form the targets had; arguments as for `outputs`.

        Errors: as for `outputs`, and DataError where the outputs are NaN, which name no class.
        """
        if unknown:  # without the wrapper of `takes`, which costs a row's prediction a twentieth
            raise misfit(Model.predict, "predict", (self, x), unknown, settings=False)
        y, labels = self._through(decided, x, threads), self.labels
        if labels is None:  # as `named` has it, without asking for the labels again
            return self.decoder.decode(y) if isinstance(self.decoder, Quantity) else y
        if len(y) and (y[0] if len(y) == 1 else y.min()) < 0:
            raise DataError(
                f"the outputs for row {int(np.argmax(y < 0))} are NaN, so they name no class\n"
                "  try: smaller numbers in x; np.isfinite(model.theta).all(), to check the model"
            )
        return np.asarray(labels[y])

    def predict_proba(self, x: Any, *, threads: int | None = None, **unknown: Any) -> Array:
        """The probability of each class, (N, K) in the order of `classes`; arguments as for `outputs`.

        Of several outputs with binary cross-entropy, each is a probability by itself.
        """
        if unknown:  # without the wrapper of `takes`, which costs a row's prediction a twentieth
            raise misfit(Model.predict_proba, "predict_proba", (self, x), unknown, settings=False)
        if self.task not in ("binary", "classification") or self.loss.link is None:
            what = "gives distances, not probabilities" if self.loss.link is None else "knows no classes"
            raise ArgumentError(f"a model with the loss {short(self.loss)} {what}\n"
                                "  try: predict(x), or training with loss='cross_entropy'")  # fmt: skip
        return self._through(probabilities, x, threads)

    @takes()
    def rows(self, x: Any) -> Any:
        """x as the rows that the network reads, encoded where there is an encoder; not copied where they are that."""
        arrays, problems = as_rows(x, self.inputs, self.encoder), Problems()
        for name, array in named(arrays).items():
            check_finite(array, name, self.dtype, problems)
        problems.raise_if_any()
        return arrays

    @takes()
    def summary(self) -> str:
        """A text table: layers, the shapes that leave them, parameters."""
        return summary.summary(self.network, self.layout, self.inputs, self.dtype)

    @takes()
    def to_config(self) -> dict[str, Any]:
        """Everything but theta as plain JSON values; the same model comes back from `from_config(config, theta)`.

        Errors: ArgumentError for layers, functions and initialisers of a user's own: a file holds no code.
        """
        classes = self.classes
        changed = self.layout.differences(self._declared()) if self.layout.marks else {}
        return {
            "network": to_config(self.network, "network"),
            "input_shape": shapes_to_config(self.input_shape),
            **({"input_dtypes": dict(self.input_dtypes)} if self.input_dtypes else {}),
            "dtype": self.dtype.name,
            "loss": to_config(self.loss, "loss"),
            "classes": None
            if classes is None or isinstance(self.decoder, Labels)
            else {"kind": classes.dtype.str[1:], "labels": classes.tolist()},
            "flat": self.flat,
            "encoder": to_config(self.encoder, "encoder"),
            "decoder": to_config(self.decoder, "decoder"),
            **({"slots": changed} if changed else {}),
        }

    @staticmethod
    @takes()
    def from_config(config: dict[str, Any], theta: Array | None = None) -> "Model":
        """The model of a config; theta as it was saved, or None for a fresh start.

        Errors: ArgumentError for anything in the config that is not what `to_config` writes.
        """
        if not isinstance(config, dict) or not {"network", "input_shape", "dtype", "loss"} <= set(config):
            raise ArgumentError(f"not the config of a model: {config!r:.80}")
        network = from_config(config["network"], Layer, "network")  # type: ignore[type-abstract]
        loss = from_config(config["loss"], Loss, "loss")
        shapes, dtypes = as_shapes(config["input_shape"]), config.get("input_dtypes") or {}
        seed = 0 if theta is None else Undrawn(theta.size)
        model = Model.init(
            network, shapes, loss=loss, dtype=config["dtype"], input_dtype=dtypes_to_tree(dtypes, shapes), seed=seed
        )
        flat = None if config.get("flat") is None else bool(config["flat"])
        layout = model.layout.with_differences(config.get("slots", {}))
        model = replace(model, layout=layout, classes=classes_of_config(config.get("classes")), flat=flat)
        encoder, decoder = config.get("encoder"), config.get("decoder")
        model = model.between(
            None if encoder is None else from_config(encoder, Columns, "encoder"),
            None if decoder is None else decoder_of(decoder),
        )
        return model if theta is None else model.with_theta(theta)

    def _through(self, meaning: Meaning, x: Any, threads: int | None) -> Array:
        """Predictions or probabilities from the outputs for some rows."""
        # One row of the right form is answered in microseconds: nothing is looked at twice.
        plain = type(x) is np.ndarray and x.ndim and x.dtype == self.theta.dtype and x.shape[1:] == self.input_shape
        if not plain and is_source(x):
            return np.concatenate([self._through(meaning, block, threads) for block in blocks_of(x)])
        rows = (x,) if plain and self.encoder is None else tree.leaves(as_rows(x, self.inputs, self.encoder))
        if not len(rows[0]):
            return np.asarray(meaning(self, np.empty((0, *self.output_shape), self.dtype)))
        predictor = self.__dict__.get(meaning.__name__) or self._predictor(meaning)
        y: Array = predictor(rows, threads)
        return y

    def _predictor(self, meaning: Meaning) -> Predictor:
        """The programs that turn rows into predictions; made once, and no field of the record."""
        network, layout, dtype = self.network, self.layout, self.dtype
        # Without theta, so that the predictor holds on to nothing that holds the predictor.
        form, inputs = replace(self, theta=np.empty(0, dtype)), self.inputs

        def function(theta: Any, *xs: Any) -> Any:
            z = applied(network, layout.split(theta), tree.unflatten(inputs, [*xs]), Context(dtype=dtype))
            return meaning(form, z if z.dtype == dtype else z.astype(dtype))

        steps = summary.steps(network, layout.slots, inputs, dtype)
        of_inputs = sum(math.prod(shape) for shape in sizes(inputs))
        widths = [of_inputs, *(math.prod(out) for _, _, out in steps)]
        made = Predictor(function, self.theta, named(inputs), widths)
        kept: Predictor = self.__dict__.setdefault(meaning.__name__, made)
        return kept

    def __getstate__(self) -> dict[str, Any]:
        """The fields: programs hold addresses, and are made anew where a copy predicts."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


MODEL = of(Model, "a model, such as `run.model`")
