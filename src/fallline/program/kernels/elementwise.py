"""Kernels for chains of elementwise ops: one pass over memory for the whole chain, written as source by content.

A chain's source depends on its ops, dtypes and access patterns only, never on sizes or constants, so a new network
with known activations compiles nothing. Knows nothing of graphs.
"""

import functools
from dataclasses import dataclass
from typing import Any

# How an operand is walked in the inner loop: c = one after the other, b = the same element again, s = by a stride.
PATTERNS = "cbs"
# A tile of rows and columns whose cache lines are near until all of each is used, along either axis.
TILE = 32, 128
# Where rows are so many bytes apart, or a multiple, their lines share few sets of a cache, which hold fewer of them.
CLOSE, SHARED = 32, 1024
# Bytes of an element of every dtype that kernels compute with.
DTYPES = {"float32": 4, "float64": 8, "bool": 1,
          **{f"{kind}int{8 * size}": size for kind in ("", "u") for size in (1, 2, 4, 8)}}  # fmt: skip


@functools.cache
def named(dtype: Any) -> str:
    """The name of a dtype, such as "float32", which NumPy puts together anew each time."""
    return str(dtype)


@dataclass(frozen=True, slots=True)
class Step:
    """One op of a chain: result name `t<i>` for the i-th step; arguments are `x<j>` inputs or `t<i>` earlier steps."""

    op: str
    dtype: str  # of the inputs, or of the result of a cast
    args: tuple[str, ...]
    source: str = ""  # a cast's dtype before


@dataclass(frozen=True, slots=True)
class Chain:
    """inputs: (dtype, pattern); outputs: (step result, dtype, pattern). tile: rows and columns of the
    tiles in which the two inner loops go, where an operand's elements lie side by side along the outer one of them."""

    inputs: tuple[tuple[str, str], ...]
    steps: tuple[Step, ...]
    outputs: tuple[tuple[str, str, str], ...]
    tile: tuple[int, int] | None = None


def _expression(step: Step, number: int) -> str:
    if not step.source:
        return f"op{number}({', '.join(step.args)})"
    (x,) = step.args
    if step.dtype == "bool":
        return f"{x} != 0"
    return f"(np.{step.dtype}(1) if {x} else np.{step.dtype}(0))" if step.source == "bool" else f"np.{step.dtype}({x})"


def _index(pattern: str, stride: str) -> str:
    return {"c": "k", "b": "0", "s": f"k * {stride}"}[pattern]


def _loops(tile: tuple[int, int] | None) -> list[str]:
    if tile is None:
        return ["    for i in range(d0):", "        for j in range(d1):"]
    return [
        "    for i in range(d0):",
        f"        for r in range(0, d1, {tile[0]}):",
        f"            for c in range(0, n, {tile[1]}):",
        f"                for j in range(r, min(r + {tile[0]}, d1)):",
    ]


def source_of(chain: Chain) -> str:
    """The kernel's text. Argument row: addresses of outputs and inputs, sizes d0 d1 n, then per operand its strides
    along d0, d1 and the inner axis; a 0 at the end."""
    outputs, inputs = len(chain.outputs), len(chain.inputs)
    total = outputs + inputs
    patterns = [p for *_, p in chain.outputs] + [p for _, p in chain.inputs]
    dtypes = sorted({dtype for dtype, _ in chain.inputs})
    lines = [
        "import numpy as np",
        "from fallline.program.kernels.language import cfunc",
        "from fallline.program.kernels.memory import loader, storer, word_pointer",
        "from fallline.program.kernels.scalars import EXACT, SIGNATURE, scalar",
        "",
        *(f'load_{dtype} = loader("{dtype}", {outputs})' for dtype in dtypes),
        *(f'store{i} = storer("{dtype}", {i}, {outputs})' for i, (_, dtype, _) in enumerate(chain.outputs)),
        *(f'op{i} = scalar("{step.op}", "{step.dtype}")' for i, step in enumerate(chain.steps) if not step.source),
        "", "",
        "@cfunc(SIGNATURE, **EXACT)",
        "def kernel(row):",
        "    w = word_pointer(row)",
        f"    d0, d1, n = w[{total}], w[{total + 1}], w[{total + 2}]",
    ]  # fmt: skip
    names = [f"o{i}" for i in range(outputs)] + [f"i{j}" for j in range(inputs)]
    sizes = [DTYPES[dtype] for _, dtype, _ in chain.outputs] + [DTYPES[dtype] for dtype, _ in chain.inputs]
    for i, name in enumerate(names):
        at = total + 3 + 3 * i
        # A stride that is no sum makes the compiler write vector code for a stride of 1 only, which this is not.
        inner = f"w[{at + 2}] + w[{4 * total + 3}]" if patterns[i] == "s" else f"w[{at + 2}]"
        lines.append(f"    {name}, {name}_0, {name}_1, {name}_2 = w[{i}], w[{at}], w[{at + 1}], {inner}")
    lines += _loops(chain.tile)
    deep = " " * (20 if chain.tile else 12)
    for name, item in zip(names, sizes, strict=True):
        lines.append(f"{deep}p{name} = {name} + (i * {name}_0 + j * {name}_1) * {item}")

    def read(j: int, dtype: str, pattern: str) -> str:
        value = f"load_{dtype}(pi{j}, {_index(pattern, f'i{j}_2')})"
        return f"x{j} = {value} != 0" if dtype == "bool" else f"x{j} = {value}"

    lines += [deep + read(j, dtype, p) for j, (dtype, p) in enumerate(chain.inputs) if p == "b"]
    lines.append(f"{deep}for k in range({f'c, min(c + {chain.tile[1]}, n)' if chain.tile else 'n'}):")
    deep += "    "
    lines += [deep + read(j, dtype, p) for j, (dtype, p) in enumerate(chain.inputs) if p != "b"]
    lines += [f"{deep}t{i} = {_expression(step, i)}" for i, step in enumerate(chain.steps)]
    for i, (result, dtype, pattern) in enumerate(chain.outputs):
        value = f"np.uint8(1) if {result} else np.uint8(0)" if dtype == "bool" else f"np.{dtype}({result})"
        lines.append(f"{deep}store{i}(po{i}, {_index(pattern, f'o{i}_2')}, {value})")
    return "\n".join(lines) + "\n"
