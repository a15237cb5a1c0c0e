"""Origin: where the rows of a training came from, and how they were read and understood. Kept with a run, as JSON."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fallline.data import sets
from fallline.data.reading import Reading
from fallline.data.understand import Wishes


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A named set, or a file with a person's word on it.

    data: a name of sets.SETS, or an absolute path. task: of the target. test: the absolute path of a file of test rows.
    """

    data: str
    task: str | None = None
    wishes: Wishes = field(default_factory=Wishes)
    reading: Reading = field(default_factory=Reading)
    test: str | None = None

    def is_file(self, path: str) -> bool:
        """Whether these are the rows of a file, or those of a named set."""
        return self.data in (path, str(Path(path).resolve()))

    def to_config(self) -> dict[str, Any]:
        """Plain values for a file."""
        found: dict[str, Any] = {"data": self.data, "task": self.task}
        if self.data not in sets.SETS:
            found |= {"wishes": self.wishes.to_config(), "reading": self.reading.to_config()}
        return found | ({} if self.test is None else {"test": self.test})

    @staticmethod
    def from_config(config: Any) -> "Origin | None":
        """The inverse; None for anything that names no data."""
        if not isinstance(config, dict) or not isinstance(config.get("data"), str):
            return None
        task, test = (None if config.get(name) is None else str(config[name]) for name in ("task", "test"))
        wishes, reading = Wishes.from_config(config.get("wishes")), Reading.from_config(config.get("reading"))
        return Origin(data=config["data"], task=task, wishes=wishes, reading=reading, test=test)
