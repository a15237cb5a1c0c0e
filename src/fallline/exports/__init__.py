"""Trained models in the forms of other programs. `exporter` chooses one by the ending of a file's name."""
