"""Names that people bring from other libraries, and ours for them: one table. Knows nothing else.

Words are compared without case and underscores, so that one line serves the class, the string and the keyword:
`MSELoss`, "mse_loss" and `mse` are looked up among the names known in that place, and find `SquaredError` or
"squared_error".
"""

import difflib
from collections.abc import Iterable

# Ours: its names elsewhere (Keras, PyTorch, scikit-learn, JAX, optax, flax). A word may stand in several
# lines; the first whose name is known in that place is meant.
OURS = {
    # losses
    "squared_error": "mse mse_loss mean_squared_error l2 l2_loss quadratic rmse root_mean_squared_error",
    "absolute_error": "mae mae_loss mean_absolute_error l1 l1_loss",
    "binary_cross_entropy": "bce bce_loss bce_with_logits bce_with_logits_loss binary_crossentropy_with_logits"
                            " sigmoid_binary_cross_entropy sigmoid_cross_entropy",
    "cross_entropy": "ce xent nll nll_loss log_loss negative_log_likelihood cross_entropy_loss sparse_cross_entropy"
                     " categorical_crossentropy sparse_categorical_crossentropy softmax_cross_entropy deviance"
                     " softmax_cross_entropy_with_integer_labels multinomial",
    "huber": "smooth_l1 smooth_l1_loss huber_loss",
    "hinge": "svm margin hinge_loss hinge_embedding_loss squared_hinge",
    "poisson": "poisson_nll poisson_nll_loss poisson_loss",
    # optimizers
    "gradient_descent": "sgd gd steepest_descent",
    "momentum": "sgd_momentum heavy_ball",
    "nesterov": "nag nesterov_momentum",
    "groups": "param_groups parameter_groups multi_transform partition",
    "adam": "nadam radam adamax amsgrad",
    # schedules
    "step": "step_lr multi_step_lr piecewise_constant_schedule piecewise_constant step_decay",
    "exponential": "exponential_lr exponential_decay",
    "cosine": "cosine_annealing cosine_annealing_lr cosine_decay cosine_decay_schedule cosine_schedule",
    "warm_up": "linear_lr linear_warmup warmup_cosine_decay_schedule linear_schedule",
    "one_cycle": "one_cycle_lr cosine_onecycle_schedule linear_onecycle_schedule",
    # layers and networks
    "dense": "linear fully_connected fc affine lazy_linear linear_layer",
    "identity": "linear",
    "sequential": "mlp_block model network",
    "function": "lambda lambda_layer",
    "mlp": "mlp_classifier mlp_regressor",
    "layer": "module nn_module",
    "residual": "skip skip_connection resnet_block res_block",
    "BatchNorm": "batchnorm1d batchnorm2d batch_normalization",
    "Frozen": "freeze",
    "averaged": "voting_classifier voting_regressor",
    # activations
    "sigmoid": "logistic expit log_sigmoid hard_sigmoid",
    "silu": "swish hard_swish",
    "tanh": "hard_tanh hyperbolic_tangent",
    "relu": "rectifier rectified_linear relu6",
    "leaky_relu": "prelu lrelu",
    "gelu_tanh": "gelu_new gelu_approximate",
    "softmax": "softmax2d",
    # initialisers
    "glorot_uniform": "xavier xavier_uniform glorot",
    "glorot_normal": "xavier_normal",
    "he_uniform": "kaiming_uniform",
    "he_normal": "kaiming kaiming_normal he",
    "lecun_normal": "lecun",
    "normal": "random_normal gaussian truncated_normal randn trunc_normal",
    "uniform": "random_uniform rand",
    # arguments
    "learning_rate": "lr lr_max learning_rate_init step_size eta eta0 base_lr max_lr init_lr init_value peak_value",
    "weight_decay": "wd alpha l2_regularization decay l2_penalty kernel_regularizer",
    "beta1": "b1 betas",
    "beta2": "b2 rho",
    "eps": "epsilon",
    "clip_norm": "global_max_norm max_grad_norm grad_clip gradient_clip_val",
    "factor": "gamma",
    "every": "step_size",
    "warm_steps": "warmup_steps warmup num_warmup_steps",
    "steps": "total_steps t_max decay_steps num_steps transition_steps num_training_steps",
    "final": "eta_min min_lr end_value alpha",
    "units": "out_features features n_units num_units output_dim out_dim width neurons hidden_units size",
    "rate": "p prob dropout dropout_rate drop_rate",
    "bias": "use_bias with_bias",
    "initializer": "kernel_initializer kernel_init w_init weight_init init initialiser weight_initializer",
    "hidden": "hidden_layer_sizes hidden_sizes hidden_dims layers layer_sizes hidden_units widths",
    "outputs": "n_outputs n_out num_classes n_classes out_features output_size forward logits predict_on_batch"
               " decision_function",
    "slope": "negative_slope alpha",
    "label_smoothing": "smoothing",
    "optimizer": "solver optim optimiser opt tx",
    "loss": "criterion loss_fn loss_function objective cost",
    "epochs": "nb_epoch n_epochs num_epochs max_epochs max_iter num_iters n_iter iterations n_steps",
    "batch_size": "bs batch minibatch_size",
    "validation": "validation_split validation_data validation_fraction val_data val_split valid eval_set eval_data",
    "metrics": "scoring scorer eval_metric",
    "early_stopping": "patience n_iter_no_change callbacks early_stop early_stopping_rounds",
    "min_delta": "tol tolerance",
    "seed": "random_state rng rng_seed random_seed key prng_key manual_seed",
    "threads": "n_jobs workers num_workers num_threads n_threads",
    "out": "output_dir log_dir save_dir default_root_dir filepath folder path",
    "resume": "resume_from_checkpoint warm_start initial_epoch",
    "checkpoints": "checkpoint save_every model_checkpoint",
    "gradient_checkpointing": "recompute remat checkpointing checkpoint_sequential",
    "input_shape": "input_size input_dim in_features n_features in_dim",
    "k": "n_splits n_folds folds cv n_estimators",
    "x": "inputs input data xs features",
    "y": "targets target labels ys outputs",
    "model": "net network module estimator",
    "data": "dataset train_data dataloader train_loader loader",
    # functions and modules
    "compile": "jit njit filter_jit tf_function script",
    "grad": "gradient gradients backward autograd filter_grad elementwise_grad",
    "value_and_grad": "filter_value_and_grad grad_and_value",
    "jacobian": "jacfwd jacrev",
    "hessian": "hess",
    "hvp": "hessian_vector_product vhp",
    "jvp": "linearize pushforward make_jvp",
    "vjp": "pullback make_vjp",
    "graph_of": "make_jaxpr jaxpr trace symbolic_trace",
    "folds": "k_fold stratified_k_fold cross_validation cross_val_score",
    "race": "grid_search grid_search_cv randomized_search_cv tuner sweep",
    "train": "fit learn training",
    "fit": "train_model trainer fit_generator",
    "plan": "estimate_memory memory_summary",
    "nn": "layers losses activations keras flax haiku stax linen",
    "argnums": "argnum",
    "vmap": "filter_vmap vectorize per_sample_grad vectorized_map",
    "in_axes": "in_dims in_dim in_axis",
    "out_axes": "out_dims out_dim out_axis",
    "axis": "dim dims axes",
    "keepdims": "keepdim",
    "optim": "optimizers optimiser optimisers optax",
    "check_grads": "gradcheck gradgradcheck check_grad",
    "stop_gradient": "detach no_grad lax_stop_gradient",
    "erf": "erf_function",
    # of a model and a run
    "params": "parameters weights get_weights state_dict trainable_variables trainable_weights variables"
              " named_parameters coefs_ coef_ intercepts_ intercept_",
    "theta": "flat_params parameter_vector num_params count_params n_params",
    "with_params": "set_weights load_state_dict set_params",
    "evaluate": "score test_step",
    "apply": "forward call",
    "marked": "freeze requires_grad trainable set_trainable",
    "predict": "predict_classes predict_step transform decision",
    "predict_proba": "probabilities predict_probabilities proba predict_log_proba",
    "history": "loss_curve_ losses metrics logs best_loss_ loss_ validation_scores_",
    "summary": "describe info print",
    "load_model": "load from_pretrained load_weights",
    "load_run": "load_checkpoint",
    "save_model": "save save_weights export",
    "classes": "labels_ class_names",
    "network": "layers modules children",
}  # fmt: skip

