"""The syntax tree of a Python function, taken from its file and checked against the code that runs."""

import ast
import linecache
from functools import cache
from types import CodeType, FunctionType
from typing import Any


class NotTranslated(Exception):
    """Something in a kernel that our own translation does not know; Numba may."""


@cache
def _file(name: str) -> tuple[dict[CodeType, bool], dict[int, list[Any]]]:
    """The code objects of a file, and its functions by the line they begin in."""
    text = "".join(linecache.getlines(name))
    if not text:
        raise NotTranslated(f"no source of {name}")
    tree = ast.parse(text)
    functions: dict[int, list[Any]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            lines = [node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))]
            functions.setdefault(min(lines), []).append(node)
    codes: dict[CodeType, bool] = {}
    rest = [compile(tree, name, "exec", dont_inherit=True)]
    while rest:
        code = rest.pop()
        codes[code] = True
        rest += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return codes, functions


def definition(function: FunctionType) -> Any:
    """The FunctionDef or Lambda that a function was made from.

    Errors: NotTranslated where there is no source, or another one by now.
    """
    code = function.__code__
    try:
        codes, functions = _file(code.co_filename)
    except SyntaxError as error:
        raise NotTranslated(str(error)) from None
    found = [node for node in functions.get(code.co_firstlineno, ()) if _matches(node, code)]
    # A file that was edited, or rewritten on import, no longer shows the code that runs.
    if len(found) != 1 or code not in codes:
        raise NotTranslated(f"no source of {function.__qualname__}")
    return found[0]


def _matches(node: Any, code: CodeType) -> bool:
    names = tuple(argument.arg for argument in node.args.args)
    if names != code.co_varnames[: code.co_argcount] or getattr(node, "name", "<lambda>") != code.co_name:
        return False
    if not isinstance(node, ast.Lambda):
        return True
    # Several lambdas may begin in a line: the columns of the code tell them apart.
    places = [(line, column) for line, _, column, _ in code.co_positions() if line is not None and column is not None]
    inside = [(line, column) for line, column in places if (line, column) > (code.co_firstlineno, 0)]
    first, last = (node.body.lineno, node.body.col_offset), (node.end_lineno, node.end_col_offset)
    return all(first <= place <= last for place in inside)


def globals_of(function: FunctionType) -> dict[str, Any]:
    """The values of names that a function reads and does not set itself."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {**function.__globals__, **{name: cell.cell_contents for name, cell in cells}}
