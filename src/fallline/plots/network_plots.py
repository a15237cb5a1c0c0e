"""The network itself: its units and weights."""

from fallline.insight.network_drawing import drawing
from fallline.nn.ensemble import members
from fallline.nn.model import Model
from fallline.plots.chart import Axis, Chart, Net, Panel
from fallline.plots.plot_table import plot
from fallline.training.run import Run


@plot("network", of=Model, doc="the network drawn: its units, and its weights as lines")
def network(model: Model) -> Chart:
    """Units as circles, weights as lines, as `fl.drawing` finds them; of several networks, the first."""
    several = members(model)
    found = drawing(several[0])
    note = " ".join(found.notes) + (f" The first of {len(several)} networks." if len(several) > 1 else "")
    panel = Panel(Axis("layer", "1"), Axis("unit", "1"), (Net(found),))
    return Chart(f"Network, {found.title}", (panel,), note=note)


@plot("network", of=Run, doc="the network drawn: its units, and its weights as lines")
def network_of_run(run: Run) -> Chart:
    """The network with the parameters with which the run ended."""
    return network(run.model)
