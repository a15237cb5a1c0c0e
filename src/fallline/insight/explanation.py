"""Explanation: what `fl.explain` returns, and the forms it can be read in. Each form has a file of its own."""

from typing import Any

from fallline.displays import Displayed
from fallline.insight import explained_html, explained_latex, explained_svg, explained_text
from fallline.insight.explained import Explained, LayerView, to_dict

__all__ = ["Explanation", "LayerView"]


class Explanation(Displayed, Explained):
    """A forward and a backward pass in numbers, and the chain rule for one number: what `fl.explain` returns.

    str() of it is the text for a terminal; its numbers are attributes, as `Explained` lists them.
    """

    def __str__(self) -> str:
        return self.text()

    def text(self, *, width: int = 100, ascii_only: bool = False) -> str:
        """The explanation to read, at most `width` columns wide."""
        return explained_text.tell(self, width=width, ascii_only=ascii_only)

    def html(self) -> str:
        """The explanation as a page: one HTML file without scripts, readable in light and in dark."""
        return explained_html.page(self)

    def _repr_html_(self) -> str:
        return explained_html.part(self)

    def latex(self, *, document: bool = False) -> str:
        r"""The explanation as LaTeX: `align*` environments for a document with amsmath and textcomp.

        document: a whole document instead, which compiles as it is.
        """
        return explained_latex.document(self) if document else explained_latex.fragment(self)

    def svg(self) -> str:
        """The network drawn with its values and deltas, the strongest path marked: the text of an SVG file."""
        return explained_svg.draw(self)

    def to_dict(self) -> dict[str, Any]:
        """The explanation as plain numbers, lists and dicts, as JSON holds them (NaN and infinity as None)."""
        return to_dict(self)
