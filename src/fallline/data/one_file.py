"""OneFile: the part of an open file that every format has. Knows no format."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from fallline.data.raw_bytes import Bytes
from fallline.data.reading import Reading


@dataclass(frozen=True)
class OneFile:
    """An open file. all_names: of every column, in the file's order. notes: sentences about what was recognised."""

    source: Bytes
    reading: Reading
    all_names: Sequence[str]
    notes: list[str] = field(default_factory=list, kw_only=True)

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name in self.all_names if name not in self.reading.drop)

    def wanted(self, only: Collection[str] | None) -> list[str]:
        """The columns of these names, or all of them for None."""
        return [name for name in self.names if only is None or name in only]

    def places(self, wanted: Collection[str]) -> list[int]:
        """The places in the file of those of these columns whose cells are read."""
        return [i for i, name in enumerate(self.all_names) if name in wanted and name not in self.reading.blank]
