"""The rooms of DESIGN.md, held by reading imports: their direction, circles, libraries kept to their room, size.

Nothing of the package is imported here, so a broken tree still gets a full answer.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import numpy as np
import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "fallline"
LONGEST_FILE = 450

# Floor to roof: a file imports only from rooms above its own in this table; rooms on one line do not know each other.
# "" is the package's own __init__: the public face over everything that is not a face itself.
ROOMS: tuple[tuple[str, ...], ...] = (
    ("displays", "names", "typesetting"),
    ("errors",),
    ("arrays",),
    ("arguments",),
    ("config", "ranges", "table", "tree"),
    ("source", "split"),
    ("stored",),
    ("graph",),
    ("ops",),
    ("passes",),
    ("program",),
    ("transforms",),
    ("nn",),
    ("optim",),
    ("curvature",),
    ("data",),
    ("feeds", "steps"),
    ("gauges",),
    ("jobs",),
    ("runs",),
    ("training",),
    ("experiments",),
    ("assessment",),
    ("start",),
    ("presets",),
    ("recipe",),
    ("committee",),
    ("exports",),
    ("insight",),
    ("diagnosis",),
    ("lessons",),
    ("scale",),
    ("plots",),
    ("testing",),
    ("exercises",),
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
    "sklearn": ("data", "sklearn", "bench", "nn/scorer.py", "assessment/baselines.py"),
    "joblib": ("sklearn",),
    "pyarrow": ("data",),
    "narwhals": ("table.py",),
    "torch": ("bench",),
    "jax": ("bench",),
    "mpi4py": ("scale",),
    "onnx": ("exports",),
    "matplotlib": ("plots/figure.py", "plots/net_figure.py"),
    "IPython": ("plots/notebook.py",),
    "benchmarks": (),  # they are outside the package, and need it
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
            if isinstance(first, ast.JoinedStr) and first.values:
                first = first.values[0]  # of f"fallline.cli.{name}", the room
            if name in ("import_module", "__import__") and isinstance(first, ast.Constant):
                # The file of a table's entry imports the table: that is no circle, so it is told apart by its end.
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
            is_table = imp.target.endswith(".")  # f"fallline.cli.{name}"
            target = resolve(imp.target, modules)
            there = room_of(target, root)
            if imp.target.removeprefix(target).count(".") > 1:
                wrong.append(f"{p}:{imp.line}: there is no {imp.target.rpartition('.')[0]}")
            if target != names[p] and not is_table:
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


# The files that import by a name which is no constant, or look a module up: no arrow shows what they reach. Each of
# them has a reason: the files of a table, the classes of a saved model, or the one joint at the roof.
UNSEEN = {
    "__init__.py": "the public names, and the drawers that `displays` asks for",
    "config.py": "the modules of saved classes",
    "diagnosis/diagnosed.py": "the files of its verdicts",
    "displays.py": "the roof, for whoever draws",
    "plots/notebook.py": "IPython, where it is loaded",
    "jobs/describe.py": "the versions that a run was made with",
    "program/forks.py": "the engine, where it is loaded",
    "program/kernels/store.py": "itself",
    "program/row_blocks.py": "the store, where it is loaded",
    "report/whole_page.py": "the files of its sections",
    "runs/model_file.py": "the version",
}
OF_CALLERS = ("graph/reach.py", "config.py", "cli/shell.py")  # they look at modules of the caller's, or of a command


def looks_up(tree: ast.Module) -> bool:
    """Whether a file reaches a module in a way that `imports_of` cannot read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "modules" and getattr(node.value, "id", "") == "sys":
            return True
        name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else name
        if name in ("import_module", "__import__") and isinstance(node, ast.Call):
            first = node.args[0] if node.args else None
            first = first.values[0] if isinstance(first, ast.JoinedStr) and first.values else first
            inside = first.value if isinstance(first, ast.FormattedValue) else None
            of_its_own = isinstance(inside, ast.Name) and inside.id == "__name__"  # the files of a table
            if not isinstance(first, ast.Constant) and not of_its_own:
                return True
    return False


