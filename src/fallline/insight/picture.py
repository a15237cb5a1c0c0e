"""Pictures and tables for a terminal: plain functions that return a str. They know numbers and widths, nothing else.

Every picture is deterministic, holds no colour, keeps to its width, and takes any numbers: those that are not finite
are left out and counted below the picture. `ascii_only` draws with ASCII alone, for terminals that cannot do better.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.typesetting import cells, fit, number, pad, table

Array = np.ndarray[Any, np.dtype[Any]]
Series = Any  # an array of y, or a tuple (x, y) of two; alone, or by name in a mapping

# Braille cells are 2 dots wide and 4 high; bit of dot (row, column).
_BRAILLE = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_SHADES = " .:-=+*%#@"  # low to high, where lines cannot be drawn
_ROUND = (0.2, 0.5, 1, 2, 5, 10)  # steps between the numbers on an axis, times a power of ten
_NAMES = "abcdefghijklmnopqrstuvwxyz"
_NARROWEST, _LOWEST = 24, 3


def needs_ascii(encoding: str | None) -> bool:
    """Whether a stream of this encoding (`sys.stdout.encoding`) cannot carry the drawing characters."""
    try:
        "⠿█▏●•│└┤┬─…".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return False


def bars(
    values: Mapping[str, float], *, width: int = 72, title: str = "", log: bool = False, ascii_only: bool = False
) -> str:
    """One horizontal bar per name, from zero (with `log`, from just under the smallest), followed by its number."""
    numbers = {str(name): float(value) for name, value in values.items()}
    shown = {name: number(value) for name, value in numbers.items()}
    name_width = min(max((cells(fit(name, width)) for name in numbers), default=0), max(width // 3, 4))
    number_width = max((len(text) for text in shown.values()), default=0)
    room = max(width - name_width - number_width - 4, 1)
    drawable = {n: v for n, v in numbers.items() if math.isfinite(v) and (v > 0 or not log)}
    scaled = {n: math.log10(v) if log else v for n, v in drawable.items()}
    base = min(scaled.values(), default=0.0) - 0.3 if log else 0.0
    low, high = min([base, *scaled.values()]), max([base, *scaled.values()])
    zero = round(_share(base, low, high) * room) if low < base else 0
    out = [fit(title, width)] if title else []
    for name, text in shown.items():
        bar = ""
        if name in scaled:
            bar = _bar(zero, _share(scaled[name], low, high) * room, ascii_only)
        out.append(f"{pad(fit(name, name_width), name_width)}  {pad(text, number_width, True)}  {bar}".rstrip())
    return "\n".join(fit(line, width) for line in out)


def _bar(zero: int, end: float, ascii_only: bool) -> str:
    """A bar from the zero column to `end`, to an eighth of a column where the characters can do that."""
    if end < zero:
        return " " * round(end) + ("#" if ascii_only else "█") * (zero - round(end))
    if ascii_only:
        return " " * zero + "#" * round(end - zero)
    eighths = round((end - zero) * 8)
    return " " * zero + "█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[eighths % 8 - 1] if eighths % 8 else "")


def _share(value: Any, low: float, high: float) -> Any:
    """Where a value lies between two ends, 0 to 1. In halves: the distance of the ends may exceed the largest float."""
    distance = high / 2 - low / 2
    return (value / 2 - low / 2) / distance if distance > 0 else value * 0 + 0.5


@dataclass(frozen=True)
class Axis:
    """One axis: its ends, and whether it counts in powers of ten. Values of a log axis are held as their log10."""

    low: float
    high: float
    log: bool

    @staticmethod
    def over(values: Array, log: bool) -> "Axis":
        """The axis that shows all of these finite (log: positive) values; a single value gets room on both sides."""
        held = np.log10(values) if log else values
        low, high = (float(held.min()), float(held.max())) if held.size else (0.0, 1.0)
        if high / 2 - low / 2 <= 1e-12 * max(abs(high), abs(low)) or high == low:
            room = 0.5 if log else max(abs(low) * 0.1, 1e-300) if low else 1.0
            low, high = max(low - room, -1.7e308), min(high + room, 1.7e308)
        return Axis(low, high, log)

    def place(self, values: Array, dots: int) -> Array:
        """The nearest of `dots` positions, counted from the low end."""
        held = np.log10(values) if self.log else values
        place: Array = np.clip(np.rint(_share(held, self.low, self.high) * (dots - 1)), 0, dots - 1).astype(np.int64)
        return place

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Round values on the axis as (value, text), about `count` of them, 2 at least."""
        if self.log and self.high - self.low >= 1:
            first, last = math.ceil(self.low - 1e-9), min(math.floor(self.high + 1e-9), 307)
            stride = min(max(1, math.ceil((last - first + 1) / max(count, 1))), last - first)
            if last > first:
                return [(10.0**e, _power(e)) for e in range(first, last + 1, stride)]
        low, high = (10.0**self.low, 10.0 ** min(self.high, 308)) if self.log else (self.low, self.high)
        spread = high / 2 - low / 2
        rough = spread / max(count, 1) * 2
        if not math.isfinite(rough) or rough <= 0:
            return [(low, number(low)), (high, number(high))]
        unit = 10.0 ** math.floor(math.log10(rough))
        start = next((i for i, m in enumerate(_ROUND) if unit * m >= rough * 0.999), len(_ROUND) - 1)
        for step in (unit * m for m in reversed(_ROUND[: start + 1])):
            if not 1e-13 * max(abs(low), abs(high)) < step < math.inf:
                continue
            digits = max(3, math.ceil(math.log10(max(abs(low), abs(high)) / step)) + 1)
            counts = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
            inside = [step * k for k in counts if math.isfinite(step * k)]
            if len(inside) > 1:
                return [(v, number(v, digits)) for v in inside]
        return [(low, number(low)), (high, number(high))]