# Words that have no counterpart, and a replacement.
INSTEAD = {
    "verbose": "fl.train(...), whose events say how far it is; or print(run.summary()) at its end",
    "activation": "a layer of its own: nn.Dense(8), nn.ReLU(); or nn.mlp((8,), 1, \"relu\")",
    "input_dim": "leaving it out: a layer counts its inputs when it meets the data",
    "input_shape": "leaving it out: a layer counts its inputs when it meets the data",
    "in_features": "leaving it out: a layer counts its inputs when it meets the data",
    "in_channels": "leaving it out: a layer counts its inputs when it meets the data",
    "input": "leaving it out: a layer counts its inputs when it meets the data",
    "input_layer": "leaving it out: a layer counts its inputs when it meets the data",
    "name": "leaving it out: layers go by their place, such as 0.weight",
    "device": "leaving it out: everything runs on the processor; threads= says on how many cores",
    "cuda": "leaving it out: everything runs on the processor; threads= says on how many cores",
    "to": "dtype=\"float64\" in fl.fit; everything runs on the processor",
    "class_weight": "a loss of your own, loss=function(output, y), that weighs the rows",
    "sample_weight": "a loss of your own, loss=function(output, y), that weighs the rows",
    "from_logits": "leaving it out: losses take the raw outputs, and predict knows their meaning",
    "reduction": "leaving it out: a loss is the mean over the rows",
    "momentum": "optim.Momentum(0.01, momentum=0.9)",
    "nesterov": "optim.Nesterov(0.01, momentum=0.9)",
    "adagrad": "optim.RMSProp, whose memory of old gradients fades",
    "muon": "optim.Groups({\"*.weight\": optim.Muon(0.02), \"*\": optim.Adam(1e-3)})",
    "adadelta": "optim.RMSProp, whose memory of old gradients fades",
    "power_t": "a schedule as the learning rate, such as optim.Exponential(0.1)",
    "lr_scheduler": "a schedule as the learning rate: optim.Adam(optim.Cosine(0.01))",
    "scheduler": "a schedule as the learning rate: optim.Adam(optim.Cosine(0.01))",
    "schedule": "a schedule as the learning rate: optim.Adam(optim.Cosine(0.01))",
    "bias_initializer": "leaving it out: biases start at zero",
    "dropout": "a layer of its own, nn.Dropout(0.2), between the others",
    "fit": "fl.fit(model, (x, y), loss=\"cross_entropy\"), which returns a Run with the trained model",
    "compile": "fl.fit(model, (x, y), loss=\"cross_entropy\", optimizer=\"adam\"): loss and optimizer are given there",
    "train": "fl.fit(model, (x, y), loss=\"cross_entropy\"), which returns a Run with the trained model",
    "eval": "leaving it out: predict and outputs never draw noise",
    "evaluate": "run.model.evaluate((x, y)); or validation=(x, y) in fl.fit, for its history",
    "score": "run.model.evaluate((x, y)), which has the accuracy, or r2",
    "backward": "fl.value_and_grad(loss)(params, x, y)",
    "zero_grad": "leaving it out: a gradient is returned anew by fl.value_and_grad",
    "apply_gradients": "params, state = optimizer.update(grads, state, params)",
    "apply_updates": "params, state = optimizer.update(grads, state, params)",
    "train_on_batch": "fl.train(model, (x, y), ...), a stream of events",
    "partial_fit": "fl.fit(run.model, (x, y)), which goes on from where the model is",
    "add": "all layers at once: nn.Sequential(nn.Dense(64), nn.ReLU(), nn.Dense(10))",
    "save": "fl.save_model(model, \"model.safetensors\")",
    "save_weights": "fl.save_model(model, \"model.safetensors\")",
    "predict": "fl.fit(...).model.predict(x)",
    "predict_proba": "fl.fit(...).model.predict_proba(x)",
    "pmap": "threads= in fl.fit",
    "while_loop": "fl.scan(f, init, xs), which runs a function once for each row",
    "fori_loop": "fl.scan(f, init, np.arange(n)), which runs a function once for each row",
    "cond": "np.where(condition, a, b)",
    "tensor": "NumPy arrays, np.array(...)",
    "dataloader": "data=(x, y): batches are drawn by fl.fit, batch_size=32",
    "tensordataset": "data=(x, y): batches are drawn by fl.fit, batch_size=32",
    "prngkey": "seed=0 in fl.fit",
    "set_seed": "seed=0 in fl.fit",
    "manual_seed": "seed=0 in fl.fit",
    "conv1d": "nn.Flatten() and nn.Dense(k): there are no convolutions",
    "conv2d": "nn.Flatten() and nn.Dense(k): there are no convolutions",
    "conv": "nn.Flatten() and nn.Dense(k): there are no convolutions",
    "maxpooling2d": "nn.Flatten() and nn.Dense(k): there are no convolutions",
    "maxpool2d": "nn.Flatten() and nn.Dense(k): there are no convolutions",
    "avgpool2d": "nn.Flatten() and nn.Dense(k): there are no convolutions",
    "layernorm": "nn.BatchNorm(), over the batch; encoder=nn.standardise(x) in fl.fit, for the inputs",
    "layernormalization": "nn.BatchNorm(), over the batch; encoder=nn.standardise(x) in fl.fit, for the inputs",
    "embedding": "np.eye(K)[codes] as x: there is no embedding layer",
    "lstm": "nn.Flatten() and nn.Dense(k): there are no recurrent layers",
    "gru": "nn.Flatten() and nn.Dense(k): there are no recurrent layers",
    "rnn": "nn.Flatten() and nn.Dense(k): there are no recurrent layers",
    "parameter": "a layer with init(rng, shape, dtype) -> (params, shape) and apply(params, x, context)",
    "logsoftmax": "leaving it out: cross_entropy takes the raw outputs",
    "kldivloss": "cross_entropy with rows of probabilities as y, which differs by a constant",
    "lr": "optimizer=optim.Adam(0.001): the learning rate is the optimizer's",
    "learning_rate": "optimizer=optim.Adam(0.001): the learning rate is the optimizer's",
    "learning_rate_init": "optimizer=optim.Adam(0.001): the learning rate is the optimizer's",
    "alpha": "optimizer=optim.Adam(0.001, weight_decay=0.01)",
    "weight_decay": "optimizer=optim.Adam(0.001, weight_decay=0.01)",
    "clip_norm": "optimizer=optim.Adam(0.001, clip_norm=1.0)",
    "clip_by_global_norm": "optim.Adam(0.001, clip_norm=1.0)",
    "clip_grad_norm_": "optim.Adam(0.001, clip_norm=1.0)",
    "chain": "one optimizer with its arguments: optim.Adam(optim.Cosine(0.01), clip_norm=1.0, weight_decay=0.01)",
    "parameters": "run.model.params after run = fl.fit(...): a layer has no parameters of its own",
    "params": "run.model.params after run = fl.fit(...): a layer has no parameters of its own",
    "state_dict": "run.model.params after run = fl.fit(...): a layer has no parameters of its own",
    "weights": "run.model.params after run = fl.fit(...): a layer has no parameters of its own",
    "get_weights": "run.model.params after run = fl.fit(...): a layer has no parameters of its own",
    "load_state_dict": "model.with_params(params), or fl.load_model(path)",
    "functional": "NumPy's functions and those of fl.ops, or layers such as nn.ReLU()",
    "utils": "data=(x, y): batches are drawn by fl.fit, batch_size=32",
    "tabulardataloaders": "data=(x, y): batches are drawn by fl.fit, batch_size=32",
    "dataloaders": "data=(x, y): batches are drawn by fl.fit, batch_size=32",
    "learner": "fl.fit(model, (x, y), loss=\"cross_entropy\"), which returns a Run with the trained model",
    "tabular_learner": "fl.fit(model, (x, y), loss=\"cross_entropy\"), which returns a Run with the trained model",
    "fit_one_cycle": "optimizer=optim.Adam(optim.OneCycle(0.01)) in fl.fit",
    "lr_find": "fl.race(model, (x, y), [{\"optimizer\": optim.Adam(r)} for r in (1e-3, 1e-2)], loss=\"cross_entropy\")",
    "random": "np.random.default_rng(0) for data, seed=0 in fl.fit, and fl.ops.normal in compiled functions",
    "lax": "NumPy itself, whose functions are traced",
    "numpy": "NumPy itself, whose functions are traced",
    "tree_map": "a loop over the parts, [p - 0.1 * g for p, g in zip(params, grads)], or the flat model.theta",
    "one_hot": "np.eye(K)[y]",
    "softplus": "np.logaddexp(0, x)",
    "train_test_split": "validation=0.2 in fl.fit, whose rows are chosen by the seed",
    "random_split": "validation=0.2 in fl.fit, whose rows are chosen by the seed",
    "accuracy": "np.mean(model.predict(x) == y), or validation=(x, y) in fl.fit",
    "accuracy_score": "np.mean(model.predict(x) == y), or validation=(x, y) in fl.fit",
    "normalization": "encoder=nn.standardise(x) in fl.fit, for the inputs; there is no normalisation layer",
    "has_aux": "fl.grad(lambda *args: f(*args)[0]), and f itself for its other results",
    "static_argnums": "leaving it out: arguments that are no arrays are part of the program",
    "static_argnames": "leaving it out: arguments that are no arrays are part of the program",
    "donate_argnums": "leaving it out: memory is planned by itself",
    "monitor": "leaving it out: the validation loss is watched, or the loss where there is no validation",
    "inplace": "leaving it out: nothing is changed in place",
    "compact": "a class with init(rng, shape, dtype) -> (params, shape) and apply(params, x, context)",
    "model": "run.model after run = fl.fit(...), or training.run.model",
    # initialisers go by their names
    "HeNormal": "its name: nn.Dense(64, initializer=\"he_normal\")",
    "HeUniform": "its name: nn.Dense(64, initializer=\"he_uniform\")",
    "GlorotNormal": "its name: nn.Dense(64, initializer=\"glorot_normal\")",
    "GlorotUniform": "its name: nn.Dense(64, initializer=\"glorot_uniform\")",
    "xavier_uniform": "its name: nn.Dense(64, initializer=\"glorot_uniform\")",
    "kaiming_normal": "its name: nn.Dense(64, initializer=\"he_normal\")",
    "LecunNormal": "its name: nn.Dense(64, initializer=\"lecun_normal\")",
}  # fmt: skip

