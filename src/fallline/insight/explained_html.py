"""An explanation as HTML: one file without scripts or links, readable in light and in dark."""

from collections.abc import Sequence
from html import escape

from fallline.insight import explained_svg
from fallline.insight.explained import CLOSE, Explained
from fallline.insight.explained_text import backward_rows, forward_rows, in_words_of, outcome, share, step_in_words
from fallline.insight.links import Link
from fallline.typesetting import number

# Columns of text that a list of numbers may take.
WIDTH = 116

STYLE = """
.fl-explained{color-scheme:light dark;--ground:#ffffff;--ink:#1a1a1a;--quiet:#5c5c5c;--rule:#dddddd;
background:var(--ground);color:var(--ink);font:15px/1.5 ui-sans-serif,system-ui,-apple-system,"Segoe UI",sans-serif;
padding:1rem 1.25rem;max-width:70rem;box-sizing:border-box}
@media (prefers-color-scheme:dark){.fl-explained{--ground:#15181d;--ink:#f2f2f2;--quiet:#a9b1bb;--rule:#343a43}}
.fl-explained h1{font-size:1.35rem;margin:.2rem 0 .6rem}.fl-explained h2{font-size:1.05rem;margin:1.4rem 0 .3rem}
.fl-explained p{margin:.3rem 0 .6rem;max-width:48rem}.fl-explained .q{color:var(--quiet)}
.fl-explained .wide{overflow-x:auto}.fl-explained svg{display:block;height:auto}
.fl-explained table{border-collapse:collapse;font-size:.87rem;margin:.2rem 0 .8rem;background:transparent}
.fl-explained th,.fl-explained td{text-align:left;padding:.16rem 1rem .16rem 0;border-bottom:1px solid var(--rule);
vertical-align:top;background:transparent;color:inherit}
.fl-explained th{font-weight:600;color:var(--quiet)}
.fl-explained code,.fl-explained td.n{font-family:ui-monospace,"SF Mono",Menlo,Consolas,monospace;font-size:.82rem;
background:none;color:inherit}
.fl-explained.here{color-scheme:inherit;--ground:transparent;--ink:currentColor;--quiet:currentColor;
--rule:rgba(128,128,128,.35)}.fl-explained.here .q,.fl-explained.here th{opacity:.75}
.fl-explained td.n{white-space:pre}.fl-explained dt{font-family:ui-monospace,Menlo,Consolas,monospace;
font-size:.87rem;margin-top:.6rem;font-weight:600}.fl-explained dd{margin:.1rem 0 .1rem 1.2rem}
"""


def page(e: Explained) -> str:
    """A whole page."""
    title = f"Explained: {e.chosen_name}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>html{{color-scheme:light dark}}"
        "body{margin:0;background:#fff}@media (prefers-color-scheme:dark){body{background:#15181d}}</style></head>\n"
        f"<body>{part(e, here=False)}</body></html>\n"
    )


def part(e: Explained, here: bool = True) -> str:
    """The explanation as a part of a page, with its own style: as notebooks show it.

    here: in the colours of the page around it, so that it follows a notebook's theme.
    """
    return "\n".join([
        f'<div class="fl-explained{" here" * here}"><style>{STYLE}</style>',
        "<h1>One row, forward and back</h1>" if e.is_single else f"<h1>{len(e.y):,} rows, forward and back</h1>",
        _paragraph(f"{len(e.layers)} layers, {e.model.theta.size:,} parameters. Followed: {e.chosen_name} = "
                   f"{number(e.chosen.value, 7)}."),
        *(_paragraph(note) for note in e.notes),
        f'<div class="wide">{explained_svg.draw(e, here)}</div>',
        "<h2>Forward</h2>",
        _table(["name", "layer", "numbers"], forward_rows(e, WIDTH), {0, 2}),
        *(_paragraph(" ".join(line.split())) for line in outcome(e)),
        "<h2>Backward</h2>",
        _paragraph("delta = d loss / d (the layer's output); each comes from the ones above it here."),
        _table(["name", "at", "numbers"], backward_rows(e, WIDTH), {0, 2}),
        f"<h2>The chain rule for {escape(e.chosen_name)}</h2><dl>",
        *(_link(link) for link in e.chain),
        "</dl><h2>Paths</h2>",
        _paragraph(in_words_of(e)),
        _paths(e),
        "<h2>Tried out</h2>",
        _checked(e),
        "<h2>The step</h2>",
        *(_paragraph(text) for text in step_in_words(e) if text),
        "</div>",
    ])  # fmt: skip


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]], plain: set[int]) -> str:
    """plain: columns of numbers and names, in letters of one width."""
    head = "".join(f"<th>{escape(text)}</th>" for text in headers)
    body = "".join(
        "<tr>"
        + "".join(f"<td{' class=n' if i in plain else ''}>{escape(cell)}</td>" for i, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _link(link: Link) -> str:
    rows = [
        [f"{t.slope_name} * {t.delta_name}", f"{number(t.slope, 5)} * {number(t.delta, 5)}", number(t.product, 6)]
        for t in link.terms
    ]
    rest = link.count - len(link.terms)
    if rest > 0:
        rows.append([f"and {rest:,} more, together", "", number(link.rest, 6)])
    table = _table(["term", "slope * delta", "product"], rows, {0, 1, 2}) if rows else ""
    return f"<dt>{escape(link.name)} = {number(link.value, 6)}</dt><dd>{escape(link.rule)}</dd><dd>{table}</dd>"


def _paths(e: Explained) -> str:
    if e.paths is None or not e.paths.listed:
        return ""
    rows = [
        [" > ".join(e.steps_of(path)), " * ".join(number(step.slope, 4) for step in path.steps),
         number(path.product, 6), share(e, path)]
        for path in e.paths.listed
    ]  # fmt: skip
    return _table(["path", "slopes", "product", "share"], rows, {0, 1, 2, 3})


def _checked(e: Explained) -> str:
    rows = [
        ["central difference, (loss(w + h) - loss(w - h)) / 2h", number(e.difference, 9)],
        ["backpropagation", number(e.derivative, 9)],
        *([["sum over all paths", number(e.paths.total, 9)]] if e.paths is not None else []),
        ["relative difference of the first two", f"{number(e.relative_difference, 2)}, with h = {number(e.step)}"],
    ]
    differ = e.relative_difference > CLOSE and e.derivative != e.difference
    why = "They differ: a corner or a jump of the loss this close, or a derivative lost in rounding."
    return _table(["", "derivative"], rows, {1}) + (_paragraph(why) if differ else "")