def test_modules_are_looked_up_by_computed_names_only_where_that_is_told() -> None:
    files = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    found = {name for name, path in files.items() if looks_up(ast.parse(path.read_text(encoding="utf-8")))}
    assert found - set(OF_CALLERS) == set(UNSEEN) - set(OF_CALLERS)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import sys\nroof = sys.modules['fallline']\n", True),
        ("import importlib\nimportlib.import_module(name)\n", True),
        ("from importlib import import_module\nimport_module(f'{name}.x')\n", True),
        ("from importlib import import_module\nimport_module(f'{__name__}.{name}')\n", False),
        ("import importlib\nimportlib.import_module('fallline.cli')\n", False),
        ("import importlib\nimportlib.import_module(f'fallline.cli.{name}')\n", False),
    ],
)
def test_a_look_up_is_found(text: str, found: bool) -> None:
    assert looks_up(ast.parse(text)) is found


def test_no_source_is_ignored() -> None:
    # Builds leave out what git ignores: a pattern without a leading slash would take a room of that name away.
    root = PACKAGE.parents[1]
    patterns = [line.rstrip("/") for line in (root / ".gitignore").read_text(encoding="utf-8").split()]
    sources = [path for path in PACKAGE.rglob("*") if "__pycache__" not in path.parts and path.suffix in ("", ".py")]
    parts = {part for path in sources for part in path.relative_to(root).parts}
    assert not [part for part in sorted(parts) for pattern in patterns if fnmatchcase(part, pattern)]


def same_names(*folders: Path) -> dict[str, list[str]]:
    """The names that more than one file has, other than those that Python gives."""
    found: dict[str, list[str]] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            if not path.name.startswith("__"):
                found.setdefault(path.name, []).append(path.relative_to(folder.parent).as_posix())
    return {name: paths for name, paths in found.items() if len(paths) > 1}


def test_no_two_files_have_one_name() -> None:
    assert same_names(PACKAGE, PACKAGE.parents[1] / "benchmarks") == {}


def test_files_with_one_name_are_found(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, **{"nn/table": "", "ops/table": "", "nn/__init__": "", "ops/__init__": ""})
    assert same_names(tree) == {"table.py": ["fallline/nn/table.py", "fallline/ops/table.py"]}


# The test of the test: small made-up trees, each with one fault.


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
        (
            "graph/node",
            "import importlib\nimportlib.import_module(f'fallline.transforms.{1}')\n",
            "graph imports trans",
        ),
        (
            "graph/node",
            "class A:\n    def f(self):\n        import fallline.transforms as t\n",
            "graph imports transforms",
        ),
        ("graph/node", "if False:\n    from fallline.transforms import grad\n", "graph imports transforms"),
        ("graph/node", "from fallline.graph.gone import thing\n", "node.py:1: there is no fallline.graph.gone"),
        ("graph/node", "from fallline import grad\n", "graph imports fallline"),
        ("graph/node", "from fallline.graph.trace import t\n", "circle: "),
        ("graph/node", "def f():\n    from . import trace\n", "circle: "),
        ("graph/node", "import numba.core\n", "numba is imported outside its room"),
        ("graph/node", "def f():\n    from sklearn import datasets\n", "sklearn is imported outside its room"),
        ("data/table", "import onnx\n", "onnx is imported outside its room"),
        ("bench/command", "from benchmarks import results_page\n", "benchmarks is imported outside its room"),
        ("data/table", "import mpi4py.MPI\n", "mpi4py is imported outside its room"),
        ("nn/dense", "from fallline.program import machine\n", "nn never meets program"),
        ("sklearn", "import fallline.bench\n", "sklearn imports bench"),
        ("cellar/wine", "", "stands in no room"),
        ("graph/long", "\n" * (LONGEST_FILE + 1), "451 lines"),
        ("__init__", "from fallline.transforms import graph\n", "fallline.graph is a module and something else too"),
        ("graph/__init__", "def node(): ...\n", "fallline.graph.node is a module and something else too"),
    ],
)
def test_a_tree_wrong_in_one_way_is_reported_so(tmp_path: Path, name: str, text: str, told: str) -> None:
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


