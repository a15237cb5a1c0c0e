"""Lesson `gates`: the graph of a small function, and what each gate does with the derivative that reaches it."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline import transforms
from fallline.data.preprocess import standardised
from fallline.data.sets import load
from fallline.graph.node import Graph
from fallline.graph.op import Array
from fallline.insight.picture import table
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import formula, heading, page, set_off, title, words
from fallline.ranges import Range

ROWS = 4  # of the flowers on the last screen


@dataclass(frozen=True)
class Gate:
    """One value of the graph. parts: of each input, the derivative that this gate passes to it.

    inputs: names of gates. value: forward; delta: the derivative of the result with respect to this value. name: of an
    input that of the argument, of others a letter.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    value: float
    delta: float
    parts: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Gates:
    """gates: in running order. text: of the traced graph. by_library, by_difference: d result / d (x, y, z).

    tie: the two inputs of the maximum are equal. spread: deltas (rows, outputs) at the sums of a layer with ROWS
    flowers; shared: of its bias, which all rows use, by the library.
    """

    gates: tuple[Gate, ...]
    text: str
    by_library: tuple[float, ...]
    by_difference: tuple[float, ...]
    tie: bool
    spread: Array
    shared: Array

    def gate(self, name: str) -> Gate:
        return next(one for one in self.gates if one.name == name)

    def uses(self, name: str) -> list[tuple[str, float]]:
        """The gates that use a value, each with the derivative that it passes back."""
        return [(g.name, part) for g in self.gates for used, part in zip(g.inputs, g.parts) if used == name]


def result(x: Any, y: Any, z: Any) -> Any:
    """The function, as anyone would write it."""
    return (x * y + np.maximum(y, z)) * x


# What an input of a gate gets of the delta d of its output, from the values of the inputs a and b.
RULES = {
    "add": lambda d, a, b: (d, d),
    "multiply": lambda d, a, b: (d * b, d * a),
    "maximum": lambda d, a, b: (d * (a > b) + d / 2 * (a == b), d * (b > a) + d / 2 * (a == b)),
}
SIGNS = {"add": "{} + {}", "multiply": "{} * {}", "maximum": "max({}, {})"}


def walked(graph: Graph, given: dict[str, float]) -> tuple[Gate, ...]:
    """The values of a graph of single numbers forward, then its deltas backward, by RULES alone."""
    nodes = [*graph.inputs, *(node for node in graph.nodes() if node not in set(graph.inputs))]
    names = dict(zip(nodes, [*given, *"abcdefgh"]))
    value = dict(zip(graph.inputs, given.values()))
    meaning: dict[str, Any] = {"add": np.add, "multiply": np.multiply, "maximum": np.maximum}
    for node in nodes[len(given) :]:
        value[node] = float(meaning[node.op.name](*(value[one] for one in node.inputs)))
    delta = dict.fromkeys(nodes, 0.0)
    delta[graph.outputs[0]] = 1.0
    parts: dict[Any, tuple[float, ...]] = dict.fromkeys(nodes, ())
    for node in reversed(nodes[len(given) :]):
        parts[node] = tuple(map(float, RULES[node.op.name](delta[node], *(value[one] for one in node.inputs))))
        for one, part in zip(node.inputs, parts[node]):
            delta[one] += part
    return tuple(
        Gate(names[n], n.op.name, tuple(names[one] for one in n.inputs), value[n], delta[n], parts[n]) for n in nodes
    )


def wires(gates: tuple[Gate, ...], ascii_only: bool) -> list[str]:
    """A line for each gate: wires of the values that later gates need run down, a gate joins those it takes."""
    across, down, cross, take = "-|+o" if ascii_only else "─│┼●"
    column = {gate.name: k for k, gate in enumerate(gates)}
    last = {used: k for k, gate in enumerate(gates) for used in gate.inputs}
    lines = []
    for k, gate in enumerate(gates):
        begins = min((column[used] for used in gate.inputs), default=k)
        text = ""
        for c in range(k):
            runs = last.get(gates[c].name, -1) > k
            inside = begins <= c
            mark = take if gates[c].name in gate.inputs else cross if runs and inside else down if runs else ""
            text += (mark or (across if inside else " ")) + (across if inside else " ") * 3
        lines.append(text + gate.name)
    return lines


def signed(value: float) -> str:
    """With three decimals; -0 reads as 0."""
    return f"{value + 0.0:+.3f}"


def written(gate: Gate) -> str:
    """The formula of a gate."""
    return SIGNS[gate.op].format(*gate.inputs) if gate.inputs else "given"


