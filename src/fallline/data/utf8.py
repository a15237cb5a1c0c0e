"""The bytes of a text file as UTF-8, whatever its encoding, and errors that name the line of a byte that is none."""

import codecs
import re
from typing import Any

from fallline.errors import DataError

# The encoding of most files in Western Europe and America that are not UTF-8.
WESTERN = "cp1252"
RARELY = 4


class Utf8:
    """A stream of UTF-8. guess: whether bytes that are not UTF-8 may be taken for those of WESTERN, with a note."""

    def __init__(self, stream: Any, encoding: str, name: str, guess: bool, notes: list[str]) -> None:
        self.stream, self.name, self.guess, self.notes = stream, name, guess, notes
        self.encoding = codecs.lookup(encoding).name
        self.plain = self.encoding in ("utf-8", "ascii")
        self.decoder = codecs.getincrementaldecoder("utf-8-sig" if self.plain else encoding)()
        self.line, self.begun, self.seen = 1, False, False

    def read(self, size: int) -> bytes:
        """The next bytes, at least one unless the stream has ended."""
        while True:
            found = bytes(self.stream.read(size) or b"")
            if self.plain:
                if not self.begun and found[:1] == b"\xef":
                    found = found + bytes(self.stream.read(3) or b"") if len(found) < 3 else found
                    if found.startswith(codecs.BOM_UTF8):
                        found = found[3:] or bytes(self.stream.read(size) or b"")
                self.begun = True
                return found
            try:
                text = self.decoder.decode(found, final=not found)
            except UnicodeDecodeError as error:
                line = self.line + found[: error.start].count(b"\n")
                raise self.problem(line, error) from None
            self.line += text.count("\n")
            if not self.begun and text:
                text, self.begun = text.removeprefix("\ufeff"), True
            if text or not found:
                return text.encode()

    def skip(self, size: int) -> bytes:
        """Read beyond the first bytes; what was read of the others."""
        found = b""
        while len(found) < size and (more := self.read(size)):
            found += more
        return found[size:]

    def checked(self, chunk: bytes, line: int) -> bytes:
        """Whole lines from `line` on, as UTF-8. Errors: DataError naming the line of a byte that is none."""
        if not self.plain or chunk.isascii():
            return chunk
        try:
            chunk.decode()
            self.seen = True
            return chunk
        except UnicodeDecodeError as error:
            text = western(chunk) if self.guess and not self.seen else None
            if text is None:
                raise self.problem(line + chunk[: error.start].count(b"\n"), error) from None
            self.notes[:] = dict.fromkeys([*self.notes, remark(chunk, line)])
            return text.encode()

    def problem(self, line: int, error: UnicodeDecodeError) -> DataError:
        known = "UTF-8" if self.plain else self.encoding
        return DataError(
            f"{self.name}, line {line}: byte 0x{error.object[error.start]:02x} is not {known} text\n"
            f"  try: the encoding of the file (--encoding), such as {WESTERN}, or saving it as CSV in UTF-8"
        )


def western(data: bytes) -> str | None:
    """Bytes that are not UTF-8 as text of WESTERN; None where they are rather damaged UTF-8, or no text."""
    seen = data.decode("utf-8", "replace")
    damaged = seen.count("\ufffd")
    # Few pairs of letters of that encoding happen to be UTF-8.
    if RARELY * (sum(code > "\x7f" for code in seen) - damaged) > damaged:
        return None
    try:
        return data.decode(WESTERN)
    except UnicodeDecodeError:
        return None


def remark(data: bytes, line: int) -> str:
    """The note about a file that was taken for one of WESTERN, with the first word that shows whether it is."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line += data[: error.start].count(b"\n")
        begin = max(data.rfind(mark, 0, error.start) for mark in (b"\n", b",", b";", b"\t", b'"', b" ")) + 1
        word = re.split('[\n,;\t"]', data[begin : error.start + 12].decode(WESTERN, "replace"))[0].strip()
        return f"not UTF-8, read as {WESTERN}: line {line} has {word!r} (another one: --encoding)"
    return ""
