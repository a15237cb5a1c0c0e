"""Plans of a training before it begins: bytes by purpose, instructions, lanes, and the estimated time of a step.

Asks the functions that training is made with. Allocates none of it, but for the state before the first step and what
has to be made of the data.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import record, takes
from fallline.errors import ArgumentError
from fallline.graph.node import Graph
from fallline.jobs.extent import BATCH
from fallline.jobs.job import Job, from_shape, prepare
from fallline.jobs.named import targets_of_rows
from fallline.jobs.settings import Settings
from fallline.jobs.stopping import EarlyStopping
from fallline.jobs.streamed import Streamed
from fallline.nn.data_parts import is_stream, parts_of
from fallline.nn.forms import forms_of, sizes
from fallline.nn.intake import Problems
from fallline.nn.loss import Loss
from fallline.nn.model import Model
from fallline.optim import Minimiser, Optimizer
from fallline.program.instructions import Lowered
from fallline.program.memory_plan import MemoryPlan, memory_plan
from fallline.program.step_loop import lowered
from fallline.source import PARTS
from fallline.steps.gradient_step import LOSS, found_at
from fallline.steps.step import GRADIENT, OPTIMIZER
from fallline.stored import Stored
from fallline.training.evaluation import PART_ROWS, block_graphs, of_outputs, validation_feed
from fallline.training.feed import feed_of, gathered_feed
from fallline.training.minimise import evaluation
from fallline.training.stepper import first_state, step_graphs
from fallline.training.units import in_bytes, in_seconds

# The purposes of memory, in the order of the report. A byte that serves several purposes in turn counts for the first.
PURPOSES: Mapping[str, str] = {
    "parameters": "theta",
    "gradient": "as long as theta; none where it is added to theta at once",
    "moments": "the optimizer's arrays",
    "activations": "values of the forward and the backward pass",
    "scratch": "blocks that matrix products pack, for every lane",
    "constants": "known before the first step, such as where weight decay pulls",
    "last batch": "gradient to constants once more, for the rows left at the end of an epoch",
    "validation": "the same for validation passes",
    "copies": "of the state, to go back to, and of theta for the run and the best epoch",
    "order": "row numbers, those of the next epochs included",
    "window": "rows that are read ahead, where data are not read whole",
    "data": "x and y where they cannot be read as they were given",
}


@record
@dataclass(frozen=True, slots=True)
class Plan:
    """The memory, instructions, lanes and time that a training will take.

    bytes: by purpose, the keys of PURPOSES. parameters: how many there are. rows: trained on, None where
    only the end of an iterable tells. instructions: of a step.
    lanes: cores that a step runs on. microseconds: about how long a step takes, as `fallline bench --calibrate` found
    this machine to be.
    """

    bytes: Mapping[str, int]
    parameters: int
    dtype: str
    rows: int | None
    batch_size: int
    instructions: int
    lanes: int
    microseconds: float

    @property
    def total(self) -> int:
        """All bytes, without the interpreter, its libraries and the data as they were given."""
        return sum(self.bytes.values())

    def __str__(self) -> str:
        lanes = "one lane" if self.lanes == 1 else f"{self.lanes} lanes"
        rows = "rows of a stream" if self.rows is None else f"{self.rows:,} rows"
        lines = [
            f"{self.parameters:,} parameters in {self.dtype}, {rows}, batch {self.batch_size:,}",
            f"a step: {self.instructions} instructions on {lanes}, about {in_seconds(self.microseconds * 1e-6)}",
            *(f"  {name:<12}{in_bytes(n):>12}  {PURPOSES[name]}" for name, n in self.bytes.items() if n),
            f"  {'total':<12}{in_bytes(self.total):>12}",
        ]
        return "\n".join(lines)


@takes()
def plan(
    model: Any,
    data: Any = None,
    *,
    loss: str | Loss | Any = None,
    optimizer: str | Optimizer = "adam",
    batch_size: int | str | None = "auto",
    validation: Any = None,
    early_stopping: EarlyStopping | int | bool | None = None,
    metrics: Any = None,
    shuffle: bool = True,
    dtype: Any = None,
    threads: int | None = None,
    gradient_checkpointing: bool = False,
) -> Plan:
    """Estimate of `train` with the same arguments: memory by purpose, instructions, lanes, time.

    model, and all that is not named here: as for `train`.
    data: (x, y), or the shape that x would have, (N, ...), in a dict where it has several inputs; then validation is a
        share of the rows or None. A Model knows the shape of its rows, so plan(model, batch_size=128) and
        plan(model, 128) say enough: one batch of rows.
    Memory of the interpreter, of libraries, and of the data as they are given is not counted.
    Errors: as for `train`. ArgumentError for the shape of data for a function of your own as the loss.
    Example: print(fl.plan(nn.mlp((512, 512), 10), (60_000, 784), loss="cross_entropy", batch_size=128))
    """
    if isinstance(model, Model) and (data is None or isinstance(data, int | np.integer)):
        rows = (BATCH if batch_size == "auto" else batch_size) if data is None else data
        if isinstance(rows, int | np.integer) and rows > 0:
            forms = forms_of(model.row_shape, {}, model.dtype)
            data, batch_size = tree.map(lambda form: (int(rows), *form.shape), forms), int(rows)
    given = {name: value for name, value in locals().items() if name not in ("rows", "forms")}
    settings = Settings(**{name: value for name, value in given.items() if name not in ("model", "data")})
    if _is_shape(data):
        return plan_of(from_shape(model, data, settings))
    if is_stream(data):  # how long an epoch of it is, no plan has to know
        if hasattr(data, "__next__"):
            raise ArgumentError("data can be gone through once, and a plan would use up its first batch\n"
                                "  try: a function that makes it, such as data=lambda: batches()")  # fmt: skip
        settings = replace(settings, epochs=1)
    job = prepare(model, data, settings)
    return plan_of(job, _made_of((job.train, data), (job.validation, validation)))


def _is_shape(data: Any) -> bool:
    if isinstance(data, dict):
        return bool(data) and all(isinstance(one, tuple | dict) and _is_shape(one) for one in data.values())
    sizes = data if isinstance(data, tuple | list) else (data,)
    return bool(sizes) and all(isinstance(n, int | np.integer) for n in sizes)


def _made_of(*pairs: tuple[Any, Any]) -> int:
    """Bytes of the rows' arrays that are not the memory of the given ones; a part of the given rows adds none."""
    found: dict[int, int] = {}
    for rows, given in pairs:
        if rows is None:
            continue
        parts = tree.leaves(dict(zip(PARTS, parts_of(given, "data", Problems()))))
        for array in () if isinstance(rows, Streamed) else rows.data.values():
            if isinstance(array, Stored):
                continue
            own = not any(isinstance(part, np.ndarray) and np.may_share_memory(array, part) for part in parts)
            found[id(array)] = min(found.get(id(array), array.nbytes), array.nbytes if own else 0)
    return sum(found.values())


