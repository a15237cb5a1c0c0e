"""Curvature: the spectrum of a function's Hessian around a point, the steps that it bears, the kind of the point.

here = curvature.at(function, params)              any function of nested arrays
here = curvature.of_model(run.model, (x, y))       a model's loss on rows
curvature.lambda_max(here), curvature.density(here), curvature.stable_step(here, optimizer, state=state)
"""

from fallline.arguments import module_attributes
from fallline.curvature.borders import Border, stable_step
from fallline.curvature.eigen import Eigenvalue, Eigenvectors, eigenvalues, eigenvectors, lambda_max, lambda_min
from fallline.curvature.flat import at
from fallline.curvature.on_rows import of_model
from fallline.curvature.stationary import Verdict, verdict_on
from fallline.curvature.stochastic import Density, Estimate, density, trace
from fallline.curvature.surface import Surface

__all__ = [
    "Border",
    "Density",
    "Eigenvalue",
    "Eigenvectors",
    "Estimate",
    "Surface",
    "Verdict",
    "at",
    "density",
    "eigenvalues",
    "eigenvectors",
    "lambda_max",
    "lambda_min",
    "of_model",
    "stable_step",
    "trace",
    "verdict_on",
]

__getattr__ = module_attributes(__name__, __all__)
