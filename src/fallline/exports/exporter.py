"""Export of a model: the kind of file follows from the ending of its name. The library of a kind is loaded late."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fallline.arguments import PATH, shown, takes
from fallline.errors import ArgumentError, ArgumentTypeError, ExistingFileError, nearest
from fallline.nn.model import Model
from fallline.ranges import FLAG
from fallline.runs.disk import saving_errors, write_atomically
from fallline.runs.kept import in_folder
from fallline.runs.model_file import ModelFile, read_file


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file. doc: in words. content: from a model, with all that was saved with it, to the bytes of the file.

    The second argument of content says in words where the model comes from.
    """

    doc: str
    content: Callable[[ModelFile, str], bytes]


def onnx_bytes(found: ModelFile, where: str) -> bytes:
    """The model as an ONNX file. Errors: those of `onnx_of`; ArgumentTypeError where onnx is not installed."""
    try:
        import onnx  # noqa: F401
    except ImportError:
        wanted = "writing an ONNX file takes the package onnx\n  try: pip install 'fallline[onnx]'"
        raise ArgumentTypeError(wanted) from None
    from fallline.exports.onnx_file import onnx_of

    content: bytes = onnx_of(found.model).SerializeToString()
    return content


def script_bytes(found: ModelFile, where: str) -> bytes:
    """The script that trains the model again. Errors: those of `script_of`."""
    from fallline.exports.script import script_of

    return script_of(found, where).encode()


FORMATS: Mapping[str, Format] = {
    ".onnx": Format("an ONNX graph with the preprocessing inside", onnx_bytes),
    ".py": Format("a Python script that trains the network again", script_bytes),
}


def format_of(path: Path) -> Format:
    """The kind of a file by its ending. Errors: ArgumentError for any other, with those that there are."""
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        kinds = ", ".join(f"{ending} ({one.doc})" for ending, one in FORMATS.items())
        seen = f"ends in {path.suffix!r}{nearest(path.suffix, FORMATS)}" if path.suffix else "has no ending"
        raise ArgumentError(f"the kind of an export follows from the ending of its file, and {str(path)!r} {seen}\n"
                            f"  known: {kinds}")  # fmt: skip
    return found


@takes(path=PATH, overwrite=FLAG)
def export(model: Any, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a model for other programs, atomically; the kind of file follows from its ending.

    model: a model, a run, or the path of a run folder or model file.
    path: ending in .onnx: an ONNX graph (opset 17) that takes raw values, an input (N, 1) of float64 or texts for each
        column of the encoder, and gives `label` and `probabilities`, or `prediction`, as `predict` does; its metadata
        name columns, classes and version. Without an encoder its inputs are the network's. Ending in .py: a script
        that trains the same network again, of a run of `fallline train`.
    overwrite: replace a file that is there.
    Errors: ArgumentError for another ending, and for a network that the format cannot hold, with the layer;
        ExistingFileError; those of `load_model` for a path; ArgumentTypeError for anything else, and where the package
        onnx is not installed; SavingError where the disk does not take it.
    Example: fl.export(run, "flowers.onnx")
    """
    path = Path(path)
    kind = format_of(path)
    if path.is_dir() or (path.exists() and not overwrite):
        if path.is_dir():
            raise ExistingFileError(f"{path} is a folder, and must not be replaced by a file")
        raise ExistingFileError(f"there is a file {path} already\n  try: overwrite=True to replace it, or another name")
    content = kind.content(*found_in(model))
    with saving_errors(path):
        write_atomically(path, lambda part: part.write_bytes(content))
    return path


def found_in(given: Any) -> tuple[ModelFile, str]:
    """A model that is given as itself, in a run, or by a path, and where it comes from. Errors: as for `export`."""
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        return (in_folder(path) if path.is_dir() else read_file(path)), str(given)
    found = getattr(given, "model", given)
    if not isinstance(found, Model):
        raise ArgumentTypeError(f"a model is exported, a run, or the path of one, got {shown(given)}")
    if found is given:
        return ModelFile(found, {}, None), "a model"
    return ModelFile(found, dict(given.extra), given.config), "the run"
