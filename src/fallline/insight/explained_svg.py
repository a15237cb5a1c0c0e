"""An explanation as a drawn network: values in the units, deltas below, slopes between, the strongest path marked."""

from fallline.insight.explained import Explained
from fallline.insight.svg_network import svg_of
from fallline.insight.wiring import Unit
from fallline.typesetting import number


def draw(e: Explained, here: bool = False) -> str:
    """The drawing as SVG text. here: in the colours of the page around it."""
    wiring = e.wiring

    def name(source: str, unit: Unit) -> str:
        return e.column_of(source, unit.index) or e.number(source, unit.index)

    row = "" if e.is_single else f", row {wiring.row}"
    notes = [
        "In each circle a value, below it delta = d loss / d value. Lines are slopes: thick where large, dashed where "
        "negative.",
    ]
    if e.paths is not None and e.paths.listed:
        notes.append(f"On the band: the strongest path from {e.chosen_name}.")
    if not wiring.is_whole:
        notes.append("Of large layers the units with the largest |value * delta| are drawn.")
    last = wiring.stages[-1] if e.layers and wiring.stages else None
    slopes = tuple(unit.delta or 0.0 for unit in last.units) if last is not None else ()
    return svg_of(wiring, f"Forward and back{row}: {e.model.loss.name} {number(e.loss, 5)}", notes, name,
                  number(e.loss, 4), slopes, here)  # fmt: skip
