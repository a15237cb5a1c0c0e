"""Pictures, explanations and curvature of a model and its training."""
