r"""An explanation as LaTeX: `align*` environments of amsmath, alone or as a whole document."""

from collections.abc import Sequence

import numpy as np

from fallline.graph.op import Array
from fallline.insight.explained import SHOWN_ROWS, Explained, inputs_of
from fallline.insight.explained_text import counted, in_words_of, step_in_words
from fallline.insight.links import Link
from fallline.nn.loss import in_words
from fallline.typesetting import number

# Numbers of a vector that are written out, and factors of a product in one line.
MOST_NUMBERS, MOST_FACTORS = 6, 5
# Characters above these are not in every font of LaTeX; their code points are written instead.
LAST_SAFE = 0x17F

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip


def document(e: Explained) -> str:
    """A whole document that compiles with amsmath alone."""
    return (
        "\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{amsmath,textcomp}\n"
        "\\usepackage[margin=2cm]{geometry}\n\\allowdisplaybreaks\n\\begin{document}\n\n"
        f"{fragment(e)}\n\\end{{document}}\n"
    )


def fragment(e: Explained) -> str:
    """The equations, to be put into a document with amsmath, textcomp and T1 fonts."""
    title, *rest = step_in_words(e)
    return "\n".join([
        *(f"{escaped(note)}\n" for note in e.notes),
        _heading("Forward"), _align(_forward(e)),
        _heading(r"Backward: $\delta_l = \partial L / \partial\,\mathrm{out}_l$"), _align(_backward(e)),
        _heading(f"The chain rule for {_name(e.chosen_name)}"),
        *(f"{escaped(link.rule)}:\n{_align(_link(link))}" for link in e.chain),
        _heading("Paths"), escaped(in_words_of(e)), _align(_paths(e)),
        _heading("Tried out"), _align(_checked(e)),
        _heading("The step"), escaped(title), "", _align(_step(e)), escaped(rest[-1]), "",
    ])  # fmt: skip


def escaped(text: str) -> str:
    """Text as LaTeX shows it: special characters escaped, those that fonts may lack by their code point."""
    return "".join(
        SPECIAL.get(c, c if c.isprintable() and ord(c) <= LAST_SAFE else " " if c.isspace() else f"U+{ord(c):04X}")
        for c in text
    )


def _heading(text: str) -> str:
    return f"\\paragraph{{{text}}}\\mbox{{}}\n"


def _name(text: str) -> str:
    return f"\\texttt{{{escaped(text)}}}"


def _align(lines: Sequence[str]) -> str:
    return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}\n" if lines else ""


def figure(value: float, digits: int = 5) -> str:
    """A number in math mode."""
    text = number(value, digits)
    if not np.isfinite(value):
        return r"\mathrm{NaN}" if np.isnan(value) else r"-\infty" if value < 0 else r"\infty"
    mantissa, power, exponent = text.partition("e")
    return mantissa.replace(",", "{,}") + (rf"\cdot 10^{{{int(exponent)}}}" if power else "")


def _factor(value: float, digits: int = 4) -> str:
    """A number inside a product: in brackets where it has a sign."""
    return f"({figure(value, digits)})" if value < 0 else figure(value, digits)


def _vector(values: Array) -> str:
    """The numbers of one row where they are few, else the largest with their places."""
    flat = np.asarray(values).ravel()
    if flat.size <= MOST_NUMBERS:
        return "(" + r",\; ".join(figure(float(v), 4) for v in flat) + ")"
    order = np.argsort(-np.abs(np.where(np.isnan(flat), np.inf, flat)), kind="stable")[: MOST_NUMBERS // 2]
    shown = [
        f"[{','.join(map(str, map(int, np.unravel_index(int(i), np.shape(values)))))}]\\; {figure(float(flat[i]), 4)}"
        for i in order
    ]
    return r",\quad ".join(shown) + rf"\quad\text{{(largest of {flat.size:,})}}"


def _rows(name: str, values: Array, label: str, single: bool) -> list[str]:
    shown = [f"{name}{'' if single else f'^{{({i})}}'} &= {_vector(row)}" for i, row in enumerate(values[:SHOWN_ROWS])]
    shown[0] += rf" && \text{{{escaped(label)}}}"
    return shown


def _forward(e: Explained) -> list[str]:
    lines = [
        line
        for name, x in inputs_of(e).items()
        for line in _rows(rf"\mathrm{{{escaped(name)}}}", x, "input", e.is_single)
    ]
    for layer in e.layers:
        lines += _rows(
            rf"\mathrm{{out}}_{{\texttt{{{escaped(layer.name[3:])}}}}}", layer.output, layer.label, e.is_single
        )
    return [*lines, rf"L &= {figure(e.loss, 7)} && \text{{{escaped(in_words(e.model.loss))}}}"]


def _backward(e: Explained) -> list[str]:
    return [
        line
        for layer in reversed(e.layers)
        for line in _rows(rf"\delta_{{\texttt{{{escaped(layer.name[3:])}}}}}", layer.delta, layer.label, e.is_single)
    ]


def _link(link: Link) -> list[str]:
    lines = [rf"\text{{{_name(link.name)}}} &= {figure(link.value, 6)}"]
    for i, term in enumerate(link.terms):
        names = rf"\text{{{_name(term.slope_name)}}}\cdot\text{{{_name(term.delta_name)}}}"
        product = rf"{_factor(term.slope)}\cdot{_factor(term.delta)} = {figure(term.product, 6)}"
        sign = r"\quad +" if i else "="
        lines.append(f"&{sign} {names} && {product}")
    rest = link.count - len(link.terms)
    if rest > 0:
        lines.append(rf"&\quad + \text{{{rest:,} more}} && {figure(link.rest, 6)}")
    return lines


def _paths(e: Explained) -> list[str]:
    lines = []
    for place, path in enumerate(() if e.paths is None else e.paths.listed, 1):
        names = r" \to ".join(rf"\text{{{_name(name)}}}" for name in e.steps_of(path))
        factors = [_factor(step.slope) for step in path.steps]
        rows = [r" \cdot ".join(factors[i : i + MOST_FACTORS]) for i in range(0, len(factors), MOST_FACTORS)]
        lines.append(rf"{place}.\quad & {names}")
        lines += [f"& {rows[0]}", *(rf"& \quad \cdot {row}" for row in rows[1:])]
        lines[-1] += f" = {figure(path.product, 6)}"
    return lines


def _checked(e: Explained) -> list[str]:
    return [
        rf"\frac{{L(w + h) - L(w - h)}}{{2h}} &= {figure(e.difference, 9)} && h = {figure(e.step)}",
        rf"\frac{{\partial L}}{{\partial w}} &= {figure(e.derivative, 9)} && \text{{backpropagation}}",
        *([rf"\sum_{{\text{{paths}}}} \prod_{{\text{{slopes}}}} &= {figure(e.paths.total, 9)} && "
           rf"\text{{{escaped(counted(e.paths))} paths}}"] if e.paths is not None else []),
    ]  # fmt: skip


def _step(e: Explained) -> list[str]:
    after = e.stepped
    lines = [] if after.before is None or after.after is None else [
        rf"\text{{{_name(e.chosen_name)}}} &: {figure(after.before, 7)} \to {figure(after.after, 7)}"
    ]  # fmt: skip
    return [*lines, rf"L &: {figure(after.loss_before, 7)} \to {figure(after.loss_after, 7)}"]
