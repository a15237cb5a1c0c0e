"""Flags as data: a command's flags are the fields of a frozen dataclass, from which Typer's signature is made.

Ranges are those of `fallline.ranges`, so help texts and checks say the same as the library. Knows no command.
"""

import dataclasses
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, get_type_hints

from fallline.cli.exits import UsageProblem
from fallline.errors import nearest
from fallline.names import likest, meant
from fallline.ranges import Range

_KEY = "flag"


@dataclass(frozen=True, slots=True)
class Flag:
    """How a field is shown and checked. metavar: the placeholder of its value; limits: None where any text will do.

    typed: the option, where it is not the field's own name.
    """

    doc: str
    metavar: str | None
    limits: Range | None
    is_argument: bool = False
    typed: str | None = None

    def help(self, default: Any) -> str:
        """The doc, the range, the names allowed."""
        parts = [self.doc]
        if self.limits is not None and self.limits.words:
            parts.append(", ".join(self.limits.words))
        text = ": ".join(parts)
        bounds = numbers_of(self.limits)
        return f"{text} ({bounds})" if bounds else text


def numbers_of(limits: Range | None) -> str:
    """The bounds of a number in words, without the other forms: `> 0`."""
    if limits is None or not limits.number:
        return ""
    text = str(dataclasses.replace(limits, words=(), function=False, optional=False))
    return text.removeprefix("a number").removeprefix("a whole number").strip()


def flag(
    default: Any,
    doc: str,
    *,
    metavar: str | None = None,
    limits: Range | None = None,
    typed: str | None = None,
    **more: Any,
) -> Any:
    """A field that is an option, `--its-name` or as `typed` says; one with the default () may be given several times.

    limits, or the fields of a Range as keywords: the allowed values.
    """
    checked = Range(doc, **more) if more else limits
    return dataclasses.field(default=default, metadata={_KEY: Flag(doc, metavar, checked, typed=typed)})


def argument(doc: str, metavar: str, default: Any = dataclasses.MISSING) -> Any:
    """A field that is given by its place."""
    return dataclasses.field(default=default, metadata={_KEY: Flag(doc, metavar, None, is_argument=True)})


def flag_of(field: Any) -> Flag:
    """How a field is shown and checked."""
    found: Flag = field.metadata[_KEY]
    return found


def switch(name: str) -> str:
    """learning_rate -> --learning-rate."""
    return "--" + name.replace("_", "-")


def as_typed(text: str, flags: type[Any]) -> str:
    """A message of the library in the words of the command line: `overwrite=True` becomes `--overwrite`.

    validation=None becomes "no --validation", and skip=1 (--skip) `--skip 1`.
    """
    names = {field.name for field in dataclasses.fields(flags)}

    def typed_form(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name not in names:
            return found.group()
        short = {"True": switch(name), "None": f"no {switch(name)}"}
        return short.get(value) or f"{switch(name)} {value.strip(chr(39) + chr(34))}"

    # Of `kinds={'a': 'd/m/y'} (--as 'a=d/m/y')` what is typed stands in the parentheses.
    text = re.sub(r"""\b\w+=(?:\{[^{}]*\}|'[^']*'|[\w.+-]+) \((--[\w-]+ [^()]*)\)""", r"\1", text)
    text = re.sub(r"""\b(\w+)=('[^']*'|"[^"]*"|[\w.+-]*\w)""", typed_form, text)
    return re.sub(r"(--([\w-]+)(?: [^\s,;()]+)?) \(--\2\)", r"\1", text)


_NO_OPTION = re.compile(r"No such option: (--?([\w-]+))")
_NO_COMMAND = re.compile(r"No such command '([^']+)'")


def understood(error: Any, words: Sequence[str], flags: type[Any] | None, commands: Sequence[str]) -> str:
    """Typer's message about a command line that it cannot read, with the names that are meant and our own ranges."""
    text = str(getattr(error, "format_message", error.__str__)()).rstrip(".")
    fields = {field.name: field for field in dataclasses.fields(flags)} if flags is not None else {}
    if option := _NO_OPTION.match(text):
        name = option.group(2).replace("-", "_")
        found = meant(name, fields) or likest(name, fields)
        return f"there is no option {option.group(1)}{f'; did you mean {switch(found)}?' if found else ''}"
    if command := _NO_COMMAND.match(text):
        name = command.group(1)
        return f"there is no command {name!r}{nearest(name, commands)}\n  commands: {', '.join(commands)}"
    field = fields.get(getattr(getattr(error, "param", None), "name", None) or "")
    limits = None if field is None else flag_of(field).limits
    if field is not None and limits is not None and (value := _typed_for(field.name, words)) is not None:
        problem = dataclasses.replace(limits, function=False).problem(value)
        return f"{switch(field.name)} {problem}" if problem else text
    return text


def _typed_for(name: str, words: Sequence[str]) -> str | None:
    """The text that was typed as the value of an option."""
    for word, after in zip(words, [*words[1:], None], strict=True):
        if word == switch(name):
            return after
        if word.startswith(f"{switch(name)}="):
            return word.partition("=")[2]
    return None


def check(given: Any) -> None:
    """Raise UsageProblem naming all flags that are outside their range."""
    wrong = []
    for field in dataclasses.fields(given):
        limits, value = field.metadata[_KEY].limits, getattr(given, field.name)
        if limits is None or (value is None and field.default is None):
            continue
        problem = dataclasses.replace(limits, function=False).problem(value)  # words are all that can be typed
        if problem:
            wrong.append(f"{switch(field.name)} {problem}")
    if wrong:
        raise UsageProblem("\n  and ".join(wrong))


def typed(flags: type[Any], run: Callable[[Any], None]) -> Callable[..., Callable[[], None]]:
    """A function with the signature Typer reads, one parameter for each field of `flags`; it returns the function to
    run.

    Nothing runs inside Typer, which would turn Ctrl-C and closed pipes into endings of its own.
    """
    import typer

    def call(**given: Any) -> Callable[[], None]:
        made = flags(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})
        check(made)
        return partial(run, made)

    hints = get_type_hints(flags)
    parameters = []
    for field in dataclasses.fields(flags):
        about: Flag = field.metadata[_KEY]
        required = field.default is dataclasses.MISSING
        text, metavar = about.help(field.default), about.metavar
        shows_default = not required and field.default not in (None, False, ())
        info = (
            typer.Argument(help=text, show_default=shows_default, metavar=metavar)
            if about.is_argument
            else typer.Option(about.typed or switch(field.name), help=text, show_default=shows_default, metavar=metavar)
        )
        parameters.append(
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if required else field.default,
                annotation=Annotated[list[str] if field.default == () else hints[field.name], info],
            )
        )
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call
