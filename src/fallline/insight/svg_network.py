"""A network as a drawing in SVG: units as circles, slopes between them as lines. Text alone; computes no slope.

Readable in light and in dark, self-contained, and told apart without colour: lines of negative numbers are dashed, the
thickness is that of the absolute value, and the path that is followed lies on a broad band.
"""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from fallline.insight.wiring import Stage, Unit, Wire, Wiring
from fallline.typesetting import cells, number

# Pixels: between columns and between units, of a circle, of the margins.
ACROSS, DOWN, RADIUS, TOP, SIDE, HEAD = 150, 58, 21, 36, 34, 34
LETTER = 6.3  # width of one at font size 11
# Lines between two columns up to which each has its number beside it.
NUMBERED = 9
# Lines between two columns from which on they are drawn thinner.
MANY = 24

STYLE = """
.fl-net{--ground:#ffffff;--ink:#1a1a1a;--quiet:#5c5c5c;--unit:#f4f4f2;--plus:#0072b2;--minus:#c04f00;--band:#f7d84a;
--other:#8a8a8a;font:11px/1.2 ui-sans-serif,system-ui,-apple-system,"Segoe UI",sans-serif}
@media (prefers-color-scheme:dark){.fl-net{--ground:#15181d;--ink:#f2f2f2;--quiet:#a9b1bb;--unit:#262b33;--plus:#56b4e9;
--minus:#f0954a;--band:#7a6a12;--other:#8b929c}}
.fl-net .g{fill:var(--ground)}.fl-net text{fill:var(--ink)}.fl-net .q{fill:var(--quiet)}.fl-net .s{font-size:9.5px}
.fl-net .u{fill:var(--unit);stroke:var(--ink);stroke-width:1}.fl-net .f{stroke:var(--ink);stroke-width:2.5}
.fl-net .w{fill:none}.fl-net .p{stroke:var(--plus)}.fl-net .m{stroke:var(--minus);stroke-dasharray:7 3}
.fl-net .o{stroke:var(--other);stroke-dasharray:1.5 3}
.fl-net .b{stroke:var(--band);stroke-width:11;stroke-linecap:round}
.fl-net .n{font-size:9.5px;paint-order:stroke;stroke:var(--ground);stroke-width:3px;stroke-linejoin:round}
"""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things stand, in pixels. columns: of each stage; heads: middle and lower edge of its title; units: of each
    unit of each stage. height, right: of the net."""

    columns: list[int]
    heads: list[tuple[float, float]]
    units: list[list[tuple[float, float]]]
    height: float
    right: float


def _laid_out(wiring: Wiring, left: float) -> _Layout:
    """Stages in columns by how many others lie before them at most; those of one column one below the other."""
    columns = list[int]()
    for number_ in range(len(wiring.stages)):
        before = {wire.start[0] for wire in wiring.wires if wire.end[0] == number_}
        columns.append(1 + max((columns[one] for one in before), default=columns[-1] if columns else -1))
    tall = {c: sum(_tall(stage) for stage, at in zip(wiring.stages, columns) if at == c) for c in columns}
    height = max(tall.values(), default=DOWN)
    below = {column: TOP + (height - own) / 2 for column, own in tall.items()}
    heads, units = [], []
    for stage, column in zip(wiring.stages, columns, strict=True):
        x, y = left + RADIUS + column * ACROSS, below[column] + HEAD
        heads.append((x, y))
        units.append([(x, y + (i + 0.5) * DOWN) for i in range(len(stage.units))])
        below[column] += _tall(stage)
    return _Layout(columns, heads, units, height, left + RADIUS + max(columns, default=0) * ACROSS)


def _tall(stage: Stage) -> float:
    return HEAD + len(stage.units) * DOWN


def svg_of(
    wiring: Wiring,
    title: str,
    notes: list[str],
    name: Callable[[str, Unit], str],
    loss: str = "",
    loss_slopes: tuple[float, ...] = (),
) -> str:
    """The drawing, as the text of an SVG file.

    title: one line over it; notes: lines below it. name: of a unit, by its array, to write beside an input. loss: the
    loss as text, for a box at the end, with the slopes of the loss in the last units; "" without one.
    """
    inputs = [name(stage.source, unit) for stage in wiring.stages if stage.label == "input" for unit in stage.units]
    left = SIDE + max((min(cells(text), 24) for text in inputs), default=0) * LETTER + 12
    at = _laid_out(wiring, left)
    end = (at.right + ACROSS - 20, TOP + HEAD / 2 + at.height / 2)
    width = at.right + RADIUS + SIDE + 20 + bool(loss) * ACROSS
    width = max(width, cells(title) * 7.5 + 2 * SIDE, *(cells(note) * LETTER + 2 * SIDE for note in notes), 200)
    height = TOP + at.height + 26 + 16 * len(notes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="fl-net" role="img" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}"><title>{_safe(title)}</title><style>{STYLE}</style>',
        f'<rect class="g" width="{width:.0f}" height="{height:.0f}"/>',
        f'<text x="{SIDE}" y="24" font-size="13" font-weight="600">{_safe(title)}</text>',
        *_bands(wiring, at, end if loss else None),
        *_lines(wiring, at),
    ]
    if loss and wiring.stages:
        parts += _to_loss(at.units[-1], end, loss, loss_slopes)
    for stage, (x, y), places in zip(wiring.stages, at.heads, at.units, strict=True):
        some = "" if len(stage.units) == stage.width else f", {len(stage.units)} of {stage.width:,}"
        parts.append(
            f'<text x="{x:.0f}" y="{y - 13:.0f}" text-anchor="middle" font-weight="600">{_safe(stage.source)}</text>'
        )
        parts.append(
            f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="middle" class="q s">{_safe(_short(stage.label) + some)}</text>'
        )
        for unit, (cx, cy) in zip(stage.units, places, strict=True):
            parts += _unit(unit, name(stage.source, unit), cx, cy, stage.label == "input")
    for i, note in enumerate(notes):
        parts.append(f'<text x="{SIDE}" y="{TOP + at.height + 26 + 16 * i:.0f}" class="q">{_safe(note)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _safe(text: str) -> str:
    """Escaped, without characters that XML cannot hold."""
    return escape("".join(c if c.isprintable() else " " for c in text))


def _short(text: str, most: int = 22) -> str:
    return text if len(text) <= most else f"{text[: most - 2]}.."


def _unit(unit: Unit, name: str, x: float, y: float, is_input: bool) -> list[str]:
    """A circle with the value in it and the delta below it; what it is in a tooltip, and beside it for an input."""
    value = number(unit.value, 3)
    told = f"{name} = {number(unit.value, 6)}"
    told += "" if unit.delta is None else f", d loss / d it = {number(unit.delta, 6)}"
    place = f"[{','.join(map(str, unit.index[1:]))}]"
    parts = [
        f"<g><title>{_safe(told)}</title>",
        f'<circle class="u{" f" if unit.on_path else ""}" cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}"/>',
    ]
    if unit.delta is not None or unit.value:
        size = ' class="s"' if len(value) > 6 else ""
        parts.append(f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle"{size}>{value}</text>')
    else:
        parts.append(f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle" class="q">{place}</text>')
    if unit.delta is not None:
        below = f'<text x="{x:.1f}" y="{y + RADIUS + 10:.1f}" text-anchor="middle" class="q s">'
        parts.append(f"{below}\u03b4 {number(unit.delta, 3)}</text>")
    if is_input:
        parts.append(
            f'<text x="{x - RADIUS - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{_safe(_short(name, 24))}</text>'
        )
    return [*parts, "</g>"]


def _way(wire: Wire, at: _Layout) -> str:
    """From the rim of one circle to that of another; past the columns in between on a bow."""
    (i, u), (j, v) = wire.start, wire.end
    (x, y), (x2, y2) = at.units[i][u], at.units[j][v]
    x, x2, past = x + RADIUS, x2 - RADIUS, at.columns[j] - at.columns[i]
    if past == 1:
        return f"M{x:.1f},{y:.1f}L{x2:.1f},{y2:.1f}"
    # Stages below another one in their column have their bows below.
    first = at.columns.index(at.columns[i]) == i and at.columns.index(at.columns[j]) == j
    lift = (34 + 10 * past) * (-1 if first else 0.4)
    return f"M{x:.1f},{y:.1f}C{x + 50:.1f},{y + lift:.1f} {x2 - 50:.1f},{y2 + lift:.1f} {x2:.1f},{y2:.1f}"


def _bands(wiring: Wiring, at: _Layout, end: tuple[float, float] | None) -> list[str]:
    """The broad band under the path that is followed."""
    parts = [f'<path class="w b" d="{_way(wire, at)}"/>' for wire in wiring.wires if wire.on_path]
    if end is not None and wiring.stages:
        for unit, (x, y) in zip(wiring.stages[-1].units, at.units[-1], strict=True):
            if unit.on_path:
                parts.append(f'<path class="w b" d="M{x + RADIUS:.1f},{y:.1f}L{end[0] - 20:.1f},{end[1]:.1f}"/>')
    return parts


def _lines(wiring: Wiring, at: _Layout) -> list[str]:
    """Lines, thick for large absolute values among those between the same two stages; numbers where they are few."""
    between: dict[tuple[int, int], list[Wire]] = {}
    for wire in wiring.wires:
        between.setdefault((wire.start[0], wire.end[0]), []).append(wire)
    lines, numbers = list[str](), list[str]()
    for (i, j), wires in between.items():
        largest = max((abs(wire.slope) for wire in wires), default=1.0) or 1.0
        most = 3.4 * min(1.0, MANY / len(wires))
        for wire in sorted(wires, key=lambda one: abs(one.slope)):
            kind = "o" if wire.fixed is False else "p" if wire.slope >= 0 else "m"
            thick = 1.0 if wire.fixed is False else 0.5 + most * abs(wire.slope) / largest
            told = "depends on the row" if wire.fixed is False else number(wire.slope, 6)
            lines.append(
                f'<path class="w {kind}" stroke-width="{thick:.2f}" d="{_way(wire, at)}"><title>{told}</title></path>'
            )
            if len(wires) <= NUMBERED and wire.fixed is not False and at.columns[j] == at.columns[i] + 1:
                (x, y), (x2, y2) = at.units[i][wire.start[1]], at.units[j][wire.end[1]]
                share = (0.34, 0.5, 0.66)[wire.start[1] % 3] if len(wires) > 3 else 0.5
                spot = f'x="{x + (x2 - x) * share:.1f}" y="{y + (y2 - y) * share - 3:.1f}"'
                numbers.append(f'<text class="n" {spot} text-anchor="middle">{number(wire.slope, 3)}</text>')
    return lines + numbers


def _to_loss(
    places: list[tuple[float, float]], end: tuple[float, float], loss: str, slopes: tuple[float, ...]
) -> list[str]:
    """The box of the loss, and lines to it from the last units."""
    parts = []
    largest = max((abs(slope) for slope in slopes), default=1.0) or 1.0
    for (x, y), slope in zip(places, slopes, strict=True):
        kind, thick = "p" if slope >= 0 else "m", 0.6 + 3.4 * abs(slope) / largest
        parts.append(
            f'<path class="w {kind}" stroke-width="{thick:.2f}" d="M{x + RADIUS:.1f},{y:.1f}L{end[0] - 20:.1f},'
            f'{end[1]:.1f}"><title>{number(slope, 6)}</title></path>'
        )
    return [
        *parts,
        f'<rect class="u" x="{end[0] - 20:.1f}" y="{end[1] - 20:.1f}" width="76" height="40" rx="6"/>',
        f'<text x="{end[0] + 18:.1f}" y="{end[1] - 3:.1f}" text-anchor="middle" class="q s">loss</text>',
        f'<text x="{end[0] + 18:.1f}" y="{end[1] + 12:.1f}" text-anchor="middle">{_safe(loss)}</text>',
    ]
