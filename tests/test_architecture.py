"""The rooms of DESIGN.md, held by reading imports: which way they point, circles, libraries kept to their room, size.

Nothing of the package is imported here, so a broken tree still gets a full answer.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "fallline"
LONGEST_FILE = 450

# Floor to roof: a file imports only from rooms above its own in this table; rooms on one line do not know each other.
# "" is the package's own __init__: the public face over everything that is not a face itself.
ROOMS: tuple[tuple[str, ...], ...] = (
    ("names",),
    ("errors",),
    ("arrays",),
    ("arguments",),
    ("config", "ranges", "tree"),
    ("source", "split"),
    ("graph",),
    ("ops",),
    ("passes",),
    ("program",),
    ("transforms",),
    ("nn",),
    ("optim",),
    ("data",),
    ("training",),
    ("recipe",),
    ("insight",),
    ("lessons",),
    ("scale",),
    ("testing",),
    ("",),
    ("bench", "report", "sklearn"),
    ("cli", "studio"),
)

# Rooms that a higher room may not meet although it stands above them.
NEVER_MEETS = {"nn": ("passes", "program"), "optim": ("passes", "program")}

# Rooms whose files do not import one another: one file, one thing.
STRANGERS = ("passes",)

# Third-party libraries and the only places, by path under the package, that import them.
KEPT_TO: dict[str, tuple[str, ...]] = {
    "numba": ("program/kernels",),
    "llvmlite": ("program/kernels",),
    "sklearn": ("data", "sklearn.py", "bench"),
    "torch": ("bench",),
    "jax": ("bench",),
    "mpi4py": ("scale",),
    "onnx": (),  # no room yet
}


@dataclass(frozen=True, slots=True)
class Import:
    """One import as written: the dotted name it asks for, absolute, the name it binds, and its line."""

    target: str
    binds: str
    line: int


def imports_of(tree: ast.Module, module: str, is_package: bool) -> list[Import]:
    """Every import in a file, lazy ones inside functions and `import_module("...")` included."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [Import(a.name, a.asname or a.name.split(".")[0], node.lineno) for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parts, base] if base else parts)
            found += [Import(f"{base}.{a.name}", a.asname or a.name, node.lineno) for a in node.names]
        elif isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0]
            if name in ("import_module", "__import__") and isinstance(first, ast.Constant):
                found.append(Import(str(first.value), "", node.lineno))
    return found


def exported(tree: ast.Module, of: list[Import], modules: set[str]) -> tuple[set[str], set[str]]:
    """The names an `__init__` binds to something that is no module, and the names of its `__all__`."""
    bound = {imp.binds for imp in of if imp.target not in modules}
    listed: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            value = node.value  # type: ignore[attr-defined]
            listed |= {e.value for e in getattr(value, "elts", []) if isinstance(e, ast.Constant)}
    return bound, listed


def problems(package: Path, rooms: tuple[tuple[str, ...], ...] = ROOMS) -> list[str]:
    """Everything about a tree that DESIGN.md forbids, one line each, with file and line."""
    rank = {room: i for i, line in enumerate(rooms) for room in line}
    root = package.name
    files = {path.relative_to(package): path for path in sorted(package.rglob("*.py"))}
    names = {p: ".".join([root, *p.with_suffix("").parts]).removesuffix(".__init__") for p in files}
    modules = set(names.values())
    trees = {p: ast.parse(path.read_text(encoding="utf-8"), str(path)) for p, path in files.items()}
    imports = {p: imports_of(trees[p], names[p], p.name == "__init__.py") for p in files}
    wrong: list[str] = []

    for p, path in files.items():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LONGEST_FILE:
            wrong.append(f"{p}: {lines} lines, more than {LONGEST_FILE}")
        if room_of(names[p], root) not in rank:
            wrong.append(f"{p}: stands in no room of the table")

    arrows: dict[str, set[str]] = {name: set() for name in modules}
    for p, found in imports.items():
        here = room_of(names[p], root)
        for imp in found:
            top = imp.target.split(".")[0]
            allowed = KEPT_TO.get(top)
            if allowed is not None and not any(p.is_relative_to(place) for place in allowed):
                wrong.append(f"{p}:{imp.line}: {top} is imported outside its room")
            if top != root:
                continue
            target = resolve(imp.target, modules)
            there = room_of(target, root)
            if target != names[p]:
                arrows[names[p]].add(target)
            if here not in rank or there not in rank:
                continue  # a room that is not in the table has been told above
            if here != there and rank[there] >= rank[here]:
                wrong.append(f"{p}:{imp.line}: {here or root} imports {there or root}, which does not stand above it")
            elif there in NEVER_MEETS.get(here, ()):
                wrong.append(f"{p}:{imp.line}: {here} never meets {there}")
            elif here == there and here in STRANGERS and p.name != "__init__.py" and target != names[p]:
                wrong.append(f"{p}:{imp.line}: one file of {here} imports another")

    try:
        tuple(TopologicalSorter(arrows).static_order())
    except CycleError as circle:
        wrong.append("circle: " + " -> ".join(reversed(circle.args[1])))

    defined = {n.name for tree in trees.values() for n in tree.body if isinstance(n, ast.FunctionDef)}
    for p in files:
        if p.name != "__init__.py":
            continue
        children = {m.removeprefix(names[p] + ".").split(".")[0] for m in modules if m.startswith(names[p] + ".")}
        bound, listed = exported(trees[p], imports[p], modules)
        for name in sorted(children & (bound | (listed & defined))):
            wrong.append(f"{p}: {names[p]}.{name} is a module and something else too")
    return wrong


