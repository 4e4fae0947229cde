"""Who may import whom: read from the source, so that a forbidden import fails wherever it hides."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import networkx as nx
import pytest

import gradscope

ROOT = Path(gradscope.__file__).parent
STAGES = {"load", "capture", "measure", "predict", "diagnose", "prescribe", "report"}
LEVELS = {
    "__main__": 5,
    **dict.fromkeys(("cli", "pytest_plugin"), 4),
    **dict.fromkeys(("pipeline", "monitor", "testing"), 3),
    **dict.fromkeys(STAGES, 2),
    **dict.fromkeys(("spectra", "config", "registry", "borrow", "pytree", "batches", "cost", "learning", "raised"), 1),
    "schema": 0,
}
HEAVY = {"torch", "scipy", "networkx", "numpy"}
LAZY = ("diagnose", "report", "cli", "schema", "config", "registry", "pytest_plugin", "testing", "__init__", "__main__")


@dataclass(frozen=True)
class Import:
    """`importer` (a file) imports `imported` (a dotted module)."""

    importer: str
    line: int
    imported: str
    is_deferred: bool  # inside a function
    is_for_types: bool  # under `if TYPE_CHECKING:`

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def imports_of(path: Path) -> Iterator[Import]:
    """Every import of a file, wherever it stands."""
    name = path.relative_to(ROOT.parent).as_posix()

    def walk(node: ast.AST, is_deferred: bool, is_for_types: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(name, child.lineno, a.name, is_deferred, is_for_types) for a in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{name}:{child.lineno}: imports are absolute"
                for alias in child.names:
                    full = f"{child.module}.{alias.name}"
                    is_module = (ROOT.parent / (full.replace(".", "/") + ".py")).exists()
                    is_package = (ROOT.parent / full.replace(".", "/")).is_dir()
                    module = full if is_module or is_package else child.module or ""
                    yield Import(name, child.lineno, module, is_deferred, is_for_types)
            else:
                is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                is_guard = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
                yield from walk(child, is_deferred or is_function, is_for_types or is_guard)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), False, False)


FILES = sorted(p for p in ROOT.rglob("*.py") if "_examples" not in p.parts)
IMPORTS = [i for path in FILES for i in imports_of(path)]


def part_of(importer: str) -> str:
    """The folder or file directly under gradscope/."""
    return Path(importer).parts[1].removesuffix(".py")


def ours() -> list[tuple[str, str, Import]]:
    """(part, part, import) for imports between different parts of gradscope."""
    found = []
    for i in IMPORTS:
        names = i.imported.split(".")
        if names[0] == "gradscope" and len(names) > 1 and part_of(i.importer) not in (names[1], "__init__"):
            found.append((part_of(i.importer), names[1], i))
    return found


def test_every_part_has_a_level() -> None:
    assert {part_of(path.relative_to(ROOT.parent).as_posix()) for path in FILES} - {"__init__"} <= LEVELS.keys()


def test_imports_point_downwards() -> None:
    upwards = [str(i) for a, b, i in ours() if LEVELS[a] < LEVELS[b] or (LEVELS[a] == LEVELS[b] == 4)]
    assert not upwards


def test_stages_do_not_know_each_other() -> None:
    assert not [str(i) for a, b, i in ours() if a in STAGES and b in STAGES]


def test_the_schema_imports_nothing_of_ours() -> None:
    assert not [str(i) for a, _, i in ours() if a == "schema"]


def test_no_two_parts_import_each_other() -> None:
    graph = nx.DiGraph((a, b) for a, b, i in ours() if not i.is_for_types)
    assert list(nx.simple_cycles(graph)) == []


def test_the_pipeline_is_imported_inside_functions_only() -> None:
    callers = ("cli", "pytest_plugin", "testing")
    assert not [
        str(i) for a, b, i in ours() if a in callers and b == "pipeline" and not (i.is_deferred or i.is_for_types)
    ]


@pytest.mark.parametrize("part", ["diagnose", "report"])
def test_judging_and_rendering_never_import_torch(part: str) -> None:
    of_part = [i for i in IMPORTS if part_of(i.importer) == part]
    assert of_part
    assert not [str(i) for i in of_part if i.imported.split(".")[0] in ("torch", "transformers")]


def test_what_every_command_loads_is_light() -> None:
    at_start = [i for i in IMPORTS if part_of(i.importer) in LAZY and not (i.is_deferred or i.is_for_types)]
    assert not [str(i) for i in at_start if i.imported.split(".")[0] in HEAVY]


def test_a_private_helper_stays_in_its_folder() -> None:
    def is_foreign(i: Import) -> bool:
        names = i.imported.split(".")
        if names[0] != "gradscope" or not names[-1].startswith("_") or names[-1].startswith("__"):
            return False
        return not i.importer.startswith("/".join(names[:-1]) + "/")

    assert not [str(i) for i in IMPORTS if is_foreign(i)]


def test_running_the_light_parts_loads_no_torch() -> None:
    script = (
        "import sys, importlib, pkgutil, gradscope.diagnose, gradscope.report, gradscope.config\n"
        "for package in (gradscope.diagnose, gradscope.report):\n"
        "    for m in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(m.name)\n"
        f"print(sorted(set({sorted(HEAVY)!r}) & sys.modules.keys()))"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