# Attributes that arrays of other libraries have, and the form with NumPy. `a` is the array.
OF_ARRAYS = {
    "detach": "fl.ops.stop_gradient(a)",
    "numpy": "a itself: NumPy's functions take it",
    "cpu": "a itself: everything runs on the processor",
    "cuda": "a itself: everything runs on the processor",
    "to": "a.astype(np.float32), for a dtype",
    "float": "a.astype(np.float32)",
    "double": "a.astype(np.float64)",
    "long": "a.astype(np.int64)",
    "unsqueeze": "np.expand_dims(a, axis), or a[None]",
    "at": "np.where(mask, new, a), or np.concatenate of the parts",
    "permute": "np.transpose(a, axes)",
    "expand": "np.broadcast_to(a, shape)",
    "matmul": "a @ b",
    "mm": "a @ b",
    "bmm": "a @ b",
    "pow": "a ** b",
    "mul": "a * b",
    "div": "a / b",
    "sub": "a - b",
    "add": "a + b",
    "t": "a.T",
    "norm": "np.linalg.norm(a)",
    "item": "a itself: its number is not known while a function is traced",
    "contiguous": "a itself",
    "clone": "a itself: nothing is changed in place",
    "clamp": "np.clip(a, low, high)",
    "numel": "a.size",
    "dim": "a.ndim",
    "type": "a.astype(dtype)",
    "masked_fill": "np.where(mask, value, a)",
    "scatter_add_": "np.eye(K)[codes].T @ a",
    "requires_grad": "fl.grad(f)(a): the gradient with respect to its arguments",
    "grad": "fl.grad(f)(a): the gradient with respect to its arguments",
    "backward": "fl.grad(f)(a): the gradient with respect to its arguments",
    "block_until_ready": "a itself",
}

