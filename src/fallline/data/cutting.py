"""Bytes of delimited text cut where a record ends: where quotes stand is proved, not guessed.

Quotes open and close a field in turns. Where each that opens one follows a delimiter or a line end, and each that
closes one is followed by such or by a second quote, a line end ends a record exactly where the number of quotes before
it is even.
"""

import numpy as np

from fallline.arrays import Array

NO_QUOTES = np.empty(0, np.int64)


def quotes_of(chunk: bytes, delimiter: str, quote: str, ended: bool) -> Array | None:
    """Places of the quotes in bytes that begin with a record; None where one stands elsewhere than a dialect has them.

    ended: whether the file ends here, where all quotes have to be closed.
    """
    if not quote or quote.encode() not in chunk:
        return NO_QUOTES
    data = np.frombuffer(chunk, np.uint8)
    places = np.flatnonzero(data == ord(quote))
    opening, closing = places[::2], places[1::2]
    marks = np.zeros(256, bool)
    marks[[ord(delimiter), ord("\n"), ord("\r")]] = True
    before = marks[data[opening - 1]]
    before[0] |= opening[0] == 0
    # A quote right after one that closes: the two stand for one inside the field.
    before[1:] |= opening[1:] == closing[: len(opening) - 1] + 1
    marks[ord(quote)] = True
    after = marks[data[np.minimum(closing + 1, len(data) - 1)]] | (closing == len(data) - 1)
    if not before.all() or not after.all() or (ended and len(places) % 2):
        return None
    return places


def end_of_records(chunk: bytes, quotes: Array, ended: bool) -> int:
    """The number of bytes that are whole records."""
    if ended:
        return len(chunk)
    at = chunk.rfind(b"\n")
    while at >= 0 and len(quotes):
        before = int(np.searchsorted(quotes, at))
        if before % 2 == 0:
            break
        at = chunk.rfind(b"\n", 0, int(quotes[before - 1]))
    return at + 1


def line_ends(chunk: bytes) -> int:
    """The number of line ends: LF, CR LF, or CR alone."""
    ends = chunk.count(b"\n")
    return ends + chunk.count(b"\r") - chunk.count(b"\r\n") if b"\r" in chunk else ends


def lines_of_records(chunk: bytes, quotes: Array) -> Array:
    """The line at which each record begins that is not an empty line, from 0."""
    data = np.frombuffer(chunk, np.uint8)
    newline, carriage = data == ord("\n"), data == ord("\r")
    carriage[:-1] &= ~newline[1:]
    ends = np.flatnonzero(newline | carriage)
    whole = np.searchsorted(quotes, ends) % 2 == 0
    starts = np.concatenate([[0], ends[whole] + 1])
    numbers = np.concatenate([[0], np.flatnonzero(whole) + 1])
    there = starts < len(data)
    starts, numbers = starts[there], numbers[there]
    first = data[starts]
    found: Array = numbers[(first != ord("\n")) & (first != ord("\r"))]
    return found
