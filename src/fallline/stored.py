"""Rows that stay where they are stored until they are needed: of a memory map, or of anything with shape, dtype and
slices of rows, such as a data set of an HDF5 file.

Reads in ascending order whatever the requested order, and releases the pages of a memory map, so that the resident
memory stays small. Knows no models and no training.
"""

import mmap
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import shown
from fallline.arrays import Array
from fallline.errors import DataError, FalllineError, ReadingError
from fallline.source import PARTS, Form, Shape, Source

# Larger memory maps, and larger arrays in files, are not read whole.
WHOLE_BYTES = 1 << 28

# Rows of a memory map that are read before its pages are let go of: for one of them the system may map a megabyte.
_MAPPED_ROWS = 512
# Rows from so many bytes on are read from the file of a memory map, each by a call, and no page is mapped for them.
_CALL_BYTES = 256
# Bytes read by one slice, and bytes between two rows that are rather read along than read apart.
_SLICE_BYTES, _GAP_BYTES = 1 << 24, 1 << 17


@dataclass(frozen=True, eq=False)
class Stored:
    """Rows that are read when they are needed. It has the shape and dtype of the array that it stands for.

    given: holds the rows. shape, dtype: of all rows as they are read. ready: from rows as they are given, and their
    numbers, to rows as they are read; None where they are the same.
    """

    given: Any
    shape: Shape
    dtype: np.dtype[Any]
    ready: Callable[[Array, Array], Array] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.float64))

    @property
    def nbytes(self) -> int:
        """Bytes of all rows, were they read at once."""
        return self.size * self.dtype.itemsize

    def read(self, rows: Array, into: Array) -> None:
        """into[i] = row rows[i]. Errors: those of `ready`, and whatever the holder of the rows raises."""
        if self.ready is None:
            read_rows(self.given, rows, into)
            return
        into[...] = self.ready(self.raw(rows), rows)

    def raw(self, rows: Array) -> Array:
        """Some rows as they are stored."""
        found = self.space(len(rows))
        read_rows(self.given, rows, found)
        return found

    def space(self, rows: int) -> Array:
        """An array for so many rows as they are stored; NaN where a Source may forget to write, so that it is told."""
        found = np.empty((rows, *self.given.shape[1:]), native(self.given.dtype))
        if isinstance(self.given, Column) and found.dtype.kind == "f":
            found.fill(np.nan)
        return found

    def __getitem__(self, rows: Array) -> Array:
        """The rows of these numbers as an array. Errors: as for `read`, other than ours as ReadingError."""
        found = self.space(len(rows)) if self.ready is None else np.empty((len(rows), *self.shape[1:]), self.dtype)
        with _reading():
            self.read(rows, found)
        return found

    def as_given(self, rows: Array) -> Array:
        """These rows as they are stored. Errors: as for []."""
        with _reading():
            return self.raw(rows)

    def whole(self) -> Array:
        """All rows as an array."""
        return self[np.arange(len(self))]


@contextmanager
def _reading() -> Iterator[None]:
    """Errors of the code that reads rows become ReadingError."""
    try:
        yield
    except FalllineError:
        raise
    except Exception as error:
        raise ReadingError(f"the data cannot be read: {type(error).__name__}: {error}") from error


@dataclass(frozen=True, eq=False)
class Column:
    """The rows of one name of a Source. shape: of all rows; dtype: of the arrays that it is read into."""

    source: Source
    name: str
    shape: Shape
    dtype: np.dtype[Any]


def parts_of_source(source: Source, needed: Sequence[str] = ("x", "y")) -> dict[str, Any]:
    """A Source as the data that a training takes: {"x": ..., "y": ...}, each part Stored; x.NAME are several inputs.

    Errors: DataError for rows or a form that are not those of a Source, and for names of which one is inside another.
    """
    rows, form = source.rows, source.form
    if isinstance(rows, bool) or not isinstance(rows, int | np.integer) or rows < 0:
        raise DataError(f"rows of a source is a whole number, how many there are, got {shown(rows)}")
    if not isinstance(form, Mapping):
        raise DataError(f"form of a source is a dict by name, got {shown(form)}\n  {_FORM}")
    strange = [name for name in form if not isinstance(name, str) or name.partition(".")[0] not in PARTS]
    missing = [name for name in needed if not any(str(one).partition(".")[0] == name for one in form)]
    if strange or missing:
        wrong = f"the name {strange[0]!r}" if strange else f"nothing under {missing[0]!r}"
        raise DataError(
            f"form of a source has {wrong}; names are x, or x.NAME of several inputs, y and weight\n  {_FORM}"
        )
    found: dict[str, Any] = {}
    for path, one in form.items():
        column = Column(source, path, *_as_form(path, one, int(rows)))
        *folders, name = path.split(".")
        place = found
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                break
        if not isinstance(place, dict) or name in place:
            raise DataError(f"form of a source has {path!r} and a name inside it, so one of them has no place")
        place[name] = Stored(column, column.shape, column.dtype)
    return found


