"""Reading: how a file is to be read, where its first lines don't say it or say it wrongly. Knows no file."""

import codecs
from dataclasses import dataclass, fields
from typing import Any

from fallline.errors import ArgumentError

# The delimiter that stands for any run of blanks and tabs.
WHITE = " "


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read. Everything that is left at None is recognised from the file's first lines.

    header: whether the first line names the columns. names: of the columns, in the place of a header's.
    delimiter: between fields: one or more characters; " " for any run of blanks and tabs. quote: around fields that
    hold a delimiter; "" for none. encoding: such as "utf-8", "cp1252", "utf-16". comment: lines that begin with it
    are left out. skip: lines before the table.
    escape: a character that takes the next one as it is, such as a backslash before a quote.
    texts: columns to keep as they are written, though they look like numbers. drop: columns that are not read. blank:
    columns that stay, and whose cells are not read: all come as missing.
    expects: names that are known to be columns' names, which tells a header from a row.
    Errors: ArgumentError for a delimiter, quote, encoding, skip or names that can't be.
    """

    header: bool | None = None
    names: tuple[str, ...] = ()
    delimiter: str | None = None
    quote: str = '"'
    escape: str | None = None
    encoding: str | None = None
    comment: str | None = None
    skip: int = 0
    texts: frozenset[str] = frozenset()
    drop: frozenset[str] = frozenset()
    blank: frozenset[str] = frozenset()
    expects: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = [*self._problems()]
        if problems:
            raise ArgumentError("\n  ".join(problems))

    def _problems(self) -> Any:
        if self.delimiter is not None and (
            not self.delimiter or set(self.delimiter) & {"\n", "\r", self.quote or "\n"}
        ):
            yield f"delimiter {self.delimiter!r} can't stand between fields\n  try: ',', ';', '\\t', '|' or ' '"
        if len(self.quote) > 1 or self.quote in ("\n", "\r"):
            yield f"quote {self.quote!r} is not one character"
        if self.escape is not None and len(self.escape) != 1:
            yield f"escape {self.escape!r} is not one character"
        if self.skip < 0:
            yield f"skip is a number of lines, at least 0, got {self.skip}"
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except LookupError:
                yield f"unknown encoding {self.encoding!r}\n  try: utf-8, cp1252, latin-1 or utf-16"
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            yield f"names has {', '.join(map(repr, twice))} more than once"

    def to_config(self) -> dict[str, Any]:
        """Plain values for a file."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        found = {name: value for name, value in found.items() if value != getattr(_PLAIN, name)}
        return {name: [*value] if isinstance(value, tuple | frozenset) else value for name, value in found.items()}

    @staticmethod
    def from_config(config: Any) -> "Reading":
        """The inverse; the default for anything else."""
        given = config if isinstance(config, dict) else {}
        known: dict[str, Any] = {one.name: given[one.name] for one in fields(Reading) if one.name in given}
        for name, value in known.items():
            kind = type(getattr(_PLAIN, name))
            known[name] = kind(value) if kind in (tuple, frozenset) else value
        return Reading(**known)


_PLAIN = Reading()
