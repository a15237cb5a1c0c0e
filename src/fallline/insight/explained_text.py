"""An explanation as text for a terminal: forward, backward, the chain rule, its paths, its check, and the step."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fallline.graph.op import Array
from fallline.insight.explained import CLOSE, SHOWN_ROWS, Explained
from fallline.insight.links import Link
from fallline.insight.paths import EXACT, Path, Paths
from fallline.nn.loss import in_words
from fallline.source import named
from fallline.typesetting import cells, fit, number, table, words

# Columns of a layer's label where the text is narrower than WIDE.
LABEL, WIDE = 28, 100


def tell(e: Explained, *, width: int, ascii_only: bool) -> str:
    """The whole explanation, from the input forward, back, and to the one weight."""
    n = len(e.y)
    count = "one row" if n == 1 else f"{n} rows"
    more = "" if n <= SHOWN_ROWS else f" (the first {SHOWN_ROWS} are written out)"
    layers = f"{len(e.layers)} layer{'' if len(e.layers) == 1 else 's'}"
    lines = [
        words(f"Explained: {count}{more} through a network of {layers} with {e.model.theta.size:,} parameters.", width),
        *(words(note, width) for note in e.notes),
        "",
        words("Forward: each layer takes the output of the one above it.", width),
        "",
        table(forward_rows(e, width), ["name", "layer", "numbers"], width=width, ascii_only=ascii_only),
        *(fit(line, width) for line in outcome(e)),
        "",
        words("Backward: delta = d loss / d (the layer's output); each comes from the one above it here.", width),
        "",
        table(backward_rows(e, width), ["name", "at", "numbers"], width=width, ascii_only=ascii_only),
        "",
        *(fit(line, width) for line in number_story(e, width)),
    ]
    return "\n".join(lines)


def forward_rows(e: Explained, width: int) -> list[list[str]]:
    given = [(name, "input", x) for name, x in named(e.x).items()]
    return by_rows([*given, *((layer.name, layer.label, layer.output) for layer in e.layers)], width)


def backward_rows(e: Explained, width: int) -> list[list[str]]:
    layers = [(f"delta{layer.name[3:]}", f"{layer.name}, {layer.label}", layer.delta) for layer in reversed(e.layers)]
    return by_rows(
        [*layers, *((f"delta of {name}", "input", delta) for name, delta in named(e.x_delta).items())], width
    )


def by_rows(arrays: Sequence[tuple[str, str, Array]], width: int) -> list[list[str]]:
    """For each array, a line for each row of the batch that is shown; its name and its label stand in the first."""
    several = any(len(values) > 1 for _, _, values in arrays)
    labels = [fit(label, LABEL if width < WIDE else width) for _, label, _ in arrays]
    taken = max(cells(name) for name, _, _ in arrays) + max(map(cells, labels)) + 4 + 6 * several
    return [
        [
            name if i == 0 else "",
            f"{label if i == 0 else ''}{f' row {i}' if several else ''}".strip(),
            vector(row, max(width - taken, 20)),
        ]
        for (name, _, values), label in zip(arrays, labels)
        for i, row in enumerate(values[:SHOWN_ROWS])
    ]


def vector(values: Array, room: int) -> str:
    """Numbers in order where they fit into `room` columns, else the largest with their places."""
    flat = np.asarray(values).ravel()
    if flat.size <= room // 4:
        everything = "  ".join(number(float(v)) for v in flat)
        if len(everything) <= room:
            return everything
    magnitude = np.where(np.isnan(flat), np.inf, np.abs(flat))
    tail = f"  (largest of {flat.size:,})"
    text = ""
    for i in np.argsort(-magnitude, kind="stable"):
        place = ",".join(str(int(j)) for j in np.unravel_index(int(i), np.shape(values)))
        entry = f"[{place}] {number(float(flat[i]))}"
        if len(text) + len(entry) + 2 + len(tail) > room and text:
            break
        text += ("  " if text else "") + entry
    return text + tail


def outcome(e: Explained) -> list[str]:
    """The loss, and the meaning of the outputs where the loss has a link."""
    model, last = e.model, e.layers[-1].output if e.layers else e.x
    lines = [
        f"loss  {in_words(model.loss)} = {number(e.loss, 7)}"
        + (f", the mean over {len(e.y)} rows" if len(e.y) > 1 else "")
    ]
    meaning = None if model.loss.link is None else np.asarray(model.loss.link(last))
    if last.ndim != 2 or model.task == "custom":
        return lines
    for i in range(min(len(last), SHOWN_ROWS)):
        if model.task == "regression" or (model.task == "binary" and last.shape[1] > 1):
            said = f"predicts {several(last[i] if meaning is None else meaning[i])}; truth: {several(e.y[i])}"
        else:
            said = decision(e, i, last[i], None if meaning is None else meaning[i])
        lines.append(f"      {f'row {i}: ' if len(e.y) > 1 else ''}the network {said}")
    return lines


def several(values: Array) -> str:
    return ", ".join(number(float(v)) for v in values[:4]) + (", ..." if len(values) > 4 else "")


def decision(e: Explained, i: int, output: Array, p: Array | None) -> str:
    """The class a row is given, how sure that is, and the true one."""
    if e.model.task == "binary":
        best, truth = int(output[0] > 0), int(e.y[i, 0] > 0.5)  # 0 and 1, or -1 and 1
        share = None if p is None else float(p[0] if best else 1 - p[0])
    else:
        best, truth = int(output.argmax()), int(e.y[i] if e.y.ndim == 1 else e.y[i].argmax())
        share = None if p is None else float(p[best])
    sure = "" if share is None else f", probability {share:.4f}"
    return f"says {name_of(e.model, best)}{sure}; truth: {name_of(e.model, truth)}"


def name_of(model: Any, code: int) -> str:
    return f"class {code}" if model.classes is None else repr(np.asarray(model.classes)[code].item())


def number_story(e: Explained, width: int) -> list[str]:
    """The chain rule for the chosen number, line by line; its paths; its check; and the step that follows."""
    what = "input" if e.chosen.is_input else "weight"
    lines = [f"One {what}: {e.chosen_name} = {number(e.chosen.value, 7)}", ""]
    for link in e.chain:
        lines += link_lines(link, width)
    if e.derivative == 0:
        lines += ["", f"The derivative is 0: no path from this {what} to the loss is active for these rows."]
    return [*lines, *path_lines(e, width), "", *check_lines(e, what, width), "", *step_lines(e, width)]


def path_lines(e: Explained, width: int) -> list[str]:
    """The paths from the number to the loss: how many, what they add up to, and the strongest."""
    lines = ["", *wrapped(f"Paths: {in_words_of(e)}", width)]
    for place, path in enumerate(() if e.paths is None else e.paths.listed, 1):
        along = wrapped(" > ".join(name.replace(" ", "~") for name in e.steps_of(path)), width - 6)
        slopes = " * ".join(number(step.slope, 4) for step in path.steps)
        made = wrapped(f"{slopes} = {number(path.product, 6)}, {share(e, path)}", width - 6)
        lines += ["", *(f"{place if i == 0 else '':>4}  {line}".replace("~", " ") for i, line in enumerate(along))]
        lines += [f"      {line}" for line in made]
    return lines


def share(e: Explained, path: Path) -> str:
    """The part of the sum of absolute values that one path holds, as text."""
    whole = 0.0 if e.paths is None else e.paths.magnitude
    return percent(abs(path.product) / whole if whole else 0.0)


def in_words_of(e: Explained) -> str:
    """How many paths there are and what they hold, in a sentence or two; why they were left out."""
    if e.paths is None:
        return e.paths_left_out
    paths, what = e.paths, "input" if e.chosen.is_input else "weight"
    if not paths.count:
        return f"none leads from this {what} to the loss with all its slopes other than 0."
    if paths.count == 1:
        return (
            f"one leads from this {what} to the loss; the product of its slopes is the derivative, "
            f"{number(paths.total, 9)}."
        )
    adds = (
        f"{counted(paths)} lead from this {what} to the loss. The derivative is the sum over all of them of the "
        f"product of their slopes, {number(paths.total, 9)}."
    )
    if paths.are_all:
        return f"{adds} Shares are of the sum of absolute values."
    return (
        f"{adds} The strongest {len(paths.listed):,} hold {percent(paths.share)} of the sum of absolute values, "
        f"{number(paths.magnitude, 4)}."
    )


def percent(part: float) -> str:
    """A part as a percentage, with a digit after the point where that says something."""
    return f"{100 * part:.1f} %" if part >= 0.0005 or not part else f"{number(100 * part, 2)} %"


def counted(paths: Paths) -> str:
    """How many paths there are."""
    if not np.isfinite(paths.count):
        return "more than 1e308"
    return f"{int(paths.count):,}" if paths.count < EXACT else f"about {paths.count:.3g}"


def check_lines(e: Explained, what: str, width: int) -> list[str]:
    lines = [
        *wrapped(
            f"Tried out: the {what} a little up and a little down, two forward passes, no derivative rule.", width
        ),
        f"  (loss(w + h) - loss(w - h)) / 2h = {number(e.difference, 9)}",
        f"  backpropagation                  = {number(e.derivative, 9)}",
        f"  relative difference {number(e.relative_difference, 2)}, with h = {number(e.step)}",
    ]
    if e.relative_difference > CLOSE and e.derivative != e.difference:
        reason = (
            "They differ: the loss jumps this close to w, which is looked up or rounded and so has no derivative."
            if e.derivative == 0
            else "They differ: the loss has a corner this close to w, or the derivative is lost in rounding."
        )
        lines += [f"  {line}" for line in wrapped(reason, width - 2)]
    return lines


def step_lines(e: Explained, width: int) -> list[str]:
    """The step: the weight and the loss before and after one update."""
    title, *rest = step_in_words(e)
    return [*wrapped(title, width), "", *(f"  {line}" for text in rest if text for line in wrapped(text, width - 2))]


def step_in_words(e: Explained) -> tuple[str, str, str]:
    """How the step is made, what it makes of the followed weight ("" for an input), and of the loss."""
    after, rows = e.stepped, "this row" if e.is_single else "these rows"
    rate = "" if after.learning_rate is None else f", learning rate {number(after.learning_rate)}"
    title = (
        f"The step: all parameters move by the gradient of {rows} alone, with {after.optimizer}{rate} ({after.source})."
    )
    loss = (
        f"loss of {rows}: {number(after.loss_before, 7)} -> {number(after.loss_after, 7)}, a change of "
        f"{number(after.loss_after - after.loss_before, 4)}; to first order, gradient times step, "
        f"{number(after.expected, 4)}"
    )
    return title, moved_in_words(e), loss


def moved_in_words(e: Explained) -> str:
    after = e.stepped
    if after.before is None or after.after is None or after.gradient is None:
        return ""
    name, before, to = e.chosen_name, number(after.before, 7), number(after.after, 7)
    if after.kind == "frozen":
        return f"{name} = {before} stays: it is frozen."
    if after.kind == "kept":
        return f"{name} = {before} stays: its layer writes it while training, and no gradient does."
    sign = "-" if after.after < after.before else "+"
    moved = f"{name} <- {before} {sign} {number(abs(after.after - after.before), 4)} = {to}"
    if after.learning_rate is None:
        return moved
    plain = after.before - after.learning_rate * after.gradient
    if after.is_plain and abs(plain - after.after) <= 1e-12 * max(abs(plain), abs(after.after)):
        return f"{name} <- {before} - {number(after.learning_rate)} * {number(after.gradient, 6)} = {to}"
    return f"{moved}; by learning rate times gradient alone {number(plain, 7)}"


def wrapped(text: str, width: int) -> list[str]:
    """The lines of a paragraph; a percentage stays on one."""
    return words(text.replace(" %", "\0%"), width).replace("\0", " ").split("\n")


def link_lines(link: Link, width: int) -> list[str]:
    """One link: its sum in names and in numbers, a line for each product."""
    lines = [
        f"  {link.name} = {number(link.value, 6)}",
        *(f"      {line}" for line in words(link.rule, width - 6).split("\n")),
    ]
    rows = [
        [
            f"{t.slope_name} * {t.delta_name}",
            f"= {number(t.slope, 5)} * {number(t.delta, 5)}",
            f"= {number(t.product, 6)}",
        ]
        for t in link.terms
    ]
    rest = link.count - len(link.terms)
    if rest > 0:
        rows.append([f"and {rest:,} more, together", "", f"= {number(link.rest, 6)}"])
    return lines + [f"      {line}" for line in table(rows, width=width - 6).split("\n") if line]
