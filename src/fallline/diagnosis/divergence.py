"""Diverged runs: the first value that was not finite, found by going through the training once more up to that step.

The step before and the step itself are run node by node in plain NumPy, and the first node whose value is not finite
while all that it was computed from is finite names the op, the layer, the row and the element.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fallline.arrays import Array
from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.settings_to_try import as_typed
from fallline.errors import FalllineError
from fallline.feeds.order import Order
from fallline.graph.node import CONSTANT, Graph, Node
from fallline.insight.opened import Opened, Part
from fallline.jobs.job import Job
from fallline.jobs.named import Rows
from fallline.optim import Minimiser
from fallline.program import lanes, reference
from fallline.runs import checkpoint, folder
from fallline.runs.events import Diverged
from fallline.steps.step import training_step
from fallline.training.feed import feed_of
from fallline.training.stepper import BatchStepper, first_state, step_inputs
from fallline.typesetting import number

# Seconds of training that are gone through once more without being asked for.
SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class FirstBad:
    """The first value that was not finite.

    step: from 0. op, layer, line: of the node. value: NaN or infinity. place, shape: of the element and the array;
    count: elements of it that are not finite. row: as the rows were given, where the element belongs to one. inputs:
    the values that it was computed from, in text. given: whose value it is, where it was given and not computed.
    """

    step: int
    op: str
    layer: str
    backward: bool
    line: str
    value: float
    place: tuple[int, ...]
    shape: tuple[int, ...]
    count: int
    row: int | None
    inputs: tuple[str, ...]
    given: str


def diverged(case: Case) -> Finding:
    """The step at which the loss stopped being finite, and the first value that was not."""
    run = case.part.run or case.opened.run
    event = run.diverged
    assert event is not None
    evidence = [
        Evidence("last finite loss", event.last_loss, threshold=f"step {event.step - 1}" if event.step else "none"),
        Evidence("learning rate at that step", event.learning_rate),
    ]
    says = f"The loss stopped being finite at step {event.step}; the parameters of the last finite loss are kept."
    advice = " ".join(event.advice.split()).removeprefix("try: ")
    # Of a run from the command line the advice is a command.
    shorter = as_typed(case, "learning_rate", event.learning_rate / 10)
    clipped = [as_typed(case, "clip_norm", 1.0)] if "clip_norm" in advice else []
    tries = [shorter, *clipped] if shorter and "learning_rate=" in advice else [advice]
    try:
        found, why = _looked_for(case, event)
    except FalllineError as error:
        found, why = None, " ".join(str(error).split())
    if found is None:
        return Finding("diverged", says, tuple(evidence), unchecked=(f"the first value that was not finite: {why}",),
                       tries=tuple(tries), part=case.part.name)  # fmt: skip
    says = f"The loss stopped being finite at step {event.step}. {_told(found)}"
    if found.op in UNDEFINED and not found.given:
        tries.insert(0, UNDEFINED[found.op])
    evidence += [Evidence("first value that is not finite", str(found.value), threshold=f"step {found.step}")]
    evidence += [Evidence("op", found.op, threshold="of the backward pass" if found.backward else "")]
    if found.layer:
        evidence.append(Evidence("part of the step", found.layer))
    if found.line:
        evidence.append(Evidence("source line", found.line))
    if found.place:
        evidence.append(
            Evidence(
                "element",
                str(list(found.place)),
                threshold=f"of {list(found.shape)}, of which {found.count:,} are not finite",
            )
        )
    if found.row is not None:
        evidence.append(Evidence("row", found.row, threshold="counted from 0, as the rows were given"))
    evidence += [Evidence("computed from", one) for one in found.inputs]
    return Finding("diverged", says, tuple(evidence), tries=tuple(tries), part=case.part.name)


def _told(found: FirstBad) -> str:
    what = "infinite" if math.isinf(found.value) else "no number"
    if found.given:
        return f"The first value that is {what} is a given one: {found.given}."
    where = f" in {found.layer}" if found.layer else ""
    way = "in the backward pass " if found.backward else ""
    few = found.shape and found.count <= math.prod(found.shape) / 2
    row = f", for row {found.row}" if found.row is not None and few else ""
    op = OPS.get(found.op, found.op)
    return f"The first value that is {what} comes {way}from {op}{where}{row}; all that it was made from is finite."


def _looked_for(case: Case, event: Diverged) -> tuple[FirstBad | None, str]:
    """The first bad value; or None, and why not."""
    part, job = case.part, case.part.job
    if job is None or not isinstance(job.train, Rows):
        return None, "the training rows are not there"
    if isinstance(job.optimizer, Minimiser):
        return None, f"{job.optimizer.name} tries places that are not finite by itself, and has none at its first one"
    start = _start(case.opened, part, event.step)
    if start is None:
        return None, "the first parameters are not known, and no checkpoint is left"
    steps, rate = event.step - start[1], _steps_per_second(case)
    seconds = steps / rate if rate else 0.0
    if seconds > SECONDS and not case.thorough:
        return None, (
            f"{steps:,} steps have to be made once more, about {seconds:.0f} s\n  try: fl.diagnose(run, thorough=True)"
        )
    found = _found(case.opened, part, job, start, event.step)
    return found, "" if found is not None else "plain NumPy, in the same precision, finds all values finite"


def _steps_per_second(case: Case) -> float:
    ended = (case.part.run or case.opened.run).ended
    return 0.0 if ended is None or not math.isfinite(ended.steps_per_second) else ended.steps_per_second


# Ops whose name says little to those who have not read it.
OPS = {"contract": "a matrix product (contract)", "fold": "a sum"}
# What helps where a function has no value, whatever the learning rate is.
UNDEFINED = {
    "log": "keep what is under the logarithm above 0: np.log(p + 1e-7); or loss='binary_cross_entropy' on scores",
    "sqrt": "keep what is under the root above 0: np.sqrt(v + 1e-7), whose derivative is finite too",
    "exp": "exp of more than 88.7 overflows float32: np.logaddexp does not; or a loss of fl.nn.LOSSES",
    "divide": "keep the divisor away from 0: a / (b + 1e-7)",
}
Start = tuple[Mapping[str, Array] | None, int, int, int]


def _start(opened: Opened, part: Part, step: int) -> Start | None:
    """A state to begin from: its arrays, step, epoch and step within it; the newest checkpoint before the step."""
    run = part.run or opened.run
    if run.folder is not None and (run.folder / folder.CHECKPOINTS).is_dir():
        kept, damaged = checkpoint.newest(run.folder / folder.CHECKPOINTS)
        if kept is not None and not damaged and int(kept.arrays["step"]) < step:
            return kept.arrays, int(kept.arrays["step"]), kept.values["epoch"], kept.values["epoch_step"]
    return (None, 0, 0, 0) if opened.replays else None


def _found(opened: Opened, part: Part, job: Job, start: Start, step: int) -> FirstBad | None:
    """Steps up to the one before, then that one and the next node by node."""
    feed = feed_of(job.train, job.batch_size, job.epochs, job.seed, job.shuffle, job.steps)
    assert isinstance(job.train, Rows)
    order = Order(job.train.index, job.seed, job.shuffle)
    arrays, done, epoch, epoch_step = start
    before = max(step - 1, done)
    if before > done:
        stepper = BatchStepper(job.model, job.optimizer, feed, job.batch_size, job.settings.threads)
        if arrays is not None:
            stepper.restore(arrays, epoch, epoch_step)
        stepper.go_to(before)
        lanes.rest()
        state, epoch, epoch_step = stepper.state, stepper.epoch, stepper.epoch_step
        if stepper.epoch_is_done:
            epoch, epoch_step = epoch + 1, 0
    else:
        state = first_state(job.model, job.optimizer, "weight" in feed.arrays)
        for name, array in (arrays or {}).items():
            if name in state:
                state[name][...] = array
    inputs = step_inputs(job.optimizer, feed)
    for number_ in (before, before + 1):
        if feed.epoch_rows is not None and epoch_step * job.batch_size >= feed.epoch_rows:
            epoch, epoch_step = epoch + 1, 0
        if epoch >= job.epochs:
            return _bad_theta(number_, state["theta"], part)
        first = epoch_step * job.batch_size
        cursor = feed.place(epoch, first)
        assert cursor is not None and feed.epoch_rows is not None
        state["cursor"][...] = cursor
        size = min(job.batch_size, feed.epoch_rows - first)
        whole = feed.epoch_rows == job.batch_size and feed.is_whole
        graph = training_step(job.model, job.optimizer, state, inputs, size, whole)
        given = [*state.values(), *inputs.values()]
        local = np.arange(size) if whole else np.array(feed.order[cursor : cursor + size])
        at = order.place(epoch) + first
        rows = local, order.buffer[at : at + size]
        bad, values = _first_bad(graph, given)
        if bad is not None:
            return _described(opened, number_, bad, values, rows, [*state, *inputs], graph)
        outputs = [values[node] for node in graph.outputs]
        for name, value in zip(state, outputs, strict=False):
            state[name][...] = value
        epoch_step += 1
    return None


def _bad_theta(step: int, theta: Array, part: Part) -> FirstBad | None:
    if np.isfinite(theta).all():
        return None
    place = int(np.argmin(np.isfinite(theta)))
    path = next(slot.path for _, slot in part.model.layout.items() if slot.start <= place < slot.stop)
    return FirstBad(step, "the update", path, False, "", float(theta[place]), (place,), theta.shape,
                    int((~np.isfinite(theta)).sum()), None, (), "")  # fmt: skip


def _first_bad(graph: Graph, given: list[Array]) -> tuple[Node | None, dict[Node, Array]]:
    """The node at which values stop being finite on the way to an output that is not; and the values of all nodes.

    Infinities that lead nowhere, such as the logarithm of 0 that `where` does not choose, are no accident, and neither
    are those that a graph holds as constants, as masks do.
    """
    values: dict[Node, Array] = dict(zip(graph.inputs, given, strict=True))
    order = {node: place for place, node in enumerate((*graph.inputs, *graph.nodes()))}
    for node in graph.nodes():
        if node not in values:
            values[node] = reference.compute(node, [values[one] for one in node.inputs])

    def is_bad(node: Node) -> bool:
        return node.op is not CONSTANT and values[node].dtype.kind == "f" and not np.isfinite(values[node]).all()

    left = [node for node in graph.outputs if is_bad(node)]
    seen, roots = set(left), list[Node]()
    while left:
        node = left.pop()
        before = [one for one in node.inputs if is_bad(one)]
        if not before:
            roots.append(node)
        left += [one for one in before if one not in seen]
        seen.update(before)
    return min(roots, key=lambda one: order[one], default=None), values


def _described(
    opened: Opened,
    step: int,
    node: Node,
    values: dict[Node, Array],
    rows: tuple[Array, Array],
    names: list[str],
    graph: Graph,
) -> FirstBad:
    """rows: those of the batch, by their places in the arrays that the step reads, and by their own numbers."""
    value = np.asarray(values[node])
    bad: Array = np.logical_not(np.isfinite(value))
    count, given, row = int(bad.sum()), "", None
    places, numbers = rows
    name = next((name for name, one in zip(names, graph.inputs, strict=True) if one is node), None)
    if name is not None:
        given = _name_of_input(name)
        if given.startswith("the data"):
            bad = np.take(bad, places, axis=0)  # no other rows were read
            count = int(bad.sum())
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape)) if bad.ndim else ()
    of_rows = given.startswith("the data") or not given
    if of_rows and bad.ndim and len(bad) == len(numbers) > 1:
        row = int(opened.given_rows(numbers[place[0] : place[0] + 1])[0])
    first = float(value[(places[place[0]], *place[1:])] if given.startswith("the data") else value[place])
    inputs = []
    for one in node.inputs:
        array = values[one]
        if array.shape == value.shape and place:
            inputs.append(f"{number(array[place])}")
        elif array.size == 1:
            inputs.append(number(array.reshape(())[()]))
        elif array.dtype.kind == "f":
            inputs.append(f"{list(array.shape)}, from {number(array.min())} to {number(array.max())}")
    where = node.where
    line = "" if not where.line or "fallline" in where.file else str(where)
    return FirstBad(step, node.op.name, where.part, where.backward, line, first, place, bad.shape,
                    count, row, tuple(inputs), given)  # fmt: skip


def _name_of_input(name: str) -> str:
    if name == "theta":
        return "the parameters"
    if name in ("y", "weight", "x") or name.startswith("x."):
        return f"the data, {name}"
    return f"the step's {name}"


__all__ = ["FirstBad", "diverged"]
