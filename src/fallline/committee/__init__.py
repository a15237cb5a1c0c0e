"""Tables trained as several networks whose predictions are averaged: the folds of a preset, and what a search under a
time limit has found. `begin` and `fit` are what faces call for any recipe.
"""

from fallline.committee.entry import begin, fit
from fallline.committee.panel import Panel

__all__ = ["Panel", "begin", "fit"]