def plan_of(job: Job, made_of_data: int = 0) -> Plan:
    """The plan of a training of this job."""
    model, feed = job.model, feed_of(job.train, job.batch_size, job.epochs, job.seed, job.shuffle, job.steps)
    state = first_state(model, job.optimizer, "weight" in feed.arrays)
    if isinstance(job.optimizer, Minimiser):
        found, given = found_at(model, "weight" in feed.arrays), feed
        feed = gathered_feed(given, read=False)
        made_of_data += 0 if feed is given else sum(array.nbytes for array in feed.arrays.values())
        graphs: Iterable[Graph] = [evaluation(job, feed, found, state["theta"])[0]()]
        count, watch = len(found), LOSS
    else:
        graphs = step_graphs(model, job.optimizer, state, feed, job.batch_size)
        count, watch = len(state), len(state)
    step, *rest = memory_plans(graphs, count, job.settings.threads, watch, job.gradient_checkpointing)
    theta = state["theta"].nbytes
    bytes_of = by_purpose(*step) | {
        "parameters": theta,
        "moments": sum(array.nbytes for name, array in state.items() if name.startswith(OPTIMIZER)),
        "last batch": sum(made.size for made, _ in rest),
        "validation": _validation(job),
        "copies": 2 * theta + sum(array.nbytes for array in state.values()) + (theta if _keeps_best(job) else 0),
        "data": made_of_data,
        **feed.nbytes,
    }
    return Plan(
        bytes={name: bytes_of.get(name, 0) for name in PURPOSES},
        parameters=model.layout.size,
        dtype=model.dtype.name,
        rows=feed.rows,
        batch_size=job.batch_size,
        instructions=len(step[0].instructions),
        lanes=step[0].lanes,
        microseconds=step[0].nanoseconds / 1000,
    )


def _keeps_best(job: Job) -> bool:
    rule = job.settings.early_stopping
    return rule is not None and rule.restore_best


Planned = tuple[MemoryPlan, Lowered]


def memory_plans(
    graphs: Iterable[Graph], count: int, threads: int, watch: int | None = None, gradient_checkpointing: bool = False
) -> list[Planned]:
    """Each step's graph as the program of a loop over it; `count` arrays of state."""
    made = [lowered(graph, count, watch, gradient_checkpointing) for graph in graphs]
    return [(memory_plan(one, threads=threads), one) for one in made]


def by_purpose(made: MemoryPlan, source: Lowered) -> dict[str, int]:
    """A step's own memory: gradient, activations, scratch, constants."""
    gradient = {r.buffer for node, r in source.values.items() if node.where.part == GRADIENT}
    gradient = {made.home.get(number, number) for number in gradient}
    scratch = {ins.operands[ins.scratch].buffer for ins in made.instructions if ins.scratch is not None}
    scratch |= {ins.operands[0].buffer for ins in made.instructions if ins.name == "pack"}
    values = made.covered(number for number in made.plan.offsets if number not in scratch)
    return {
        "gradient": made.covered(gradient),
        "activations": values - made.covered(gradient),
        "scratch": made.plan.size - values,
        "constants": made.size - made.plan.size,
    }


def _validation(job: Job) -> int:
    """Bytes of validation passes: their programs, their sums, and the targets and outputs that metrics look at."""
    held = job.validation
    if held is None:
        return 0
    feed, rows = validation_feed(held), len(held.index)
    inputs = {"theta": job.model.theta, **feed.arrays, "order": feed.order}
    graphs, shapes = block_graphs(job.model, inputs, rows, job.measures)
    y = held.data["y"]
    sums = sum(8 * math.prod(shape) for shape in shapes)
    size = sum(made.size for made, _ in memory_plans(graphs, 1 + len(shapes), job.settings.threads))
    own = targets_of_rows(held).nbytes if job.measures.metrics and rows < len(y) else 0
    if of_outputs(job.measures):  # the outputs for all rows, and a part of the rows they are computed from
        item = job.model.dtype.itemsize
        own += rows * math.prod(job.model.output_shape) * item
        own += min(rows, PART_ROWS) * sum(map(math.prod, sizes(job.model.inputs))) * item
    return size + sums + own + held.index.nbytes + feed.nbytes.get("window", 0)
