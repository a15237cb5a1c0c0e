"""A Parquet file is the batches of its rows, and trains to the same bits as its columns in memory."""

from pathlib import Path

import numpy as np
import pytest

from fallline.data.parquet import Parquet
from fallline.errors import ArgumentError, ArgumentTypeError, MissingFileError, ReadingError

pyarrow = pytest.importorskip("pyarrow")

RNG = np.random.default_rng(0)
COLUMNS = {
    "length": RNG.normal(size=50).astype(np.float32),
    "width": RNG.normal(size=50).astype(np.float32),
    "count": RNG.integers(0, 9, 50),
    "name": np.array(["a", "b"] * 25),
    "y": RNG.normal(size=50),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(COLUMNS), tmp_path / "rows.parquet", row_group_size=7)
    return tmp_path / "rows.parquet"


def test_batches_are_the_rows_in_their_order(path: Path) -> None:
    given = Parquet(path, "y", ("width", "length"), batch_rows=9)
    assert given.rows == 50
    for _ in range(2):
        x, y = (np.concatenate(parts) for parts in zip(*given, strict=True))
        assert np.array_equal(x, np.stack([COLUMNS["width"], COLUMNS["length"]], 1))
        assert np.array_equal(y, COLUMNS["y"])


def test_it_says_what_is_wrong(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="no column 'lenght'; did you mean 'length'"):
        Parquet(path, "y", ("lenght",))
    with pytest.raises(ArgumentError, match=r"column 'name' of .* holds .*string"):
        next(iter(Parquet(path, "y")))
    with pytest.raises(MissingFileError):
        Parquet(tmp_path / "none.parquet", "y")
    with pytest.raises(ArgumentTypeError):
        Parquet(3, "y")
    for columns, told in (("length", "names in a list"), (5, "names in a list")):
        with pytest.raises(ArgumentTypeError, match=told):
            Parquet(path, "y", columns)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="left with none"):
        Parquet(path, "y", ())
    (tmp_path / "junk.parquet").write_text("no table")
    for wrong in (tmp_path / "junk.parquet", tmp_path):
        with pytest.raises(ReadingError, match="cannot be read as Parquet"):
            Parquet(wrong, "y")
