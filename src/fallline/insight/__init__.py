"""Pictures and explanations of a model and its training."""