_FORM = 'try: form = {"x": fl.Form((3,), np.dtype("float32")), "y": fl.Form((), np.dtype("int64"))}'


def _as_form(name: str, given: Any, rows: int) -> tuple[Shape, np.dtype[Any]]:
    """The shape of all rows under a name, and the dtype in which they are read. Errors: DataError."""
    try:
        shape, dtype = tuple(int(n) for n in given.shape), native(np.dtype(given.dtype))
    except (AttributeError, TypeError, ValueError):
        raise DataError(
            f"form of a source has {shown(given)} under {name!r}, not a Form of one row\n  {_FORM}"
        ) from None
    if dtype.kind not in "fiub" or min(shape, default=0) < 0:
        raise DataError(f"{name} of a source holds {dtype} of shape {shape}; only real numbers can be trained on")
    return (rows, *shape), dtype


def blocks_of(source: Source) -> Iterator[Any]:
    """The inputs of a Source's rows in blocks that are read one after the other, each an array or a dict of arrays.

    Errors: as for `parts_of_source`; ReadingError.
    """
    x = parts_of_source(source, ("x",))["x"]
    size = sum(one.nbytes for one in tree.leaves(x)) // max(1, source.rows)
    step = max(1, _SLICE_BYTES // max(1, size))
    for start in range(0, max(1, source.rows), step):
        rows = np.arange(start, min(start + step, source.rows))
        yield tree.unflatten(x, [one[rows] for one in tree.leaves(x)])


def is_source(given: Any) -> bool:
    """Whether this is a Source; quick for other values."""
    return hasattr(given, "form") and isinstance(given, Source)


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which numbers are read: of this machine's byte order, floats of 32 or 64 bits."""
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):
        return np.dtype(np.float32 if dtype.itemsize == 2 else np.float64)
    return dtype.newbyteorder("=")


def stored(given: Any) -> Any:
    """The given array, as Stored where it is large and can be read in parts; anything else as it is.

    Memory maps can, and objects with a shape, a dtype of NumPy's and slices of rows that are no arrays in memory.
    """
    shape, dtype = getattr(given, "shape", None), getattr(given, "dtype", None)
    if isinstance(given, Stored) or not isinstance(dtype, np.dtype) or dtype.kind not in "fiub":
        return given
    if not isinstance(shape, tuple) or not shape:
        return given
    if isinstance(given, np.ndarray):
        if not is_mapped(given) or type(given) not in (np.ndarray, np.memmap):
            return given
    elif not hasattr(given, "__getitem__") or any(hasattr(given, name) for name in _IN_MEMORY):
        return given
    made = Stored(given, tuple(map(int, shape)), native(dtype))
    return made if made.nbytes > WHOLE_BYTES else given


# Arrays of other libraries that lie in memory have one of these; and tables, whose [] is not one of rows.
_IN_MEMORY = ("__array_interface__", "__dlpack__", "iloc", "__dataframe__")


@dataclass(frozen=True, eq=False)
class StoredRows:
    """The Source of named arrays of which some are Stored."""

    arrays: Mapping[str, Any]

    @property
    def rows(self) -> int:
        return len(next(iter(self.arrays.values())))

    @property
    def form(self) -> Mapping[str, Form]:
        return {name: Form(tuple(array.shape[1:]), array.dtype) for name, array in self.arrays.items()}

    def read(self, rows: Array, into: Mapping[str, Array]) -> None:
        columns: dict[int, list[tuple[Stored, Array]]] = {}  # by the identity of the source that reads them
        for name, array in into.items():
            held = self.arrays[name]
            if not isinstance(held, Stored):
                np.take(held, rows, axis=0, out=array, mode="clip")
            elif isinstance(held.given, Column):
                columns.setdefault(id(held.given.source), []).append((held, array))
            else:
                held.read(rows, array)
        for some in columns.values():
            _read_together(some, rows)


def _read_together(some: Sequence[tuple[Stored, Array]], rows: Array) -> None:
    """Read the columns of one source by one call, as a row of it may be one piece of work."""
    raw = {held.given.name: array if held.ready is None else held.space(len(rows)) for held, array in some}
    some[0][0].given.source.read(rows, MappingProxyType(raw))
    for held, array in some:
        if held.ready is not None:
            array[...] = held.ready(raw[held.given.name], rows)


def read_rows(source: Any, rows: Array, into: Array) -> None:
    """into[i] = source[rows[i]], one after the other in the order in which they lie in the source.

    source: a NumPy array or memory map; or an object with a shape, a dtype, and source[a:b]. rows: int64, >= 0.
    Errors: whatever the source raises.
    """
    if not len(rows):
        return
    if isinstance(source, Column):
        source.source.read(rows, MappingProxyType({source.name: into}))
        return
    if bool(np.all(rows[1:] > rows[:-1])):
        at: Any = slice(None)
    else:
        at = np.argsort(rows, kind="stable")
        rows = rows[at]
    if isinstance(source, np.ndarray):
        _from_array(source, rows, at, into)
    else:
        _from_slices(source, rows, at, into)


