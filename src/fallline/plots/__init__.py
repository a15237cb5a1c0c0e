"""Pictures of runs, races and models: one table, drawn as matplotlib figures, as text, and as HTML in notebooks.

Every file of this folder that declares a picture is found by itself; adding one is adding a function to a file.
"""

import importlib
import pkgutil

from fallline.plots.chart import Axis, Bars, Chart, Contour, Heat, Line, Net, Panel, Points, Rule, Steps
from fallline.plots.looks import LOOKS, Look
from fallline.plots.notebook import Live, live
from fallline.plots.plot_table import PLOTS, Plot, plot, plots_of

for _module in pkgutil.iter_modules(__path__):
    if _module.name not in ("figure", "net_figure"):  # those that need matplotlib
        importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "LOOKS", "PLOTS", "Axis", "Bars", "Chart", "Contour", "Heat", "Line", "Live", "Look", "Net", "Panel", "Plot",
    "Points", "Rule", "Steps", "live", "plot", "plots_of",
]  # fmt: skip