def room_of(module: str, root: str) -> str:
    return module.removeprefix(root).removeprefix(".").split(".")[0]


def resolve(target: str, modules: set[str]) -> str:
    """The file that an import of a dotted name reaches: the longest prefix that is a module."""
    while target not in modules and "." in target:
        target = target.rpartition(".")[0]
    return target


def test_every_import_of_fallline_points_from_roof_to_floor() -> None:
    assert problems(PACKAGE) == []


# The test of the test: small made-up trees, each wrong in one way.


def tree_of(tmp_path: Path, **files: str) -> Path:
    package = tmp_path / "fallline"
    for name, text in files.items():
        path = package / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return package


WELL_BUILT = {
    "__init__": "from fallline.transforms import grad\n",
    "errors": "class FalllineError(Exception): ...\n",
    "graph/__init__": "",
    "graph/node": "from fallline.errors import FalllineError\n",
    "graph/trace": "from . import node\nfrom .node import thing\n",
    "program/machine": "from fallline.graph import node\nfrom fallline.program.kernels import build\n",
    "program/kernels/__init__": "",
    "program/kernels/build": "def build():\n    import numba\n",
    "transforms": "def grad():\n    from fallline.program import machine\n",
}


def test_a_well_built_tree_has_no_problem(tmp_path: Path) -> None:
    assert problems(tree_of(tmp_path, **WELL_BUILT)) == []


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("graph/node", "import fallline.transforms\n", "graph imports transforms"),
        ("graph/node", "from fallline import transforms\n", "graph imports transforms"),
        ("graph/node", "from ..transforms import grad\n", "graph imports transforms"),
        ("graph/node", "def f():\n    from fallline.transforms import grad\n", "node.py:2: graph imports transforms"),
        (
            "graph/node",
            "import importlib\nimportlib.import_module('fallline.transforms')\n",
            "graph imports transforms",
        ),
        ("graph/node", "from fallline import grad\n", "graph imports fallline"),
        ("graph/node", "from fallline.graph.trace import t\n", "circle: "),
        ("graph/node", "def f():\n    from . import trace\n", "circle: "),
        ("graph/node", "import numba.core\n", "numba is imported outside its room"),
        ("graph/node", "def f():\n    from sklearn import datasets\n", "sklearn is imported outside its room"),
        ("data/table", "import onnx\n", "onnx is imported outside its room"),
        ("data/table", "import mpi4py.MPI\n", "mpi4py is imported outside its room"),
        ("nn/dense", "from fallline.program import machine\n", "nn never meets program"),
        ("sklearn", "import fallline.bench\n", "sklearn imports bench"),
        ("cellar/wine", "", "stands in no room"),
        ("graph/long", "\n" * (LONGEST_FILE + 1), "451 lines"),
        ("__init__", "from fallline.transforms import graph\n", "fallline.graph is a module and something else too"),
        ("graph/__init__", "def node(): ...\n", "fallline.graph.node is a module and something else too"),
    ],
)
def test_a_tree_wrong_in_one_way_is_told_so(tmp_path: Path, name: str, text: str, told: str) -> None:
    files = {**WELL_BUILT, "bench/__init__": "", name: text}
    found = problems(tree_of(tmp_path, **files))
    assert any(told in line for line in found), found


def test_a_listed_function_may_not_share_a_package_name(tmp_path: Path) -> None:
    files = {**WELL_BUILT, "__init__": "__all__ = ['training']\n", "training/loop": "def training(): ...\n"}
    assert problems(tree_of(tmp_path, **files)) == ["__init__.py: fallline.training is a module and something else too"]
    assert problems(tree_of(tmp_path, **{**files, "training/loop": "def fit(): ...\n"})) == []


def test_a_face_may_use_the_public_face(tmp_path: Path) -> None:
    assert problems(tree_of(tmp_path, **{**WELL_BUILT, "cli/main": "import fallline as fl\n"})) == []


def test_one_pass_may_not_import_another(tmp_path: Path) -> None:
    files = {**WELL_BUILT, "passes/fuse": "", "passes/tap": "from fallline.passes import fuse\n"}
    assert problems(tree_of(tmp_path, **files)) == ["passes/tap.py:1: one file of passes imports another"]
