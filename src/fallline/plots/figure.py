"""Charts as matplotlib figures. The only file that knows matplotlib; it uses neither pyplot nor the caller's settings.

Every figure carries its own settings and draws itself under them, so it looks the same whatever the caller's
rcParams say, and leaves them as they were.
"""

import math
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import Formatter, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from fallline.plots import net_figure
from fallline.plots.chart import (
    Axis,
    Bars,
    Chart,
    Contour,
    Heat,
    Line,
    Mark,
    Net,
    Panel,
    Points,
    Rule,
    Steps,
    is_log,
    net_of,
    spread,
)
from fallline.plots.looks import DASHES, Look
from fallline.typesetting import number

# Inches of a picture with one panel, and of each panel of several.
ALONE, BESIDE = (5.2, 3.3), (3.4, 2.7)
RULES = ((2, 2), (6, 2), (1, 1))
# Entries of a legend above a panel; more stand in a column at its right.
MOST_ABOVE = 4
_OWN = ("backend", "backend_fallback", "interactive", "toolbar", "timezone")


class Picture(Figure):  # type: ignore[misc]  # mypy does not read matplotlib
    """A Figure that draws itself under settings of its own."""

    settings: dict[str, Any]

    def draw(self, renderer: Any) -> None:
        with under(self.settings):
            super().draw(renderer)

    def savefig(self, fname: Any, **kwargs: Any) -> None:
        with under(self.settings):
            super().savefig(fname, **{"facecolor": self.get_facecolor(), **kwargs})

    def _repr_png_(self) -> bytes:
        """A notebook shows it without pyplot."""
        import io

        held = io.BytesIO()
        self.savefig(held, format="png")
        return held.getvalue()


@contextmanager
def under(settings: dict[str, Any]) -> Iterator[None]:
    """These settings inside the block; the caller's before and after it."""
    with matplotlib.rc_context(settings):
        yield


def settings_of(look: Look) -> dict[str, Any]:
    """All of matplotlib's settings: its defaults but for those of the look."""
    defaults = {name: value for name, value in matplotlib.rcParamsDefault.items() if name not in _OWN}
    return {
        **defaults,
        "font.size": look.font,
        "font.family": ["sans-serif"],
        "axes.titlesize": look.font,
        "axes.labelsize": look.font,
        "xtick.labelsize": look.font - 1,
        "ytick.labelsize": look.font - 1,
        "legend.fontsize": look.font - 1,
        "figure.titlesize": look.font + 1,
        "figure.dpi": look.dots,
        "savefig.dpi": look.dots,
        "figure.facecolor": look.ground,
        "axes.facecolor": look.ground,
        "savefig.facecolor": look.ground,
        "text.color": look.ink,
        "axes.labelcolor": look.ink,
        "axes.titlecolor": look.ink,
        "axes.edgecolor": look.quiet,
        "xtick.color": look.quiet,
        "ytick.color": look.quiet,
        "xtick.labelcolor": look.ink,
        "ytick.labelcolor": look.ink,
        "grid.color": look.grid,
        "grid.linewidth": 0.6,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.unicode_minus": True,
        "legend.frameon": False,
        "lines.linewidth": 1.6,
        "lines.markersize": 4,
        "pdf.fonttype": 42,
        "svg.fonttype": "path",
        "svg.hashsalt": "fallline",
        "axes.formatter.use_mathtext": True,
    }


class Numbers(Formatter):  # type: ignore[misc]
    """The numbers of an axis in as many digits as tell them apart, none of them set apart from it as a factor."""

    places: Any = ()

    def set_locs(self, locs: Any) -> None:
        self.places = locs

    def __call__(self, x: float, pos: int | None = None) -> str:
        places = np.asarray(self.places if len(self.places) else [x], np.float64)
        step = float(np.diff(np.unique(places)).min()) if len(np.unique(places)) > 1 else abs(x)
        largest = float(np.abs(places).max())
        digits = math.ceil(math.log10(largest / step)) + 2 if 0 < step < largest else 3
        text = number(0.0 if abs(x) < 1e-9 * largest else x, max(digits, 3))
        return text.replace("-", "\N{MINUS SIGN}")


