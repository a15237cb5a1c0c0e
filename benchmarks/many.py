"""A hundred small networks: our race of them against PyTorch, which trains one after the other."""

from __future__ import annotations

from importlib.util import find_spec
from statistics import median

from benchmarks.measurement import Found, Measure, timed
from benchmarks.processes import apart
from fallline.bench.cases import named, problem
from fallline.bench.markdown import on, seconds, times

NETWORK = "30-64-64-2 batch 32"
NETWORKS, EPOCHS, ROUNDS = 100, 10, 3
MEASURED = 10  # by PyTorch, of the hundred
FLOOR = 20.0


def ours(threads: int, networks: int = NETWORKS, epochs: int = EPOCHS) -> float:
    """Seconds of `fl.race` over so many seeds, from the layers to the result, in a process that has raced before."""
    import fallline as fl
    from fallline.bench.ours import network, settings

    case = named(NETWORK)
    given = problem(case)

    def race(count: int) -> None:
        options = {**settings(case), "loss": case.loss, "epochs": epochs, "threads": threads}
        fl.race(network(case), (given.x, given.y), variants=[{"seed": i} for i in range(count)], **options)

    race(2)
    return timed(lambda: race(networks))


def theirs(threads: int, networks: int = MEASURED, epochs: int = EPOCHS) -> float:
    """Seconds of one network's training in PyTorch, the mean of a few, in a process that has trained before."""
    import torch

    from fallline.bench.peers import TorchEager

    case = named(NETWORK)
    given = problem(case)

    def train() -> float:
        peer = TorchEager(given, threads)
        peer.optimizer = torch.optim.Adam(peer.model.parameters(), lr=case.learning_rate, fused=True)
        x, y = torch.from_numpy(given.x), torch.from_numpy(given.y)
        for _ in range(epochs):
            total = torch.zeros(())
            for rows in torch.randperm(len(x)).split(case.batch):
                total += peer.step(x[rows], y[rows])
        return float(total)

    train()
    return timed(lambda: [train() for _ in range(networks)]) / networks


def race_of_many(threads: int) -> Found:
    if not find_spec("torch"):
        took = median(apart(ours, threads, threads=threads)[0] for _ in range(ROUNDS))
        return Found([("Fallline, raced", on(threads), seconds(took), seconds(took / NETWORKS), "1.00x", "", "")])
    rounds = []
    for _ in range(ROUNDS):
        mine = apart(ours, threads, threads=threads)[0] / NETWORKS
        rounds.append((mine, {count: apart(theirs, count, threads=count)[0] for count in {1, threads}}))
    count = min({1, threads}, key=lambda count: median(peer[count] for _, peer in rounds))
    mine, peer = median(mine for mine, _ in rounds), median(peer[count] for _, peer in rounds)
    ratio = median(peer[count] / mine for mine, peer in rounds)
    met = ratio >= FLOOR
    rows = [
        ("Fallline, raced", on(threads), seconds(NETWORKS * mine), seconds(mine), times(1), "", ""),
        ("PyTorch, one after the other", on(count), seconds(NETWORKS * peer), seconds(peer), times(ratio),
         f"{FLOOR:g}", "met" if met else "SHORT"),
    ]  # fmt: skip
    return Found(rows, [] if met else [f"{NETWORKS} networks raced: {times(ratio)} PyTorch, floor {FLOOR:g}"])


MEASURES: tuple[Measure, ...] = (
    Measure(
        f"{NETWORKS} networks raced",
        f"{NETWORK}, Adam, {EPOCHS} epochs of 544 rows, from {NETWORKS} seeds. Fallline trains all in one `fl.race`; "
        f"PyTorch trains {MEASURED} one after the other, and its time for all is {NETWORKS // MEASURED} times theirs; "
        f"on one thread where that is quicker. Both make the networks and shuffle the rows in that time. Median of "
        f"{ROUNDS} rounds, in turn.",
        ("", "on", f"all {NETWORKS}", "each", "times ours", "floor", "verdict"),
        race_of_many,
    ),
)
