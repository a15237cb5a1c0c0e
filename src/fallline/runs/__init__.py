"""Everything that a run leaves: events, checkpoints, the model file, and the folder that holds them."""