def figure_of(chart: Chart, look: Look, size: tuple[float, float] | None = None) -> Figure:
    """The chart as a figure, in the colours of a look. size: inches; None for what its panels need."""
    settings = settings_of(look)
    columns = min(chart.columns, len(chart.panels))
    rows = math.ceil(len(chart.panels) / columns)
    with under(settings):
        alone = len(chart.panels) == 1
        named = max(sum(bool(getattr(mark, "name", "")) for mark in panel.marks) for panel in chart.panels)
        wide = BESIDE[0] + 1.2 * (named > MOST_ABOVE)
        width, height = ALONE if alone else (wide * columns, BESIDE[1] * rows + 0.3)
        if size is None and alone:
            width, height = _room_for(chart.panels[0], width, height)
        figure = Picture(figsize=size or (width, height), layout="constrained")
        figure.settings = settings
        for place, panel in enumerate(chart.panels, 1):
            axes = figure.add_subplot(rows, columns, place)
            _draw(axes, panel, look, several=not alone)
        if chart.shade is not None:
            _scale(figure, chart.shade, look)
        if chart.title:
            figure.suptitle(_plain(chart.title), x=0.01, ha="left", fontweight="bold")
        if chart.note:
            figure.supxlabel(_wrapped(chart.note, figure.get_figwidth(), look.font - 1), fontsize=look.font - 1,
                             color=look.quiet, x=0.01, ha="left")  # fmt: skip
    return figure


def _room_for(panel: Panel, width: float, height: float) -> tuple[float, float]:
    """A size that holds a heat map's cells, many bars, or a legend at the side."""
    for mark in panel.marks:
        if isinstance(mark, Heat):
            rows, columns = mark.values.shape
            longest = max((len(name) for name in (*panel.x.names, *panel.y.names)), default=0)
            return max(width - 1, 0.42 * columns + 1.6 + 0.06 * longest), max(height, 0.36 * rows + 1.4)
        if isinstance(mark, Bars):
            height = max(height, 0.3 * len(mark.values) + 1.0)
        if isinstance(mark, Net):
            across, down = net_figure.size_of(mark.drawing)
            return max(width, across), down
    named = [mark.name for mark in panel.marks if getattr(mark, "name", "")]
    if len(named) <= MOST_ABOVE:
        return width, height
    return width + 0.6 + 0.07 * min(max(map(len, named)), 50), max(height, 0.19 * len(named) + 0.8)


def _draw(axes: Axes, panel: Panel, look: Look, several: bool) -> None:
    net = net_of(panel)
    if net is not None:
        net_figure.draw(axes, net, look)
        return
    axes.grid(True)
    log = {axis: is_log(panel, axis) for axis in "xy"}
    free = iter(range(10_000))
    over = any(isinstance(mark, Contour) for mark in panel.marks)
    for mark in panel.marks:
        chosen = getattr(mark, "slot", None)
        needs = not isinstance(mark, Rule | Heat | Contour) and getattr(mark, "shade", None) is None
        slot = chosen if chosen is not None else next(free) if needs else 0
        before = list(axes.lines)
        _MARKS[type(mark)](axes, mark, panel, look, slot)
        for line in axes.lines if over else ():
            if line not in before:  # white with a dark edge is seen on every shade
                line.set(
                    color="#ffffff", path_effects=[withStroke(linewidth=line.get_linewidth() + 1.4, foreground="k")]
                )
                line.set(linestyle="-" if line.get_linestyle() != "None" else "none")
    for axis in "xy":
        _dress(axes, axis, getattr(panel, axis), log[axis], panel, look)
    rows = _legend(axes, several)
    if panel.title:
        axes.set_title(_plain(panel.title), loc="left", pad=6 + 1.45 * (look.font - 1) * rows)


