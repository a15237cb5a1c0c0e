"""From the words typed to a command and an exit code: help, errors in a line, Ctrl-C, readers that go away.

Knows the table of commands and no command.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from fallline.cli.commands import COMMANDS
from fallline.cli.exits import (
    FAILED,
    INTERRUPTED,
    MEANINGS,
    OK,
    READER_GONE,
    USAGE,
    Exit,
    UsageProblem,
    let_output_go,
)
from fallline.errors import FalllineError

ABOUT = "Trains neural networks by gradient descent with backpropagation, and shows every step."
EXAMPLES = """\
fallline train digits                     a network on hand-written digits
fallline train data.csv --target price    on a file; --target names the column to learn
fallline predict runs/data-1 new.csv      with that model
fallline lesson step-size                 a runnable explanation"""

DEBUG = "--debug"


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns its exit code and never raises but for `--debug`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG in words
    words = [word for word in words if word != DEBUG] or ["--help"]
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows a question mark instead of ending the program.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = dispatch(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        let_output_go()
        return READER_GONE
    except SystemExit as end:  # argparse, in a command that reads its own arguments
        return end.code if isinstance(end.code, int) else OK if end.code is None else FAILED
    except KeyboardInterrupt:
        say_error("interrupted")
        return INTERRUPTED
    except Exception as error:
        if debug:
            raise
        text, code = message_and_code(error)
        # Not imported here: its import may have failed.
        flags = getattr(sys.modules.get(f"fallline.cli.{words[0]}"), "FLAGS", None)
        if flags is not None:
            from fallline.cli.flags import as_typed

            text = as_typed(text, flags)
        say_error(text)
        try:
            sys.stdout.flush()
        except OSError:
            let_output_go()
        return code


def dispatch(words: list[str]) -> int:
    """Let Typer read the words and run the command they name."""
    import typer

    # UsageError, which Typer does not export: the same attribute whether it brings its own click or uses the other.
    usage_error: type[Exception] = typer.BadParameter.__bases__[0]
    name = next((word for word in words if not word.startswith("-")), "")
    if words[0] in COMMANDS and COMMANDS[name].reads_itself:
        return int(COMMANDS[name].module().main(words[1:]))
    try:
        found = typer_app(name, words)(words, standalone_mode=False, prog_name="fallline")
    except usage_error as error:
        from fallline.cli.flags import understood

        form = COMMANDS[name].form(words) if name in COMMANDS and not COMMANDS[name].reads_itself else None
        text = understood(error, words, form.flags if form else None, list(COMMANDS))
        where = f"fallline {form.typed if form else name} --help" if name in COMMANDS else "fallline --help"
        raise UsageProblem(f"{text}\n  try: {where}") from error
    if found == INTERRUPTED:  # Typer turns Ctrl-C into an exit code
        raise KeyboardInterrupt
    if not callable(found):  # a help text was requested
        return OK
    try:
        found()
    except Exit as end:
        return end.code
    return OK


def typer_app(name: str, words: Sequence[str]) -> Any:
    """The Typer application: the named command with its flags, the others by their line alone."""
    import typer

    codes = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())
    app = typer.Typer(
        # Plain help: boxes cost 60 ms, break in narrow terminals and cannot be searched.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        add_completion=False,
        pretty_exceptions_enable=False,
        help=f"{ABOUT}\n\n{block('Examples', EXAMPLES)}",
        epilog=f"\b\nExit codes:\n{codes}",
    )

    version = typer.Option(False, "--version", help="show the version", callback=show_version, is_eager=True)
    debug = typer.Option(False, DEBUG, help="show the traceback of an error")

    @app.callback(invoke_without_command=False)
    def top(version: bool = version, debug: bool = debug) -> None:
        pass

    for command in COMMANDS.values():
        if command.name != name or command.reads_itself:
            app.command(command.name, help=command.doc)(lambda: None)
            continue
        from fallline.cli.flags import typed  # brings NumPy, which the list of commands can do without

        form = command.form(words)
        parts = [command.doc, form.about, block("Examples", form.examples)]
        app.command(command.name, help="\n\n".join(filter(None, parts)))(typed(form.flags, command.module().run))
    return app


def block(title: str, lines: str) -> str:
    """A paragraph that help texts leave as it stands."""
    return "\b\n" + f"{title}:\n" + "\n".join("  " + line for line in lines.splitlines())


def show_version(requested: bool) -> None:
    if requested:
        import typer

        import fallline

        print(f"fallline {fallline.__version__}")
        raise typer.Exit(OK)


def message_and_code(error: Exception) -> tuple[str, int]:
    """An error as its line or short block, and the exit code it means."""
    if isinstance(error, UsageProblem):
        return str(error), USAGE
    if isinstance(error, FalllineError):
        return str(error), FAILED
    if isinstance(error, MemoryError):
        return f"out of memory{': ' if str(error) else ''}{error}\n  try: a smaller network or batch", FAILED
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the system'}: {error.strerror}", FAILED
    return f"{type(error).__name__}: {error}\n  this should not happen; with {DEBUG} it shows where", FAILED


def say_error(text: str) -> None:
    with suppress(OSError):  # nobody may be listening
        print(f"error: {text}", file=sys.stderr)
