"""Training as a stream of events: the loop, its batches, validation, early stopping, checkpoints and run folders."""

from fallline.training.events import (
    CheckpointSaved,
    Diverged,
    EpochEnded,
    Event,
    Progress,
    TrainingEnded,
    TrainingStarted,
)
from fallline.training.start import fit, train
from fallline.training.model_file import load_model, read_model, save_model
from fallline.training.run import Run, load_run
from fallline.training.stopping import EarlyStopping
from fallline.training.training import Training

__all__ = [
    "CheckpointSaved",
    "Diverged",
    "EarlyStopping",
    "EpochEnded",
    "Event",
    "Progress",
    "Run",
    "Training",
    "TrainingEnded",
    "TrainingStarted",
    "fit",
    "load_model",
    "load_run",
    "read_model",
    "save_model",
    "train",
]