def _power(exponent: int) -> str:
    """10 to this power as people write it."""
    return f"{10.0**exponent:.{max(-exponent, 0)}f}" if -3 <= exponent <= 3 else f"1e{exponent}"


class Canvas:
    """A field of characters, `width` by `height`, with finer dots under each: 2 x 4 in Braille, 1 x 1 in ASCII."""

    def __init__(self, width: int, height: int, ascii_only: bool) -> None:
        self.width, self.height, self.ascii_only = width, height, ascii_only
        self.per_row, self.per_column = (1, 1) if ascii_only else (4, 2)
        self.dots = np.zeros((height * self.per_row, width * self.per_column), bool)
        self.marks: dict[tuple[int, int], str] = {}

    def line(self, columns: Array, rows: Array) -> None:
        """Dots along the straight lines between these dot positions, in order."""
        for x0, y0, x1, y1 in zip(columns[:-1], rows[:-1], columns[1:], rows[1:]):
            n = int(max(abs(x1 - x0), abs(y1 - y0))) + 1
            self.dots[np.rint(np.linspace(y0, y1, n)).astype(int), np.rint(np.linspace(x0, x1, n)).astype(int)] = True
        self.dots[rows, columns] = True

    def mark(self, column: int, row: int, character: str) -> None:
        """A character over the cell that holds this dot."""
        self.marks[int(row) // self.per_row, int(column) // self.per_column] = character

    def shade(self, depths: Array) -> None:
        """A character per cell, from light for 0 to dark for 9."""
        self.marks.update({(int(i), int(j)): _SHADES[depth] for (i, j), depth in np.ndenumerate(depths)})

    def lines(self) -> list[str]:
        grid = self.dots.reshape(self.height, self.per_row, self.width, self.per_column).transpose(0, 2, 1, 3)
        if self.ascii_only:
            text = np.where(grid[:, :, 0, 0], "*", " ")
        else:
            codes = (grid * _BRAILLE).sum((2, 3))
            text = np.array([[chr(0x2800 + c) if c else " " for c in row] for row in codes.tolist()], dtype="<U1")
        for place, character in self.marks.items():
            text[place] = character
        return ["".join(row) for row in text.tolist()]


def framed(canvas: Canvas, x_axis: Axis, y_axis: Axis, width: int, labels: tuple[str, str], title: str) -> list[str]:
    """The canvas with a scale to its left and one below, a title above."""
    side, corner, tee, flat, down = "|++-+" if canvas.ascii_only else "│└┤─┬"
    margin = width - canvas.width - 1
    at_row: dict[int, str] = {}
    for value, text in y_axis.ticks(max(canvas.height // 4, 2)):
        row = canvas.height - 1 - int(y_axis.place(np.array(value), canvas.height))
        at_row.setdefault(row, fit(text, margin))
    out = [fit(title, width)] if title else []
    if labels[1]:
        out.append(fit(labels[1], width))
    for row, text in enumerate(canvas.lines()):
        tick = at_row.get(row)
        out.append(f"{pad(tick or '', margin, True)}{tee if tick is not None else side}{text}".rstrip())
    rule, below = [flat] * canvas.width, [" "] * (canvas.width + margin + 1)
    free = 0
    for value, text in x_axis.ticks(max(canvas.width // 14, 2)):
        column = int(x_axis.place(np.array(value), canvas.width))
        start = min(max(margin + 1 + column - len(text) // 2, 0), len(below) - len(text))
        if start >= free and start + len(text) <= len(below):
            rule[column] = down
            below[start : start + len(text)] = text
            free = start + len(text) + 2
    out += [" " * margin + corner + "".join(rule), "".join(below).rstrip()]
    if labels[0]:
        label = fit(labels[0], canvas.width)
        out.append(" " * (margin + 1 + (canvas.width - cells(label)) // 2) + label)
    return out


def by_name(series: Series) -> dict[str, tuple[Array, Array]]:
    """Series as arrays of x and y of one length, by name; x is the position where none was given."""
    given = series if isinstance(series, Mapping) else {"": series}
    found = {}
    for name, value in given.items():
        pair = isinstance(value, tuple) and len(value) == 2 and all(np.ndim(part) for part in value)
        y = np.asarray(value[1] if pair else value, dtype=np.float64).ravel()
        x = np.asarray(value[0], dtype=np.float64).ravel() if pair else np.arange(y.size, dtype=np.float64)
        found[str(name)] = x[: y.size], y[: x.size]
    return found


def thinned(x: Array, y: Array, most: int) -> tuple[Array, Array]:
    """A long series by its first, lowest, highest and last point of each stretch: it looks the same when drawn."""
    if y.size <= 8 * most:
        return x, y
    keep = set()
    for part in np.array_split(np.arange(y.size), 2 * most):
        keep |= {int(part[0]), int(part[-1]), int(part[y[part].argmin()]), int(part[y[part].argmax()])}
    order = np.array(sorted(keep))
    return x[order], y[order]


def line_chart(
    series: Series,
    *,
    width: int = 72,
    height: int = 14,
    log_x: bool = False,
    log_y: bool = False,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    points: bool = False,
    ascii_only: bool = False,
) -> str:
    """Lines through numbers.

    series: an array of y, a tuple (x, y), or a mapping from names to either; several are told apart by letters.
    width, height: of the whole picture in columns, and of the drawn field in rows.
    log_x, log_y: count in powers of ten; values not above 0 are left out. points: mark every point.
    """
    width, height = max(width, _NARROWEST), max(height, _LOWEST)
    named = by_name(series)
    kept: dict[str, list[tuple[Array, Array]]] = {}
    left_out = 0
    for name, (x, y) in named.items():
        with np.errstate(invalid="ignore"):
            good = np.isfinite(x) & np.isfinite(y) & ((x > 0) | (not log_x)) & ((y > 0) | (not log_y))
        left_out += int((~good).sum())
        # A gap breaks the line: stretches of good points are drawn one by one.
        edges = np.flatnonzero(np.diff(np.concatenate([[0], good.view(np.int8), [0]])))
        kept[name] = [(x[a:b], y[a:b]) for a, b in zip(edges[::2], edges[1::2])]
    runs = [run for parts in kept.values() for run in parts]
    if not runs:
        return "\n".join([*([fit(title, width)] if title else []), fit("(no numbers to draw)", width)])
    x_axis = Axis.over(np.concatenate([x for x, _ in runs]), log_x)
    y_axis = Axis.over(np.concatenate([y for _, y in runs]), log_y)
    margin = min(max(len(text) for _, text in y_axis.ticks(max(height // 4, 2))), width // 3)
    canvas = Canvas(width - margin - 1, height, ascii_only)
    several = len(named) > 1
    for i, (_name, parts) in enumerate(kept.items()):
        mark = _NAMES[i % len(_NAMES)] if several else "o" if ascii_only else "●"
        for x, y in parts:
            x, y = thinned(x, y, canvas.dots.shape[1])
            columns = x_axis.place(x, canvas.dots.shape[1])
            rows = canvas.dots.shape[0] - 1 - y_axis.place(y, canvas.dots.shape[0])
            canvas.line(columns, rows)
            _letters(canvas, columns, rows, mark, i, len(named), points or x.size == 1)
    out = framed(canvas, x_axis, y_axis, width, (x_label, y_label), title)
    if several:
        names = "   ".join(f"{_NAMES[i % len(_NAMES)]} {name}" for i, name in enumerate(named))
        out.append(fit(" " * (margin + 1) + names, width))
    if left_out:
        out.append(fit(" " * (margin + 1) + f"({left_out} {_why_left_out(log_x or log_y)})", width))
    return "\n".join(out)


def _why_left_out(log: bool) -> str:
    return "not drawn: not finite, or not above 0" if log else "not drawn: not finite"


def _letters(canvas: Canvas, columns: Array, rows: Array, mark: str, i: int, of: int, points: bool) -> None:
    """Marks along a line: at each point, or a few places that differ from series to series."""
    chosen: Sequence[int]
    if points:
        chosen = range(columns.size)
    elif of > 1:
        places = np.linspace(0, columns.size - 1, 4 * of + 1)[1 + i :: of] if columns.size > 1 else [0]
        chosen = [int(p) for p in places]
    else:
        return
    for p in chosen:
        canvas.mark(columns[p], rows[p], mark)


def contour(
    values: Any,
    *,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    path: Any = (),
    marks: Mapping[str, Any] | None = None,
    width: int = 72,
    height: int = 24,
    levels: int = 8,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    ascii_only: bool = False,
) -> str:
    """Lines of equal height of a function of two numbers, with a path over it.

    values: array (rows, columns), values[i, j] at the i-th y from below and the j-th x from the left.
    path: points (x, y); the first ones are marked 0 to 9, all are joined. marks: character -> point (x, y), or points.
    levels: number of lines; they part the values into groups of equal size, so that valleys show. A letter on each
    line stands for its height, told below the picture. In ASCII, the higher, the darker.
    """
    width, height = max(width, _NARROWEST), max(height, _LOWEST)
    grid = np.atleast_2d(np.asarray(values, dtype=np.float64))
    x_axis = Axis(float(x_range[0]), float(x_range[1]), False)
    y_axis = Axis(float(y_range[0]), float(y_range[1]), False)
    margin = min(max(len(text) for _, text in y_axis.ticks(max(height // 4, 2))), width // 3)
    canvas = Canvas(width - margin - 1, height, ascii_only)
    finite = grid[np.isfinite(grid)]
    edges, bands = np.zeros(0), np.zeros(canvas.dots.shape, np.int64)
    if finite.size:
        edges = np.unique(np.quantile(finite, np.linspace(0, 1, levels + 2)[1:-1]))
        fine = stretched(np.where(np.isfinite(grid), grid, np.inf), canvas.dots.shape)[::-1]
        bands = np.searchsorted(edges, fine)
        if ascii_only:
            canvas.shade(bands * (len(_SHADES) - 1) // max(len(edges), 1))
        else:
            canvas.dots |= _borders(bands)
    steps = np.asarray(path, dtype=np.float64).reshape(-1, 2)
    _draw_path(canvas, _inside(steps, x_axis, y_axis), x_axis, y_axis)
    for character, where in (marks or {}).items():
        for point in _inside(np.asarray(where, dtype=np.float64).reshape(-1, 2), x_axis, y_axis):
            canvas.mark(*_dot(canvas, point, x_axis, y_axis), character[:1] or "?")
    heights = _shades(edges) if ascii_only else _lettered(canvas, edges, bands, "".join(marks or ()))
    return "\n".join([*framed(canvas, x_axis, y_axis, width, (x_label, y_label), title), *_under(heights, width)])


def _borders(bands: Array) -> Array:
    """The dots at which the band is another than that to the left or above."""
    found = np.zeros(bands.shape, bool)
    found[:, 1:] |= bands[:, 1:] != bands[:, :-1]
    found[1:] |= bands[1:] != bands[:-1]
    return found


def _lettered(canvas: Canvas, edges: Array, bands: Array, taken: str) -> list[str]:
    """A letter on each line of a contour, where the line is farthest from the others; returns `a 0.5` for each."""
    shape = (canvas.height, canvas.per_row, canvas.width, canvas.per_column)
    lines = [_borders((bands > i).astype(np.int8)).reshape(shape).any((1, 3)) for i in range(len(edges))]
    letters = iter(letter for letter in _NAMES if letter not in taken)
    told = []
    for i, edge in enumerate(edges):
        free = [(row, column) for row, column in np.argwhere(lines[i]).tolist() if (row, column) not in canvas.marks]
        letter = next(letters, "") if free else ""
        if not letter:
            continue
        # A row is about as high as two columns are wide.
        others = np.argwhere(np.any([line for j, line in enumerate(lines) if j != i] or [~lines[i] & False], axis=0))
        others = np.concatenate([others, np.reshape(list(canvas.marks), (-1, 2)), [[-4, -8]]]) * [2, 1]
        gaps = [float(np.abs(others - np.multiply(cell, [2, 1])).sum(axis=1).min()) for cell in free]
        canvas.marks[free[int(np.argmax(gaps))]] = letter
        told.append(f"{letter} {number(edge, 3)}")
    return ["heights:", *told] if told else []


def _shades(edges: Array) -> list[str]:
    """The heights that part the shades of a contour in ASCII: `[ ] 0.5 [.] 2 [:]`."""
    used = [_SHADES[band * (len(_SHADES) - 1) // max(len(edges), 1)] for band in range(len(edges) + 1)]
    told = [f"{number(edge, 3)} [{shade}]" for edge, shade in zip(edges, used[1:], strict=True)]
    return ["heights:", f"[{used[0]}]", *told] if told else []


def _under(parts: list[str], width: int) -> list[str]:
    """Parts side by side in as many lines as they need."""
    lines: list[str] = []
    for part in parts:
        if lines and cells(lines[-1]) + 2 + cells(part) <= width:
            lines[-1] += f"  {part}"
        else:
            lines.append(fit(part, width))
    return lines


def _inside(points: Array, x_axis: Axis, y_axis: Axis) -> Array:
    x, y = points[:, 0], points[:, 1]
    return points[(x >= x_axis.low) & (x <= x_axis.high) & (y >= y_axis.low) & (y <= y_axis.high)]


def _dot(canvas: Canvas, point: Array, x_axis: Axis, y_axis: Axis) -> tuple[int, int]:
    rows, columns = canvas.dots.shape
    return int(x_axis.place(point[0], columns)), rows - 1 - int(y_axis.place(point[1], rows))


def _draw_path(canvas: Canvas, steps: Array, x_axis: Axis, y_axis: Axis) -> None:
    """Cells along the path, and digits at its first points; an earlier digit is not overwritten by a later one."""
    places = [_dot(canvas, point, x_axis, y_axis) for point in steps]
    for (x0, y0), (x1, y1) in itertools.pairwise(places):
        n = max(abs(x1 - x0), abs(y1 - y0)) + 1
        for column, row in zip(np.rint(np.linspace(x0, x1, n)), np.rint(np.linspace(y0, y1, n))):
            canvas.mark(column, row, "o" if canvas.ascii_only else "•")
    for i in reversed(range(len(places))):
        canvas.mark(*places[i], str(i) if i < 10 else "o" if canvas.ascii_only else "●")


def stretched(grid: Array, shape: tuple[int, ...]) -> Array:
    """The grid at other sizes, linearly between its points."""
    result = grid
    for axis, size in enumerate(shape):
        n = result.shape[axis]
        at = np.linspace(0, n - 1, size)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, n - 1)
        share = (at - low).reshape([-1 if a == axis else 1 for a in range(2)])
        with np.errstate(invalid="ignore", over="ignore"):
            a, b = np.take(result, low, axis), np.take(result, high, axis)
            result = np.where(share == 0, a, a * (1 - share) + b * share)
    return result


def grid_of(function: Callable[[float, float], Any], x_range: tuple[float, float], y_range: tuple[float, float],
            columns: int = 61, rows: int = 41) -> Array:  # fmt: skip
    """The values of a function of two numbers on an even grid, as `contour` takes them."""
    xs, ys = np.linspace(*x_range, columns), np.linspace(*y_range, rows)
    return np.array([[float(function(x, y)) for x in xs] for y in ys])


__all__ = ["bars", "contour", "grid_of", "line_chart", "needs_ascii", "number", "table"]