def tell(result: Gates, *, width: int, ascii_only: bool) -> list[str]:
    gates = result.gates
    drawn = [
        [line, written(gate), signed(gate.value), signed(gate.delta)]
        for line, gate in zip(wires(gates, ascii_only), gates)
    ]  # fmt: skip
    says = {
        "add": "hands delta on, as it is, to each input",
        "multiply": "delta times the value of the other input",
        "maximum": "all to the larger input, nothing to the other",
    }
    if result.tie:
        says["maximum"] = "a tie: half to each input"
    back = []
    for gate in (one for one in reversed(gates) if one.inputs):
        for k, (used, part) in enumerate(zip(gate.inputs, gate.parts)):
            slope = RULES[gate.op](1.0, *(result.gate(one).value for one in gate.inputs))[k]
            first = (f"{gate.name} = {written(gate)}", signed(gate.delta)) if k == 0 else ("", "")
            back.append([*first, used, f"{signed(gate.delta)} * {signed(slope)}", signed(part)])
    sums = []
    for k, gate in enumerate(one for one in gates if not one.inputs):
        uses = result.uses(gate.name)
        users, parts = ", ".join(name for name, _ in uses), " ".join(signed(part) for _, part in uses)
        sums.append([gate.name, users, parts, *(
            f"{one:+.6f}" for one in (gate.delta, result.by_library[k], result.by_difference[k])
        )])  # fmt: skip
    rows = [[f"row {k}", *(f"{one:+.4f}" for one in row)] for k, row in enumerate(result.spread)]
    rows.append(["their sum", *(f"{one:+.4f}" for one in result.spread.sum(axis=0))])
    rows.append(["of the bias, by fallline.grad", *(f"{one:+.4f}" for one in result.shared)])
    return [
        page([
            title("Gates: a function as a graph, derivatives on its wires", ascii_only=ascii_only),
            words("""A computer sees a function as single operations, each a gate with two inputs and one output.
                Traced by fallline.graph_of:""", width),
            formula(f"result = (x * y + max(y, z)) * x\n\n{result.text}"),
        ]),
        page([
            heading("The same graph, drawn", ascii_only=ascii_only),
            words(f"""Time goes down. A wire is a value that is still needed; {"o" if ascii_only else "a dot"} marks
                where a gate takes it, and the gate's own wire begins at its name. Values are computed from the top
                down. Delta is the derivative of the result with respect to a value; deltas are computed from the
                bottom up, beginning with 1 at the result itself.""", width),
            table(drawn, ["wires", "gate", "value", "delta"], width=width, ascii_only=ascii_only),
            words(f"""delta {signed(result.gates[0].delta)} at x says: a little more x, by h, changes the result by
                {signed(result.gates[0].delta)} h.""", width),
        ]),
        page([
            heading("Each gate knows only its own slope", ascii_only=ascii_only),
            words("""A gate gets the delta of its output, and passes to each input delta times its own slope there.
                It needs to know nothing about the rest of the function:""", width),
            set_off(table([["add", "distributes:", says["add"]], ["multiply", "swaps:", says["multiply"]],
                           ["max", "routes:", says["maximum"]]], width=width - 2)),
            table(back, ["gate", "delta", "to", "delta * slope", "passes"], width=width, ascii_only=ascii_only),
        ]),
        page([
            heading("Used more than once: the parts add up", ascii_only=ascii_only),
            words("""x goes into two gates, and so does y. A change of x changes the result through both, so its
                derivative is the sum of what they pass back. Against fallline.grad, and against the result with the
                input a little higher and a little lower:""", width),
            table(sums, ["input", "used by", "passed back", "sum", "fallline.grad", "tried out"], width=width,
                  ascii_only=ascii_only),
            *([words("""At the tie the maximum has a kink: its slope is 1 on one side and 0 on the other. Half to
                each input is a choice between the two; the central difference lands there as well.""", width)]
              if result.tie else []),
            words("""Using a value twice is a gate too, the copy: forward it copies, backward it adds. The add gate
                is its mirror image: forward it adds, backward it copies.""", width),
        ]),
        page([
            heading("The same with arrays: a bias is a copy for each row", ascii_only=ascii_only),
            words(f"""{ROWS} flowers go through a layer x @ w + b with three outputs. NumPy adds the one b to every
                row: broadcasting copies it. So backward its derivative is the sum over the rows of the deltas
                there:""", width),
            table(rows, ["delta at", *(f"output {k}" for k in range(result.spread.shape[1]))], width=width,
                  ascii_only=ascii_only),
            words("""And the other way round: the loss is a mean over rows and outputs, an add gate with a factor,
                and hands each the same share of its delta. Swapping shows too: in x @ w each weight multiplies an
                input, so its derivative is that input times delta. An input of zero leaves its weights where they
                are.""", width),
        ]),
    ]  # fmt: skip


INPUT = Range("an input", at_least=-100, at_most=100)


@lesson(
    "gates",
    "Add, multiply, max, copy",
    "a graph drawn: add distributes, multiply swaps, max routes",
    tell,
    options={"x": INPUT, "y": replace(INPUT, doc="an input, used twice"), "z": INPUT},
    asks=(
        ask("the maximum takes y: z gets nothing", z=-5.0),
        ask("a tie at the maximum", y=2.0),
        ask("x = 0 shuts a multiply gate: who still gets through?", x=0.0),
    ),
)
def gates(x: float = 3.0, y: float = -4.0, z: float = 2.0) -> Gates:
    """Trace a function, run its graph forward and backward by the rule of each gate, and compare.

    The graph is that of (x y + max(y, z)) x; a layer with rows of flowers shows copying.
    """
    point = [np.array(one, np.float64) for one in (x, y, z)]
    graph = transforms.graph_of(result, *point)
    step = 1e-6
    tried = []
    for k in range(3):
        ends = [float(result(*(p + sign * step * (j == k) for j, p in enumerate(point)))) for sign in (1, -1)]
        tried.append((ends[0] - ends[1]) / (2 * step))
    flowers = load("iris")
    rows = standardised(flowers)[0][:: len(flowers) // ROWS][:ROWS]
    w, target = np.random.default_rng(0).normal(size=(rows.shape[1], 3)), np.zeros((ROWS, 3))

    def loss(sums: Any) -> Any:
        return np.mean(np.square(np.tanh(sums) - target))

    spread = transforms.grad(loss)(rows @ w)
    shared = transforms.grad(lambda b: loss(rows @ w + b))(np.zeros(3))
    lines = "\n".join(line.partition("#")[0].rstrip() for line in str(graph).split("\n"))
    return Gates(
        walked(graph, {"x": x, "y": y, "z": z}), lines,
        tuple(float(g) for g in transforms.grad(result, argnums=(0, 1, 2))(*point)), tuple(tried), y == z,
        np.asarray(spread), np.asarray(shared),
    )  # fmt: skip