def _from_array(source: Array, rows: Array, at: Any, into: Array) -> None:
    _check_length(source)
    if _from_file(source, rows, at, into):
        return
    release = _pages_of(source)
    is_run = bool(np.all(np.diff(rows) == 1))
    row_bytes = max(1, source.nbytes // max(1, len(source)))
    step = max(1, _SLICE_BYTES // row_bytes) if is_run else _MAPPED_ROWS if release else len(rows)
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        place = slice(start, start + step) if isinstance(at, slice) else at[start : start + step]
        into[place] = source[some[0] : some[-1] + 1] if is_run else source[some]
        if release is not None:
            release()


def _check_length(source: Array) -> None:
    """That the file of a memory map is as long as it was: reading beyond its end would end the process.

    Errors: OSError.
    """
    whole = _map_of(source)
    if whole is None or not isinstance(whole.base, mmap.mmap):
        return
    end = whole.offset - whole.offset % mmap.ALLOCATIONGRANULARITY + len(whole.base)
    if whole.base.size() < end:
        raise OSError(f"{whole.filename} is {whole.base.size():,} bytes long, and had {end:,} when it was mapped")


def _from_file(source: Array, rows: Array, at: Any, into: Array) -> bool:
    """Read by the file's own calls, where that is sure to give the same; whether it was done.

    The file of that name may have been replaced since it was mapped, so a row is compared.
    """
    whole, row_bytes = _map_of(source), source.nbytes // max(1, len(source))
    if whole is None or row_bytes < _CALL_BYTES or whole.mode == "c" or not hasattr(os, "preadv"):
        return False
    if not source.flags.c_contiguous or not into.flags.c_contiguous or source.dtype != into.dtype:
        return False
    try:
        file = os.open(whole.filename or "", os.O_RDONLY)
    except OSError:
        return False
    try:
        begin = whole.offset + source.ctypes.data - whole.ctypes.data
        space = into.reshape(-1).view(np.uint8).data
        if isinstance(at, slice):
            places: Any = range(len(rows))
        else:
            places = at.tolist()
        numbers = rows.tolist()
        # Rows that lie side by side, in the file and in the arrays, are one call.
        start = 0
        while start < len(numbers):
            end = start + 1
            while end < len(numbers) and numbers[end] == numbers[end - 1] + 1 and places[end] == places[end - 1] + 1:
                end += 1
            part = space[places[start] * row_bytes : (places[start] + end - start) * row_bytes]
            if not _filled(file, part, begin + numbers[start] * row_bytes):
                _check_length(source)
                return False
            start = end
        _check_length(source)
        return bool(into[places[0]].tobytes() == source[numbers[0]].tobytes())
    finally:
        os.close(file)


def _filled(file: int, part: memoryview, place: int) -> bool:
    """Fill some memory from a place of a file on; False where the file ends before."""
    while part:
        count = os.preadv(file, [part], place)
        if count == 0:
            return False
        part, place = part[count:], place + count
    return True


def _from_slices(source: Any, rows: Array, at: Any, into: Array) -> None:
    """By slices that read a gap between two wanted rows along where that is cheaper than another call."""
    row_bytes = max(1, into.nbytes // max(1, len(into)))
    gap, most = max(1, _GAP_BYTES // row_bytes), max(1, _SLICE_BYTES // row_bytes)
    start = 0
    while start < len(rows):
        first, end = int(rows[start]), start + 1
        while end < len(rows) and rows[end] - rows[end - 1] <= gap and rows[end] - first < most:
            end += 1
        block = np.asarray(source[first : int(rows[end - 1]) + 1])
        place = slice(start, end) if isinstance(at, slice) else at[start:end]
        into[place] = block if len(block) == end - start else block[rows[start:end] - first]
        start = end


def is_mapped(array: Any) -> bool:
    """Whether an array's numbers lie in a memory-mapped file."""
    return _map_of(array) is not None


def _map_of(array: Any) -> np.memmap[Any, Any] | None:
    found = None
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            found = array
        array = array.base
    return found


def _pages_of(array: Array) -> Callable[[], None] | None:
    """Lets go of the pages of a memory map that are resident; None for an array in memory.

    Not for a private copy of a file ("c"), whose changes would be lost with its pages.
    """
    whole = _map_of(array)
    base = None if whole is None else whole.base
    if whole is None or not isinstance(base, mmap.mmap) or whole.mode == "c" or not hasattr(mmap, "MADV_DONTNEED"):
        return None
    return lambda: base.madvise(mmap.MADV_DONTNEED)
