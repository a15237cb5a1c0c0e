"""Networks in which rows meet are refused, with layer and line; all that keep rows apart are not."""

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentError
from fallline.nn.rows_apart import is_known

RNG = np.random.default_rng(0)
MEAN, TABLE = RNG.standard_normal(4), RNG.standard_normal((6, 4))

MIX = {
    "mean": lambda x: x - np.mean(x, axis=0),
    "all": lambda x: x / np.max(x),
    "length": lambda x: x / np.linalg.norm(x),
    "var": lambda x: x / np.sqrt(np.var(x, axis=0, keepdims=True) + 1),
    "softmax": lambda x: fl.ops.softmax(x, axis=0),
    "cumsum": lambda x: np.cumsum(x, axis=0),
    "sort": lambda x: np.sort(x, axis=0),
    "product": lambda x: x @ x.T @ x,
    "pairs": lambda x: np.min(x[:, None] - x[None] + 0 * x[:, None], axis=1),
    "attention over rows": lambda x: fl.ops.softmax(x @ x.T, axis=1) @ x,
    "diff": lambda x: np.concatenate([x[:1], np.diff(x, axis=0)]),
    "merged": lambda x: np.cumsum(x.ravel()).reshape(x.shape),
    "rolled": lambda x: x + np.roll(x, 1, axis=0),
    "einsum": lambda x: np.einsum("nd,md->nd", x, x),
    "a row for all": lambda x: x * x[0],
    "by the first": lambda x: np.where(x[0] > 0, x, 0),
}
MOVE = {
    "roll": lambda x: np.roll(x, 1, axis=0),
    "flip": lambda x: x[::-1] * 2,
    "first": lambda x: np.broadcast_to(x[:1], x.shape),
    "picked": lambda x: x[[0, 0, 1, 2][: x.shape[0]]],
    "turned": lambda x: x.reshape(x.shape[::-1]).T,
}
COUNT = {
    "count": lambda x: x * x.shape[0],
    "share": lambda x: x / len(x),
    "slope of a mean": lambda x: fl.grad(lambda x: np.mean(x * x))(x),
}
APART = {
    "axis 1": lambda x: x - np.mean(x, axis=1, keepdims=True),
    "softmax": lambda x: fl.ops.softmax(x, axis=-1),
    "sort": lambda x: np.sort(x, axis=1),
    "cumsum": lambda x: np.cumsum(x, axis=-1),
    "closed over": lambda x: x - MEAN,
    "product": lambda x: np.tanh(x @ TABLE.T) @ TABLE,
    "attention": lambda x: (lambda q: fl.ops.softmax(q @ q.mT, axis=-1) @ q)(x.reshape(-1, 2, 2)).reshape(x.shape),
    "merged and laid back": lambda x: np.sum(np.tanh(x.reshape(-1, 2) @ np.ones((2, 3))).reshape(-1, 2, 3), axis=2),
    "turned and back": lambda x: (np.flip(x.T, axis=0) * 2).T,
    "columns first": lambda x: np.mean(np.stack([x, x * x]), axis=0),
    "one by one": lambda x: np.concatenate([np.tanh(x[i : i + 1]) for i in range(x.shape[0])]),
    "split": lambda x: np.concatenate([part + 1 for part in np.split(x, x.shape[0])]),
    "columns": lambda x: np.hstack([x[:, ::-1], x[:, :2]]),
    "einsum": lambda x: np.einsum("ni,ij,nj->nj", x, TABLE[:4], x),
    "table": lambda x: fl.ops.gather(TABLE, np.clip(x[:, 0], 0, 5).astype(int), axis=0),
    "greatest": lambda x: np.take_along_axis(x, np.argmax(x, axis=1)[:, None], 1),
    "distances": lambda x: np.sum((x[:, None] - TABLE) ** 2, axis=-1),
    "twice": lambda x: np.repeat(x, 2, axis=1),
    "pad": lambda x: np.pad(x, ((0, 0), (1, 1))),
    "norm": lambda x: x / (np.linalg.norm(x, axis=1, keepdims=True) + 1),
    "slope of a sum": lambda x: fl.grad(lambda x: np.sum(x**3))(x),
    "positions": lambda x: np.take(x.ravel(), np.arange(x.shape[0]) * 4 + np.argmax(x, axis=1))[:, None],
    "constant": lambda x: np.zeros_like(x) + 1,
    "outer": lambda x: (x[:, :, None] * x[:, None]).reshape(-1, 16),
}


@pytest.mark.parametrize("name", [*MIX, *MOVE, *COUNT])
def test_rows_that_meet_are_refused_with_layer_and_line(name):
    layer = {**MIX, **MOVE, **COUNT}[name]
    whats = (
        "mixes the rows of a batch",
        "gives a row of the batch the numbers of another",
        "computes with the number of rows",
    )
    what = next(what for what, names in zip(whats, (MIX, MOVE, COUNT), strict=True) if name in names)
    network = nn.Sequential(nn.Dense(4), "relu", layer, nn.Dense(1))
    with pytest.raises(
        ArgumentError, match=rf"layer 2 .*{what}(.|\n)*at test_apart.py:{layer.__code__.co_firstlineno}"
    ):
        nn.Model.init(network, 4)


@pytest.mark.parametrize("name", APART)
def test_rows_that_stay_apart_are_let_through_and_are(name):
    model = nn.Model.init(nn.Sequential(nn.Dense(4), APART[name], nn.Dense(2)), 4, dtype="float64")
    x = RNG.standard_normal((7, 4))
    whole = model.network.apply(model.params, x)
    for i in range(len(x)):
        np.testing.assert_allclose(model.network.apply(model.params, x[i : i + 1])[0], whole[i], rtol=1e-12, atol=1e-14)


def test_layers_of_a_users_own_and_ensembles_are_looked_into():
    class Centred:
        def init(self, rng, shape, dtype):
            return {"scale": np.ones(shape, dtype)}, shape

        def apply(self, params, x):
            return (x - np.mean(x, axis=0)) * params["scale"]

    with pytest.raises(ArgumentError, match=r"layer 1 Centred\S*: mixes the rows of a batch"):
        nn.Model.init([nn.Dense(3), Centred()], 4)
    with pytest.raises(ArgumentError, match=r"Centred\S*: mixes the rows"):
        nn.Model.init(Centred(), 4)
    members = nn.Sequential(nn.Dense(2)), nn.mlp((3,), 2, "tanh")
    nn.Model.init(nn.Ensemble(members, link="softmax"), 4, loss="cross_entropy")
    with pytest.raises(ArgumentError, match="mixes the rows"):
        nn.Model.init(nn.Ensemble((members[0], nn.Sequential(Centred(), nn.Dense(2)))), 4)


def test_a_fit_is_refused_before_it_trains():
    x, y = RNG.standard_normal((20, 4)), RNG.standard_normal(20)
    with pytest.raises(ArgumentError, match="mixes the rows of a batch"):
        fl.fit([lambda x: x - np.mean(x, axis=0), nn.Dense(1)], (x, y), loss="squared_error")


def test_whatever_holds_code_of_a_users_is_looked_at():
    class Mine(nn.Dense):
        pass

    for inner in (nn.Function(np.tanh), Mine(4)):
        assert not is_known(inner)
        assert not is_known(nn.Sequential(nn.Dense(4), nn.Residual(inner)))
        assert not is_known(nn.Ensemble((nn.Dense(4), nn.Sequential(inner))))
