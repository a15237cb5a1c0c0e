"""A network as a drawing in SVG: units as circles, slopes between them as lines. Text alone; computes no slope.

Readable in light and in dark, self-contained, and told apart without colour: lines of negative numbers are dashed, the
thickness is that of the absolute value, and the path that is followed lies on a broad band.
"""

from collections.abc import Callable
from html import escape

from fallline.insight.network_layout import (
    ACROSS,
    HEAD,
    RADIUS,
    SIDE,
    TOP,
    Layout,
    laid_out,
    strokes,
    way,
)
from fallline.insight.wiring import Unit, Wire, Wiring
from fallline.typesetting import cells, number

LETTER = 6.3  # width of one at font size 11

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
.fl-net.here{--ground:none;--ink:currentColor;--quiet:currentColor;--unit:rgba(128,128,128,.16);--plus:#1f83c4;
--minus:#d05a00;--band:rgba(222,178,32,.45);--other:#8a8a8a}.fl-net.here .q{opacity:.75}
"""
# Of the signs of lines, their classes in STYLE.
SIGNS = {"plus": "p", "minus": "m", "varies": "o"}


def svg_of(
    wiring: Wiring,
    title: str,
    notes: list[str],
    name: Callable[[str, Unit], str],
    loss: str = "",
    loss_slopes: tuple[float, ...] = (),
    here: bool = False,
) -> str:
    """The drawing, as the text of an SVG file.

    title: one line over it; notes: lines below it. name: of a unit, by its array, to write beside an input. loss: the
    loss as text, for a box at the end, with the slopes of the loss in the last units; "" without one. here: for a page
    that has a ground and a colour of text already, such as a notebook's, which are taken; else those of the reader's
    system, light or dark.
    """
    inputs = [name(stage.source, unit) for stage in wiring.stages if stage.label == "input" for unit in stage.units]
    left = SIDE + max((min(cells(text), 24) for text in inputs), default=0) * LETTER + 12
    at = laid_out(wiring, left)
    end = (at.right + ACROSS - 20, TOP + HEAD / 2 + at.height / 2)
    width = at.right + RADIUS + SIDE + 20 + bool(loss) * ACROSS
    width = max(width, cells(title) * 7.5 + 2 * SIDE, *(cells(note) * LETTER + 2 * SIDE for note in notes), 200)
    height = TOP + at.height + 26 + 16 * len(notes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="fl-net{" here" * here}" role="img" '
        f'width="{width:.0f}" height="{height:.0f}" '
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


def _bands(wiring: Wiring, at: Layout, end: tuple[float, float] | None) -> list[str]:
    """The broad band under the path that is followed."""
    parts = [f'<path class="w b" d="{_path(wire, at)}"/>' for wire in wiring.wires if wire.on_path]
    if end is not None and wiring.stages:
        for unit, (x, y) in zip(wiring.stages[-1].units, at.units[-1], strict=True):
            if unit.on_path:
                parts.append(f'<path class="w b" d="M{x + RADIUS:.1f},{y:.1f}L{end[0] - 20:.1f},{end[1]:.1f}"/>')
    return parts


def _path(wire: Wire, at: Layout) -> str:
    """The attribute d of a line."""
    ((x, y), (x2, y2)), bow = way(wire, at)
    bend = "".join(f"{bx:.1f},{by:.1f} " for bx, by in bow)
    return f"M{x:.1f},{y:.1f}{'C' if bow else 'L'}{bend}{x2:.1f},{y2:.1f}"


def _lines(wiring: Wiring, at: Layout) -> list[str]:
    """The lines, then the numbers of those that are few."""
    lines, numbers = list[str](), list[str]()
    for one in strokes(wiring, at):
        told = "depends on the row" if one.sign == "varies" else number(one.wire.slope, 6)
        lines.append(
            f'<path class="w {SIGNS[one.sign]}" stroke-width="{one.thick:.2f}" d="{_path(one.wire, at)}">'
            f"<title>{told}</title></path>"
        )
        if one.number is not None:
            spot = f'x="{one.number[0]:.1f}" y="{one.number[1]:.1f}"'
            numbers.append(f'<text class="n" {spot} text-anchor="middle">{number(one.wire.slope, 3)}</text>')
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
