"""Profiles of a run: they never touch it, account for every instruction once, and know each layer's operations."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.errors import ArgumentError
from fallline.feeds.order import Order
from fallline.graph.op import Kind
from fallline.jobs.job import prepare
from fallline.jobs.settings import Settings
from fallline.optim import Adam, GradientDescent
from fallline.program.profile import Peak, Timed
from fallline.training import profiling
from fallline.training.feed import Resident
from fallline.training.stepper import first_state, step_graphs

D, H, K, BATCH = 6, 5, 3, 8
NETWORK = fl.nn.Sequential(fl.nn.Dense(H), fl.nn.Tanh(), fl.nn.Dense(K))
SETTINGS: dict[str, Any] = {"loss": "cross_entropy", "batch_size": BATCH, "epochs": 3}


@pytest.fixture(scope="module", autouse=True)
def one_peak() -> Any:
    """Measuring the machine once is enough here."""
    with pytest.MonkeyPatch.context() as patch:
        peak = Peak(1e11, ((1000, 1e11), (10**8, 1e10)))
        patch.setattr(profiling, "measure_peak", lambda dtype, seconds: peak)
        yield peak


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((50, D)), np.arange(50) % K


@pytest.fixture(scope="module")
def run(data: Any) -> fl.Run:
    return fl.fit(NETWORK, data, **SETTINGS)


@pytest.fixture(scope="module")
def found(run: fl.Run) -> profiling.Profile:
    return run.profile(seconds=0.03)


def test_a_profile_leaves_the_run_as_it_is(data: Any, arithmetic: Any) -> None:
    training = fl.train(NETWORK, data, **SETTINGS)
    for _ in range(3):
        next(training)
    before = training.run
    theta, history = before.model.theta.tobytes(), arithmetic(before.history)
    before.profile(seconds=0.01)
    training.run.profile(seconds=0.01)
    assert (before.model.theta.tobytes(), arithmetic(before.history)) == (theta, history)
    for _ in training:
        pass
    assert training.run.model.theta.tobytes() == fl.fit(NETWORK, data, **SETTINGS).model.theta.tobytes()


def test_layers_and_kinds_both_account_for_every_instruction_once(found: profiling.Profile) -> None:
    assert found.seconds > 0
    assert found.step_seconds > 0
    assert found.lanes == 1
    for shares in (found.layers, found.kinds):
        assert sum(share.seconds for share in shares) == pytest.approx(found.seconds)
        assert sum(share.instructions for share in shares) == len(found.instructions)
        assert sum(share.flops for share in shares) == sum(one.flops for one in found.instructions)
        assert sum(share.bytes for share in shares) == sum(one.bytes for one in found.instructions)
    assert [share.seconds for share in found.kinds] == sorted((s.seconds for s in found.kinds), reverse=True)


def test_every_instruction_belongs_to_a_layer_or_to_what_stands_around_them(found: profiling.Profile) -> None:
    around = {"batch", "loss", "optimizer", "counters"}
    assert {share.name for share in found.layers} - around == {"0 Dense(5)", "1 Tanh()", "2 Dense(3)"}
    assert around <= {share.name for share in found.layers}
    names = [share.name for share in found.layers if share.name not in around]
    assert names == sorted(names)


def test_a_dense_layer_multiplies_once_forward_and_for_each_of_its_gradients(found: profiling.Profile) -> None:
    products = [one for one in found.instructions if one.kind == "product"]

    def flops(part: str, backward: bool) -> list[int]:
        where = [one.instruction.where for one in products]
        return sorted(one.flops for one, w in zip(products, where) if (w.part, w.backward) == (part, backward))

    whole, last = 2 * BATCH * D * H, 2 * BATCH * H * K
    assert flops("0 Dense(5)", False) == [whole]
    assert flops("2 Dense(3)", False) == [last]
    assert flops("0 Dense(5)", True)[-1:] == [whole]  # nobody asks for the gradient of x
    assert flops("0 Dense(5)", True).count(whole) == 1
    assert flops("2 Dense(3)", True).count(last) == 2


def test_a_profile_reads_as_two_tables() -> None:
    def timed(part: str, kind: str, seconds: float, backward: bool = False) -> Timed:
        from fallline.graph.where import Where
        from fallline.program.instructions import Instruction
        from fallline.program.strides import Ref

        vector = Ref(1, 0, (1000,), (1,), np.dtype(np.float32))
        where = Where("file.py", 1, part, backward)
        return Timed(Instruction(kind, "", (vector, vector), 1, (), kind == "tanh", where), seconds)

    peak = Peak(2e11, ((1000, 1e11), (10**8, 1e10)))
    made = profiling.Profile(
        (timed("0 Dense(5)", "copy", 2e-6), timed("", "tanh", 1e-6), timed("0 Dense(5)", "tanh", 1e-6, True)),
        peak, lanes=2, step_seconds=3e-6,
    )  # fmt: skip
    head, machine, _, *tables = str(made).splitlines()
    assert head == "a step takes 3 us on 2 lanes; one instruction at a time, 4 us"
    assert machine == "peak of one core: 200 GFLOP/s in products, 100 GB/s in cache, 10 GB/s in memory"
    assert [line.split() for line in tables[:3]] == [
        ["part", "forward", "backward", "share", "MFLOP", "MB", "GFLOP/s", "GB/s", "peak"],
        ["0", "Dense(5)", "2", "us", "1", "us", "75.0%", "0.001", "0.016", "0.3", "5.3", "6%"],
        ["network", "1", "us", "25.0%", "0.001", "0.008", "1.0", "8.0", "10%"],
    ]
    assert [line.split()[0] for line in tables[4:]] == ["kind", "copy", "elementwise"]
    assert max(map(len, str(made).splitlines())) <= 80


@pytest.mark.parametrize("calm", [True, False])
def test_no_share_above_the_peak_is_shown_as_a_number(run: fl.Run, calm: bool, monkeypatch: Any) -> None:
    # A busy machine: the first peak is a ten thousandth of what instructions reach; a second look may find it quiet.
    busy, quiet = (Peak(rate, ((1000, rate), (10**8, rate))) for rate in (1e4, 1e15))
    answers = iter([busy, quiet if calm else busy])
    looks: list[Peak] = []

    def measured(dtype: Any, seconds: float) -> Peak:
        looks.append(next(answers, looks[-1] if looks else busy))
        return looks[-1]

    monkeypatch.setattr(profiling, "measure_peak", measured)
    found = run.profile(seconds=0.01)
    shares = [line.split()[-1] for line in str(found).splitlines() if line.startswith("  ")]
    assert all(text in ("peak", ">100%") or float(text.rstrip("%")) <= 100 for text in shares)
    assert (">100%: the machine did other work" in str(found)) is (not calm)
    assert len(looks) == (2 if calm else 1 + profiling.AGAIN)


def test_a_run_from_a_folder_is_profiled_on_data_that_are_given(
    data: Any, run: fl.Run, found: profiling.Profile, tmp_path: Path
) -> None:
    loaded = fl.load_run(run.save(tmp_path / "run"))
    with pytest.raises(ArgumentError, match=r"try: run.profile\(\(x, y\)\)"):
        loaded.profile()
    again = loaded.profile(data, seconds=0.01)
    assert [one.instruction.name for one in again.instructions] == [one.instruction.name for one in found.instructions]
    assert [one.flops for one in again.instructions] == [one.flops for one in found.instructions]


def test_an_optimizer_that_no_file_holds_is_reported(data: Any, tmp_path: Path) -> None:
    own = fl.fit(NETWORK, data, optimizer=GradientDescent(lambda step: 0.1 / (step + 1)), **SETTINGS)
    assert own.profile(seconds=0.01).instructions
    with pytest.raises(ArgumentError, match="no file can hold"):
        own.profile(data)


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), "long"])
def test_seconds_have_to_be_more_than_none(run: fl.Run, seconds: Any) -> None:
    with pytest.raises(ArgumentError, match="seconds has to be"):
        run.profile(seconds=seconds)


def test_a_pickled_run_leaves_its_data_behind(run: fl.Run) -> None:
    again = pickle.loads(pickle.dumps(run))
    assert again.job is None
    assert again.model.theta.tobytes() == run.model.theta.tobytes()
    assert len(pickle.dumps(run)) < 20_000


@pytest.mark.parametrize("settings", [{"batch_size": "full"}, {"batch_size": 64}, {"dtype": "float64"}, {"threads": 2}])
def test_any_kind_of_training_has_a_profile(data: Any, settings: dict[str, Any]) -> None:
    run = fl.fit(NETWORK, data, **{**SETTINGS, **settings})
    assert "optimizer" in {share.name for share in run.profile(seconds=0.01).layers}


def test_nodes_of_a_step_name_the_users_line_and_their_part(data: Any) -> None:
    job = prepare(NETWORK, data, Settings(loss="cross_entropy", optimizer=Adam(0.1, clip_norm=1.0)))
    state = first_state(job.model, job.optimizer)
    graph = next(step_graphs(job.model, job.optimizer, state, Resident(job.train.data, Order(job.train.index, 0)), 10))
    made = [node for node in graph.nodes() if node.op.kind not in (Kind.SOURCE, Kind.VIEW)]
    assert {node.where.file for node in made} == {__file__}
    assert all(node.where.part for node in made)


def test_a_network_that_asks_how_far_the_training_is_has_a_profile_and_a_plan() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    network = fl.nn.Sequential(fl.nn.Dense(4), fl.nn.Dropout(0.2, fades=True), fl.nn.Dense(1))
    run = fl.fit(network, (x, x[:, 0]), loss="squared_error", epochs=1)
    assert "Dropout" in str(run.profile(seconds=0.01))
    assert fl.plan(network, (x, x[:, 0]), loss="squared_error").total > 0