def _dress(axes: Axes, axis: str, of: Axis, log: bool, panel: Panel, look: Look) -> None:
    """Name, scale, ends and ticks of one axis."""
    inches = axes.figure.get_size_inches()[int(axis == "y")] / (axes.get_gridspec().nrows if axis == "y" else 1)
    fits = max(12, int((inches - 1.1) * 72 / (0.58 * look.font)))
    parts = [of.label] if len(of.label) <= fits or axis == "x" else of.label.replace(" (", "\n(").split("\n")
    label = "\n".join(line for part in parts for line in (textwrap.wrap(part, fits) if axis == "y" else [part]))
    getattr(axes, f"set_{axis}label")(_plain(label))
    ticks = getattr(axes, f"{axis}axis")
    if of.names:
        ticks.set_major_locator(matplotlib.ticker.FixedLocator(range(len(of.names))))
        names = [_plain(name if len(name) <= 28 else name[:27] + "…") for name in of.names]
        wide = axis == "x" and max(map(len, names)) > 3
        getattr(axes, f"set_{axis}ticklabels")(names, **({"rotation": 90} if wide else {}))
        ticks.set_minor_locator(NullLocator())
        axes.grid(False, axis=axis)
        return
    values = spread(panel, axis)
    if log:
        getattr(axes, f"set_{axis}scale")("log", nonpositive="mask")
        positive = values[values > 0]
        decades = np.log10(positive.max() / positive.min()) if positive.size else 0
        if decades < 1.2:  # few powers of ten to write: plain numbers between them too
            ticks.set_major_locator(LogLocator(10, (1.0, 2.0, 3.0, 5.0), numticks=9))
            ticks.set_major_formatter(FuncFormatter(lambda value, _: number(value, 3)))
        ticks.set_minor_formatter(NullFormatter())
    else:
        ticks.set_major_locator(MaxNLocator(6, integer=of.whole, steps=[1, 2, 2.5, 5, 10], min_n_ticks=1))
        ticks.set_major_formatter(Numbers())
    if of.span is not None:
        getattr(axes, f"set_{axis}lim")(*of.span)


