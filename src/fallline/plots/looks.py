"""The two looks of a picture: "paper", dark on white, and "screen", light on dark. Colours only; no library that draws.

Colours can be told apart by colour-blind readers (Okabe & Ito 2008, darkened for white paper where a thin line would
be too pale), and lines differ in their dashes too.
"""

from dataclasses import dataclass

from fallline.errors import unknown


@dataclass(frozen=True, slots=True)
class Look:
    """Colours as #rrggbb. cycle: of series, in order; scale: matplotlib's name of the scale for ordered values."""

    name: str
    ground: str
    ink: str
    quiet: str  # ticks, rules, grid labels
    grid: str
    cycle: tuple[str, ...]
    scale: str
    contour: str
    font: float
    dots: int  # of a bitmap, to the inch


LOOKS: dict[str, Look] = {
    look.name: look
    for look in (
        Look(
            "paper", "#ffffff", "#000000", "#595959", "#dddddd",
            ("#0072b2", "#d55e00", "#007d5a", "#b3478c", "#000000", "#9c7100"), "viridis", "viridis", 9.0, 200,
        ),
        Look(
            "screen", "#15181d", "#f2f2f2", "#a9b1bb", "#343a43",
            ("#56b4e9", "#e69f00", "#23b07f", "#e58bc0", "#f0e442", "#d5d5d5"), "viridis", "viridis", 10.0, 110,
        ),
    )
}  # fmt: skip

# On and off, in widths of the line; the first is unbroken.
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2), (3, 2), (8, 2, 1.5, 2, 1.5, 2))


def look_of(name: str) -> Look:
    """The look of this name. Errors: ArgumentError for another name, with the nearest."""
    if name not in LOOKS:
        raise unknown("style", name, LOOKS)
    return LOOKS[name]


# Colours that stand out from white and from black alike, for pages that take the ground of whoever shows them.
ANY_GROUND = ("#1f83c4", "#d05a00", "#0f9470", "#b8559a", "#8a7a3d", "#7d7d7d")

# The scale viridis (Smith & van der Walt 2015) in nine steps from low to high: evenly lighter, also without colours.
SCALE = ("#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725")


def shade(share: float) -> str:
    """The colour at a place of the scale, 0 to 1, between its steps."""
    at = min(max(share, 0.0), 1.0) * (len(SCALE) - 1)
    low = min(int(at), len(SCALE) - 2)
    ends = [[int(one[i : i + 2], 16) for i in (1, 3, 5)] for one in SCALE[low : low + 2]]
    mixed = (round(a + (b - a) * (at - low)) for a, b in zip(*ends, strict=True))
    return "#" + "".join(f"{one:02x}" for one in mixed)
