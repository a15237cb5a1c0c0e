"""Pieces of the report's page, beyond those of `plots.page_parts`: headings, scrolling parts, charts, images."""

import base64
import re
import struct
import zlib

import numpy as np

from fallline.arrays import Array
from fallline.plots.chart import Chart
from fallline.plots.page_parts import escaped
from fallline.plots.vector import svg_of

# Pixels of a panel: three stand beside one another on a wide screen, and one is read on a phone as it is.
WIDTH, HEIGHT = 330, 200


def sub(text: str, level: int = 3) -> str:
    """A heading inside a section."""
    return f"<h{level}>{escaped(text)}</h{level}>"


def says(text: str, quiet: bool = False) -> str:
    """A paragraph; "" of no text."""
    return f"<p{' class=quiet' if quiet else ''}>{escaped(text)}</p>" if text else ""


def wide(inside: str, name: str) -> str:
    """A part that may be wider than the screen, and then scrolls by itself, with the keyboard too."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="{escaped(name)}">{inside}</div>'


def pictures(*charts: Chart, width: int = WIDTH, height: int = HEIGHT) -> str:
    """Charts beside one another, as many as there is room for; panels of one chart too."""
    drawn = (
        f'<figure style="width:{min(len(one.panels), 2) * (width + 8)}px">{svg_of(one, width, height)}</figure>'
        for one in charts
    )
    return f'<div class="pictures">{"".join(drawn)}</div>' if charts else ""


def demoted(html: str, by: int) -> str:
    """Markup with its headings so many levels lower. Texts are escaped in it, so only headings look like headings."""
    return re.sub(r"<(/?)h([1-4])\b", lambda found: f"<{found[1]}h{int(found[2]) + by}", html)


def image(values: Array, said: str) -> str:
    """An array (H, W), (1, H, W) or (3, H, W) as an image: its highest value dark where it has one channel."""
    cells = np.nan_to_num(np.asarray(values, np.float64), posinf=0.0, neginf=0.0)
    low, high = float(cells.min()), float(cells.max())
    shares = (cells - low) / (high - low) if high > low else np.zeros_like(cells)
    if shares.ndim == 3 and len(shares) == 3:
        pixels, colour = np.moveaxis(shares, 0, 2), 2
    else:
        pixels, colour = 1 - shares.reshape(shares.shape[-2:])[..., np.newaxis], 0
    bytes_ = np.ascontiguousarray((pixels * 255).round().astype(np.uint8))
    rows, columns = bytes_.shape[:2]
    lines = b"".join(b"\0" + bytes_[i].tobytes() for i in range(rows))
    head = struct.pack(">IIBBBBB", columns, rows, 8, colour, 0, 0, 0)
    chunks = _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(lines, 9)) + _chunk(b"IEND", b"")
    made = b"\x89PNG\r\n\x1a\n" + chunks
    return f'<img alt="{escaped(said)}" src="data:image/png;base64,{base64.b64encode(made).decode("ascii")}">'


def _chunk(name: bytes, inside: bytes) -> bytes:
    return struct.pack(">I", len(inside)) + name + inside + struct.pack(">I", zlib.crc32(name + inside))


__all__ = ["demoted", "image", "pictures", "says", "sub", "wide"]
