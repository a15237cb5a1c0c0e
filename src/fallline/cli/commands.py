"""The table of commands: one line each here, one file each in this folder. Reading it loads none of them."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol


class CommandModule(Protocol):
    """The contents of a command's file: FLAGS, a dataclass of `flags.flag` fields; EXAMPLES, lines to type; `run`.

    One whose flags depend on its words has `form(words) -> Form` too. One that reads its own arguments holds
    `main(arguments) -> exit code` alone.
    """

    FLAGS: type[Any]
    EXAMPLES: str
    run: Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Form:
    """The flags and the help of a command.

    flags: a dataclass. about: paragraphs. examples: lines to type. typed: what the help is asked of.
    """

    flags: type[Any]
    about: str
    examples: str
    typed: str


@dataclass(frozen=True, slots=True)
class Command:
    """name: as it is typed. doc: one line for the list; more about it stands at the top of its file.

    reads_itself: the words after its name go to its own `main`, help included.
    """

    name: str
    doc: str
    reads_itself: bool = False

    def module(self) -> Any:
        """Its file, imported; see CommandModule."""
        return importlib.import_module(f"fallline.cli.{self.name}")

    def form(self, words: Sequence[str]) -> Form:
        """Its flags and its help, which may depend on what was typed."""
        module = self.module()
        # The file's first paragraph is for its readers, the rest is for the command's.
        about = (module.__doc__ or "").partition("\n\n")[2].strip()
        found: Form | None = module.form(words) if hasattr(module, "form") else None
        if found is None:
            return Form(module.FLAGS, about, module.EXAMPLES, self.name)
        return found if found.about else replace(found, about=about)


COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("look", "Show the columns of a file as they are understood."),
        Command("train", "Train a network on a named data set or a file."),
        Command("race", "Train variants of one training side by side."),
        Command("predict", "Predict the rows of a file with a trained network."),
        Command("evaluate", "Measure a trained network on a file with the target."),
        Command("export", "Write a trained network as a file for other programs."),
        Command("explain", "Show the forward and the backward pass of a row, in numbers."),
        Command("alternatives", "Show what other ways to good parameters cost on a problem."),
        Command("compare", "Show what two runs differ in, and the step where they part."),
        Command("diagnose", "Tell where a run stands and what is wrong, with proof."),
        Command("escape", "Step off the saddle at which a run stopped, and train on."),
        Command("plot", "Draw a picture of a run or a race; without a name, list all."),
        Command("report", "Write one HTML file with all that can be told about a run."),
        Command("lesson", "Run a short explanation; without a name, list them."),
        Command("exercise", "Write a backward pass or an update rule, which is checked."),
        Command("bench", "Measure training steps and compare with peers.", reads_itself=True),
    )
}
