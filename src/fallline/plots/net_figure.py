"""A drawn network as a part of a figure: circles and lines where `insight.network_layout` puts them."""

from typing import Any

from matplotlib.patches import Circle, PathPatch
from matplotlib.path import Path
from matplotlib.patheffects import withStroke

from fallline.insight import network_layout as places
from fallline.insight.network_drawing import Drawing
from fallline.plots.looks import Look
from fallline.typesetting import number

# Inches of a pixel of the layout, of title and notes, and of the longest side that is asked for.
UNIT, TEXTS, LARGEST = 1 / 84, 0.9, 12.0


def size_of(drawing: Drawing) -> tuple[float, float]:
    """Width and height that show it well, in inches."""
    _, across, down = _placed(drawing)
    return min(across * UNIT, LARGEST), min(down * UNIT + TEXTS, LARGEST)


def _placed(drawing: Drawing) -> tuple[places.Layout, float, float]:
    """Where its units stand, and how much room it takes, in pixels."""
    inputs = [drawing.name(stage.source, unit) for stage in drawing.wiring.stages for unit in stage.units
              if stage.label == "input"]  # fmt: skip
    at = places.laid_out(drawing.wiring, 12 + 6.3 * min(max(map(len, inputs), default=0), 24))
    return at, at.right + 2 * places.RADIUS, places.TOP + at.height


def draw(axes: Any, drawing: Drawing, look: Look) -> None:
    """Circles and lines; letters shrink with the circles where the figure is small for them."""
    wiring = drawing.wiring
    at, across, down = _placed(drawing)
    axes.set_axis_off()
    axes.set(xlim=(0, across), ylim=(down, 0), aspect="equal")
    wide, high = axes.figure.get_size_inches()
    scale = min(1.0, wide / (across * UNIT), (high - TEXTS) / (down * UNIT))
    font = (look.font - 1) * scale
    dashes = {"plus": "-", "minus": (0, (5, 2)), "varies": (0, (1, 2))}
    colours = {"plus": look.cycle[0], "minus": look.cycle[1], "varies": look.quiet}
    for one in places.strokes(wiring, at):
        (start, end), codes = one.ends, [Path.MOVETO, *[Path.CURVE4] * 3] if one.bow else [Path.MOVETO, Path.LINETO]
        axes.add_patch(PathPatch(Path([start, *one.bow, end], codes), fill=False, edgecolor=colours[one.sign],
                                 linewidth=0.8 * one.thick * scale, linestyle=dashes[one.sign]))  # fmt: skip
        if one.number is not None:
            axes.text(*one.number, number(one.wire.slope, 3), ha="center", fontsize=font - 1,
                      path_effects=[withStroke(linewidth=2, foreground=look.ground)])  # fmt: skip
    for stage, (x, y), units in zip(wiring.stages, at.heads, at.units, strict=True):
        some = "" if len(stage.units) == stage.width else f", {len(stage.units)} of {stage.width:,}"
        axes.text(x, y - 14, stage.source, parse_math=False, ha="center", fontsize=font, fontweight="bold")
        label = stage.label if len(stage.label) <= 22 else f"{stage.label[:20]}.."
        axes.text(x, y, label + some, parse_math=False, ha="center", fontsize=font - 1, color=look.quiet)
        for unit, place in zip(stage.units, units, strict=True):
            axes.add_patch(Circle(place, places.RADIUS, facecolor=look.grid, edgecolor=look.ink, linewidth=0.8 * scale))
            axes.text(*place, f"[{','.join(map(str, unit.index[1:]))}]", ha="center", va="center", fontsize=font - 1)
            if stage.label == "input":
                name = drawing.name(stage.source, unit)
                axes.text(place[0] - places.RADIUS - 5, place[1], name if len(name) <= 24 else f"{name[:22]}..",
                          ha="right", va="center", fontsize=font, parse_math=False)  # fmt: skip


__all__ = ["draw", "size_of"]
