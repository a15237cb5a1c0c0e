"""Pictures, explanations, curvature: ways to look at a model and its training."""
