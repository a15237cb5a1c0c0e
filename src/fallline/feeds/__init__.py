"""How a step finds its rows: the order of an epoch, windows over data that are not read whole, streams of batches."""
