"""How well a model does, and how sure that is: on rows of its own, and beside simpler models on the same rows."""
