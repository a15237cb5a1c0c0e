"""The graphs of a training step: loss, gradient, update, and the values that are measured in it."""