# Circles that no import shows: a file that reads a record of a file above it through `Any`, or calls back a function of
# the file that called it. What is found is what can be found in sources: an argument or field that is `Any`, of which
# three attributes or more are read that only a record above this file has; and, in the faces, a function of a file's
# own that it hands to a function of another file of its room.
FACES = ("cli", "report", "sklearn", "studio")
# Attributes that say nothing of whose they are.
COMMON = {name for kind in (np.ndarray, str, list, dict, type, Exception) for name in dir(kind)}
ENOUGH = 3
# Files that hold the body of a method, and say so: the record above them is the one that they are for.
METHODS_OF = {"fallline.graph.show": "fallline.graph.node", "fallline.nn.part": "fallline.nn.model"}


@dataclass(frozen=True)
class Source:
    """One file: its tree, the modules it imports, the members of its classes, the functions at its top."""

    name: str
    tree: ast.Module
    imports: set[str]
    binds: dict[str, str]
    records: dict[str, set[str]]
    functions: set[str]


def sources(package: Path) -> dict[str, Source]:
    files = {p: p.relative_to(package.parent).with_suffix("") for p in sorted(package.rglob("*.py"))}
    names = {p: ".".join(parts.parts).removesuffix(".__init__") for p, parts in files.items()}
    modules, found = set(names.values()), {}
    for path, name in names.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        all_of = imports_of(tree, name, path.name == "__init__.py")
        own = [one for one in all_of if one.target.split(".")[0] == package.name]
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        found[name] = Source(
            name,
            tree,
            {resolve(one.target, modules) for one in own} - {name},
            {one.binds: one.target for one in own},
            {one.name: set(members(one)) for one in classes},
            {node.name for node in tree.body if isinstance(node, ast.FunctionDef)},
        )
    return found


def members(cls: ast.ClassDef) -> Iterator[str]:
    for node in cls.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.FunctionDef):
            yield node.name


def reached(name: str, all_of: dict[str, Source]) -> set[str]:
    """Every module that this one imports, directly or not."""
    seen: set[str] = set()
    left = [name]
    while left:
        new = (all_of[left.pop()].imports & all_of.keys()) - seen
        seen |= new
        left += new
    return seen


def is_any(annotation: ast.expr | None) -> bool:
    return isinstance(annotation, ast.Name) and annotation.id == "Any"


def read_through_any(source: Source) -> dict[str, set[str]]:
    """`argument of function` or `field of record` that is Any -> the attributes that are read of it."""
    found: dict[str, set[str]] = {}
    for function in ast.walk(source.tree):
        if isinstance(function, ast.FunctionDef):
            arguments = [*function.args.args, *function.args.kwonlyargs]
            for name in (one.arg for one in arguments if is_any(one.annotation)):
                inside = (node for node in ast.walk(function) if isinstance(node, ast.Attribute))
                attributes = {n.attr for n in inside if isinstance(n.value, ast.Name) and n.value.id == name}
                found[f"{name} of {function.name}"] = attributes - COMMON
    for cls in source.tree.body:
        for field in cls.body if isinstance(cls, ast.ClassDef) else ():
            if isinstance(field, ast.AnnAssign) and is_any(field.annotation) and isinstance(field.target, ast.Name):
                inside = (node for node in ast.walk(source.tree) if isinstance(node, ast.Attribute))
                own = field.target.id
                attributes = {n.attr for n in inside if isinstance(n.value, ast.Attribute) and n.value.attr == own}
                found[f"{own} of {getattr(cls, 'name', '')}"] = attributes - COMMON
    return {what: attributes for what, attributes in found.items() if len(attributes) >= ENOUGH}


