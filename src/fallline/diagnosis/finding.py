"""Finding: one thing that was found out about a run, with the numbers behind it. Diagnosis: all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fallline.displays import Displayed
from fallline.errors import NotCalled
from fallline.runs.events import plain
from fallline.typesetting import cells, fit, number, pad, words


@dataclass(frozen=True, slots=True)
class Evidence:
    """A number that a finding rests on. threshold: the border it was held against, in words; "" for none.

    Example: Evidence("gradient norm", 2e-9, threshold="at most 1e-6 at a stationary point")
    """

    name: str
    value: float | int | str
    unit: str = ""
    threshold: str = ""

    @property
    def text(self) -> str:
        value = self.value if isinstance(self.value, str) else number(self.value)
        return f"{value} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found out.

    name: of the verdict. warns: whether something should be done; else it says where the run stands. says: one
    sentence, with the layer, the step or the row where there is one. evidence: the numbers and their borders.
    unchecked: sentences on what this finding did not look at. tries: commands or Python, one a line. part: which
    network of an ensemble, "" for the only one. explains: names of findings that are this one's consequence where both
    are there: they are told after it, and what they would try otherwise is left out.
    """

    name: str
    says: str
    evidence: tuple[Evidence, ...] = ()
    warns: bool = True
    unchecked: tuple[str, ...] = ()
    tries: tuple[str, ...] = ()
    part: str = ""
    explains: tuple[str, ...] = ()

    def head(self, ascii_only: bool = False) -> str:
        """A mark for a warning or for where the run stands, the name, and the network of an ensemble."""
        mark = ("!" if self.warns else "-") if ascii_only else ("▲" if self.warns else "●")
        return f"{mark} {self.name}" + (f" ({self.part})" if self.part else "")

    def text(self, *, width: int = 80, ascii_only: bool = False) -> str:
        """The finding to read: the sentence, the evidence below it, then what to try."""
        lines = [self.head(ascii_only), *_indented(self.says, width)]
        lines += _aligned(self.evidence, width)
        for sentence in self.unchecked:
            lines += _indented(f"not checked: {sentence}", width)
        lines += [fit(f"  try: {one}", max(width, len(one) + 8)) for one in self.tries]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain numbers, lists and dicts, as JSON holds them."""
        found: dict[str, Any] = plain(self)
        return found


def _aligned(evidence: Sequence[Evidence], width: int) -> list[str]:
    """Names and numbers in two columns, each border beside its number where it fits and below it where it does not."""
    wide = min(max((cells(one.name) for one in evidence), default=0), width // 2)
    lines = []
    for one in evidence:
        border = f"({one.threshold})" if one.threshold else ""
        line = f"    {pad(one.name, wide)}  {one.text}"
        if cells(line) > width:
            lines += _indented(f"{one.name}  {one.text}", width, 4)
            line = lines.pop()
        beside = f"{line}   {border}" if border else line
        lines += [beside] if cells(beside) <= width else [line, *_indented(border, width, 6)]
    return lines


def _indented(text: str, width: int, by: int = 2) -> list[str]:
    return [" " * by + line for line in words(text, width - by).split("\n")]


@dataclass(frozen=True, eq=False, slots=True)
class Diagnosis(Displayed, NotCalled):
    """All findings about a run.

    findings: where it stands first, then warnings, those that matter most first. unchecked: sentences on verdicts that
    could not be looked for, and why. name: of the run.
    """

    name: str
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...] = ()
    checked: tuple[str, ...] = field(default=(), repr=False)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings after which something should be done; empty for a healthy run."""
        return tuple(one for one in self.findings if one.warns)

    @property
    def result(self) -> str:
        """How many warnings after how many checks; where there are none, also that others could not be made."""
        count, checks = len(self.warnings), f"after {len(self.checked)} checks"
        if count:
            return f"{count} warning{'s' * (count > 1)}, {checks}"
        return f"nothing to warn of, {checks}{'; others could not be made' if self.unchecked else ''}"

    def __str__(self) -> str:
        return self.text()

    def __getitem__(self, name: str) -> Finding:
        """The first finding of this name. Errors: KeyError where there is none."""
        found = next((one for one in self.findings if one.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return any(one.name == name for one in self.findings)

    def text(self, *, width: int = 80, ascii_only: bool = False) -> str:
        """The diagnosis to read, at most `width` columns wide but for commands."""
        parts = [f"{self.name}: {self.result}"]
        parts += [one.text(width=width, ascii_only=ascii_only) for one in self.findings]
        if self.unchecked:
            parts.append(
                "\n".join(line for one in self.unchecked for line in _indented(f"not checked: {one}", width, 0))
            )
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis as plain numbers, lists and dicts, as JSON holds them."""
        found: dict[str, Any] = plain(self)
        return found


__all__ = ["Diagnosis", "Evidence", "Finding"]