def _legend(axes: Axes, several: bool) -> int:
    """The legend, above the axes or at their right; how many rows of it stand above."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return 0
    if len(handles) <= MOST_ABOVE:
        width = axes.figure.get_figwidth() if not several else BESIDE[0]
        room = max(1, int((width - 0.8) / (0.062 * max(map(len, labels)) + 0.5)))
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=min(len(handles), room), borderaxespad=0.1,
                    columnspacing=1.2, handlelength=2.2)  # fmt: skip
        return math.ceil(len(handles) / room)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0, handlelength=2.6)
    return 0


def _shade(look: Look, share: float) -> Any:
    """A colour of the ordered scale, without its end that fades into the ground."""
    low, high = (0.0, 0.88) if look.name == "paper" else (0.22, 1.0)
    return matplotlib.colormaps[look.scale](low + (high - low) * share)


def _line(axes: Axes, mark: Line, panel: Panel, look: Look, slot: int) -> None:
    colour = _shade(look, mark.shade) if mark.shade is not None else look.cycle[slot % len(look.cycle)]
    dashes = DASHES[slot % len(DASHES)] if mark.shade is None else ()
    alone = np.isfinite(np.asarray(mark.y, float)).sum() == 1
    (line,) = axes.plot(mark.x, mark.y, color=colour, marker="o" if mark.dots or alone else None,
                        label=_plain(mark.name) or None, alpha=0.4 if mark.faint else 1.0)  # fmt: skip
    if mark.faint:
        line.set_linewidth(0.8)
    if dashes:
        line.set_dashes(dashes)
    if mark.low is not None and mark.high is not None:
        axes.fill_between(mark.x, mark.low, mark.high, color=colour, alpha=0.2, linewidth=0)


def _points(axes: Axes, mark: Points, panel: Panel, look: Look, slot: int) -> None:
    crowd = len(mark.x) > 300
    colour = look.cycle[slot % len(look.cycle)]
    edge = 0 if mark.form == "o" else 1.4
    axes.plot(mark.x, mark.y, linestyle="none", marker=mark.form, color=colour, label=_plain(mark.name) or None,
              markersize=3 if crowd else 5, alpha=0.45 if crowd else 1.0, markeredgewidth=edge, clip_on=False,
              rasterized=len(mark.x) > 5000)  # fmt: skip


def _steps(axes: Axes, mark: Steps, panel: Panel, look: Look, slot: int) -> None:
    colour = look.cycle[slot % len(look.cycle)]
    base = 0.5 if is_log(panel, "y") else 0
    counts = np.maximum(mark.counts, base)
    axes.stairs(counts, mark.edges, baseline=base, fill=True, facecolor=colour, alpha=0.3)
    axes.stairs(counts, mark.edges, baseline=base, color=colour, label=_plain(mark.name) or None, linewidth=1.2)


def _bars(axes: Axes, mark: Bars, panel: Panel, look: Look, slot: int) -> None:
    colour = look.cycle[slot % len(look.cycle)]
    axes.barh(range(len(mark.values)), mark.values, xerr=mark.errors, color=colour, height=0.66, ecolor=look.ink,
              error_kw={"linewidth": 1.0, "capsize": 2}, label=_plain(mark.name) or None)  # fmt: skip
    axes.set_ylim(len(mark.values) - 0.5, -0.5)


def _rule(axes: Axes, mark: Rule, panel: Panel, look: Look, slot: int) -> None:
    line = axes.axvline if mark.axis == "x" else axes.axhline
    before = sum(isinstance(one, Rule) for one in panel.marks[: panel.marks.index(mark)])
    line(
        mark.at, color=look.quiet, linewidth=1.2, dashes=RULES[before % len(RULES)], label=_plain(mark.name), zorder=1.5
    )


def _heat(axes: Axes, mark: Heat, panel: Panel, look: Look, slot: int) -> None:
    axes.grid(False)
    scale = LinearSegmentedColormap.from_list("fallline", [look.ground, look.cycle[0]])
    top = float(np.nanmax(mark.values)) if np.isfinite(mark.values).any() else 1.0
    axes.imshow(mark.values, cmap=scale, vmin=0, vmax=top or 1.0, aspect="auto" if mark.values.size > 900 else "equal")
    for spine in axes.spines.values():
        spine.set_visible(False)
    if not mark.written:
        return
    for i, j in np.ndindex(mark.values.shape):
        value = mark.values[i, j]
        if not np.isfinite(value) or value == 0:
            continue
        dark = value > 0.55 * top
        colour = ("#ffffff" if look.name == "paper" else "#000000") if dark else look.ink
        axes.text(j, i, number(value, 4), ha="center", va="center", color=colour, fontsize=look.font - 2)


def _contour(axes: Axes, mark: Contour, panel: Panel, look: Look, slot: int) -> None:
    finite = mark.values[np.isfinite(mark.values)]
    if not finite.size or finite.min() == finite.max():
        return
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, 14)))
    masked = np.ma.masked_invalid(mark.values)
    colours = matplotlib.colormaps[look.contour](np.linspace(0.1, 0.95, len(edges) + 1))
    filled = axes.contourf(mark.x, mark.y, masked, levels=edges, colors=colours, alpha=0.85, extend="neither")
    axes.contour(mark.x, mark.y, masked, levels=edges, colors=look.ground, linewidths=0.4)
    bar = axes.figure.colorbar(filled, ax=axes, ticks=edges[::3])
    bar.ax.set_yticklabels([number(edge, 3) for edge in edges[::3]])
    bar.set_label(_plain(mark.name))
    bar.outline.set_visible(False)
    axes.grid(False)


def _scale(figure: Figure, shade: tuple[str, float, float], look: Look) -> None:
    """The scale of colours beside the panels."""
    name, low, high = shade
    colours = LinearSegmentedColormap.from_list("fallline", [_shade(look, share) for share in np.linspace(0, 1, 32)])
    kind = matplotlib.colors.LogNorm if low > 0 and high > 10 * low else matplotlib.colors.Normalize
    held = matplotlib.cm.ScalarMappable(kind(low, high), colours)
    bar = figure.colorbar(held, ax=figure.axes)
    bar.set_label(_plain(name))
    bar.outline.set_visible(False)


_MARKS: dict[type[Mark], Any] = {
    Line: _line, Points: _points, Steps: _steps, Bars: _bars, Rule: _rule, Heat: _heat, Contour: _contour
}  # fmt: skip


def _plain(text: str) -> str:
    """A text of which nothing is read as a formula, and that a legend does not leave out."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def _wrapped(text: str, inches: float, font: float) -> str:
    return _plain("\n".join(textwrap.wrap(text, max(20, int(inches * 72 / (0.61 * font))))))
