"""Several files as one: those of a folder or a pattern, which have the same columns, in the order of their names."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from glob import glob, has_magic
from itertools import takewhile
from pathlib import Path
from typing import Any

from fallline.data.dataset import listed
from fallline.data.json_lines import JsonLines, LateColumn
from fallline.data.piece import Piece
from fallline.data.plain_numbers import numbers
from fallline.data.reading import Reading
from fallline.errors import DataError, MissingFileError
from fallline.table import FILE

# Ends of the names of files of data, and of compressed ones.
SUFFIXES = (".csv", ".tsv", ".tab", ".psv", ".txt", ".dat", ".data", ".json", ".jsonl", ".ndjson", ".parquet", ".pq",
            ".feather", ".arrow", ".ipc")  # fmt: skip
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst", ".zip")


def is_several(path: str | Path) -> bool:
    """Whether a path is a folder or a pattern."""
    return Path(path).is_dir() or (has_magic(str(path)) and not Path(path).exists())


def found_files(path: str | Path) -> tuple[Path, list[Path]]:
    """The folder that several files lie in, and their paths in order.

    Errors: MissingFileError where there is none; DataError for a folder with files of several kinds.
    """
    folder = Path(path)
    if not folder.is_dir():
        found = sorted(Path(one) for one in glob(str(path), recursive=True) if Path(one).is_file())
        if not found:
            raise MissingFileError(f"no file matches {str(path)!r}")
        fixed = takewhile(lambda part: not has_magic(part), folder.parts)
        return Path(*fixed), found
    every = sorted(one for one in folder.rglob("*") if one.is_file())
    seen = [one for one in every if not any(part[0] in "._" for part in one.relative_to(folder).parts)]
    kinds = Counter(kind_of(one) for one in seen)
    kinds.pop("", None)
    if not kinds:
        raise DataError(f"{path} is a folder without files of data\n  try: a file, or a pattern such as '{path}/*.csv'")
    if len(kinds) > 1:
        told = ", ".join(f"{n} of {kind}" for kind, n in kinds.most_common())
        example = f"{path}/**/*{kinds.most_common(1)[0][0]}"
        raise DataError(f"{path} is a folder with files of several kinds: {told}\n  try: a pattern, {example!r}")
    return folder, [one for one in seen if kind_of(one)]


def kind_of(path: Path) -> str:
    """The end of a file's name that says what it holds; "" for files of other kinds."""
    suffixes = [one.lower() for one in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in SUFFIXES else ""


@dataclass(frozen=True)
class Several:
    """Open files as one. root: the folder whose `name=value` folders below are columns too."""

    name: str
    root: Path
    paths: tuple[Path, ...]
    files: tuple[Any, ...]
    reading: Reading

    def __post_init__(self) -> None:
        self._check()

    def _check(self) -> None:
        first = self.files[0]
        for file, path in zip(self.files[1:], self.paths[1:]):
            if {*file.names} != {*first.names}:
                without = [name for name in first.names if name not in file.names]
                besides = [name for name in file.names if name not in first.names]
                told = [f"without {listed(without)}"] * bool(without) + [f"with {listed(besides)}"] * bool(besides)
                raise DataError(f"{path} has other columns than {self.paths[0]}: {'; '.join(told)}\n"
                                "  try: a pattern of the files that belong together")  # fmt: skip
            if [*self._folders(path)] != [*self._folders(self.paths[0])]:
                raise DataError(f"{path} lies in other folders name=value than {self.paths[0]}")

    @property
    def parts(self) -> tuple[str, ...]:
        """The name of each file, for messages."""
        return tuple(file.name for file in self.files)

    @property
    def notes(self) -> list[str]:
        return [*dict.fromkeys(note for file in self.files for note in file.notes)]

    @property
    def names(self) -> tuple[str, ...]:
        folders = [name for name in self._folders(self.paths[0]) if name not in self.reading.drop]
        return (*self.files[0].names, *(name for name in folders if name not in self.files[0].names))

    def _folders(self, path: Path) -> dict[str, str]:
        """Names and values of the folders that a file lies in."""
        parts = path.relative_to(self.root).parts[:-1] if path.is_relative_to(self.root) else ()
        return {name: value for name, mark, value in (part.partition("=") for part in parts) if mark}

    def pieces(self, texts: Collection[str] = (), only: Collection[str] | None = None) -> Iterator[Piece]:
        """The rows of one file after the other. A line's number says also which file it is of.

        Errors: LateColumn, at most once; all files know their names then.
        """
        self._check()  # again, as files may have met names that are not at their beginning
        try:
            yield from self._pieces(texts, only)
        except LateColumn:
            for file in self.files:
                if isinstance(file, JsonLines):
                    file.learn_names()
            raise

    def _pieces(self, texts: Collection[str], only: Collection[str] | None) -> Iterator[Piece]:
        wanted = [name for name in self.names if only is None or name in only]
        for place, (file, path) in enumerate(zip(self.files, self.paths)):
            folders = self._folders(path)
            own = [name for name in wanted if name in file.names]
            for piece in file.pieces(texts, own):
                columns = dict(piece.columns)
                for name in wanted:
                    if name not in columns:
                        columns[name] = self._constant(name, folders[name], piece.rows, texts)
                yield replace(piece, columns=columns, lines=None if piece.lines is None else piece.lines + place * FILE)

    def _constant(self, name: str, value: str, rows: int, texts: Collection[str]) -> Any:
        import pyarrow

        strings = pyarrow.array([value] * rows, pyarrow.string())
        if name in texts or name in self.reading.texts:
            return strings
        found = numbers(strings)
        return strings if found is None else found
