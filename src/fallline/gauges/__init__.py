"""Gauges: what to watch while a network trains. One table, `GAUGES`; a gauge is one definition in one file here."""

from fallline.gauges import curvature_gauges, gradient_gauges, noise_gauges, row_gauges, step_gauges, unit_gauges
from fallline.gauges.chosen import Gauges
from fallline.gauges.gauge_table import GAUGES, Gauge, gauge

# The files whose definitions make the table.
DEFINED_IN = (gradient_gauges, step_gauges, unit_gauges, noise_gauges, row_gauges, curvature_gauges)

__all__ = ["GAUGES", "Gauge", "Gauges", "gauge"]