def called(call: ast.Call, source: Source) -> str:
    """The dotted name of what is called, if it came by an import."""
    function = call.func
    if isinstance(function, ast.Name):
        return source.binds.get(function.id, "")
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        base = source.binds.get(function.value.id)
        return f"{base}.{function.attr}" if base else ""
    return ""


def hidden_circles(package: Path) -> list[str]:
    all_of = sources(package)
    below = {name: reached(name, all_of) for name in all_of}
    wrong = []
    for name, source in all_of.items():
        for what, attributes in read_through_any(source).items():
            owners = [
                (other.name, record)
                for other in all_of.values()
                for record, has in other.records.items()
                if attributes <= has
            ]
            if owners and all(name in below[owner] for owner, _ in owners):
                owner, record = owners[0]
                if METHODS_OF.get(name) == owner:
                    continue
                wrong.append(f"{name}: the {what} is Any and read as {owner}.{record}, which imports this file")
    for name, source in all_of.items():
        for call in (node for node in ast.walk(source.tree) if isinstance(node, ast.Call)):
            target = called(call, source)
            there, room = resolve(target, set(all_of)), room_of(name, package.name)
            if there not in all_of or room not in FACES or room_of(there, package.name) != room:
                continue
            values = [*call.args, *(keyword.value for keyword in call.keywords)]
            inside = {
                n.id
                for v in values
                if isinstance(v, ast.Name | ast.Lambda)
                for n in ast.walk(v)
                if isinstance(n, ast.Name)
            }
            for own in sorted(inside & source.functions):
                wrong.append(f"{name}: hands its {own} to {target}: a circle of two files")
    return wrong


def test_no_file_reads_or_calls_one_above_it_behind_any_or_a_callable() -> None:
    assert hidden_circles(PACKAGE) == []


LOWER = "from typing import Any\n\n\ndef plan(flags: Any) -> Any:\n    return flags.hidden, flags.batch, flags.epochs\n"
UPPER = (
    "from dataclasses import dataclass\nfrom fallline.cli import session\n\n\n@dataclass\nclass FLAGS:\n"
    "    hidden: str\n    batch: str\n    epochs: int\n\n\ndef run(flags: FLAGS) -> None:\n    session.plan(flags)\n"
)
BACK = (
    "from fallline.cli import session\n\n\ndef share_of(rows: int) -> float:\n    return 0.1\n\n\n"
    "def run() -> None:\n    session.plan(share_of)\n"
)


@pytest.mark.parametrize(
    ("train", "session", "told"),
    [
        (UPPER, LOWER, "the flags of plan is Any and read as fallline.cli.train.FLAGS, which imports this file"),
        (BACK, "def plan(share_of):\n    return share_of(3)\n", "hands its share_of to fallline.cli.session.plan"),
        (
            BACK.replace("plan(share_of)", "plan(lambda n: share_of(n))"),
            "def plan(share_of):\n    return share_of(3)\n",
            "hands its share_of to fallline.cli.session.plan",
        ),
        (UPPER, LOWER.replace("flags.epochs", "3"), ""),  # two attributes may be anybody's
        (UPPER, "class Mine:\n    hidden: str\n    batch: str\n    epochs: int\n" + LOWER, ""),
        (BACK.replace("plan(share_of)", "plan(share_of(3))"), "def plan(share):\n    return share\n", ""),
    ],
    ids=str,
)
def test_a_hidden_circle_is_found_and_nothing_else(tmp_path: Path, train: str, session: str, told: str) -> None:
    files = {"__init__": "", "cli/__init__": "", "cli/train": train, "cli/session": session}
    found = hidden_circles(tree_of(tmp_path, **files))
    assert (told in found[0]) if told else found == [], found