# Names less alike than this are not suggested: a wrong guess costs more than none.
_LIKENESS = 0.75


def plain(name: str) -> str:
    """A name without case and underscores."""
    return name.lower().replace("_", "")


_MEANT: dict[str, list[str]] = {}
for _ours, _words in OURS.items():
    for _word in _words.split():
        _MEANT.setdefault(plain(_word), []).append(plain(_ours))
_INSTEAD = {plain(word): text for word, text in INSTEAD.items()}


def meant(name: str, known: Iterable[str]) -> str | None:
    """The known name that is meant by this one: its other spelling, or another library's word for it.

    Of a known name such as "nn.Dense" the last part counts.
    """
    names = list(known)
    exact = [other for other in names if other.removeprefix(_room(other)) == name]
    places, key = _places(names), plain(name)
    return exact[0] if exact else next((places[word] for word in (key, *_MEANT.get(key, ())) if word in places), None)


def likest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, where any is like it at all."""
    places, key = _places(known), plain(name)
    found = difflib.get_close_matches(key, places, n=1, cutoff=_LIKENESS)
    found = found or [place for place in places if sorted(place) == sorted(key)]  # letters exchanged in a short one
    return places[found[0]] if found else None


def _places(known: Iterable[str]) -> dict[str, str]:
    return {plain(other.removeprefix(_room(other))): other for other in reversed(list(known))}


def _room(name: str) -> str:
    """The part of a public name before its last, "nn." of "nn.Dense"; nothing for a file's name or any other."""
    return next((room for room in ("nn.", "optim.", "ops.", "testing.") if name.startswith(room)), "")


def instead(name: str) -> str | None:
    """A replacement for a word that has no counterpart here."""
    return _INSTEAD.get(plain(name))
