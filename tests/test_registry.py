"""What holds for every registry: one file a plug-in, named for it, tested, and listed in tests/inventory.txt.

`python -m tests.test_registry > tests/inventory.txt` writes the list anew.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import sys
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gradscope
from gradscope.registry import Registry
from gradscope.schema import SEVERITIES

ROOT = Path(gradscope.__file__).parent
TESTS = Path(__file__).parent
INVENTORY = TESTS / "inventory.txt"
FAMILIES = {"gradscope.spectra", "gradscope.predict"}  # keyed by op: a file holds a family of layers
HEADINGS = ("## Why it matters", "## How it is decided", "## What to do", "## References")


def registries() -> dict[str, Registry[Any]]:
    """Every registry that a module of gradscope holds, by its package."""
    found = {}
    for module in pkgutil.walk_packages([str(ROOT)], "gradscope."):
        if "__main__" not in module.name:
            values = vars(importlib.import_module(module.name)).values()
            found |= {value.package: value for value in values if isinstance(value, Registry)}
    return dict(sorted(found.items()))


def function_of(item: Any) -> Callable[..., Any]:
    """The plug-in's own function: the item, a click command's callback, or the callable a record holds."""
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        values = (getattr(item, field.name) for field in dataclasses.fields(item))
        return next(v for v in values if callable(v) and getattr(v, "__module__", "").startswith("gradscope."))
    return getattr(item, "callback", item)


def home(item: Any) -> str:
    """Dotted name of the plug-in file (or folder) that declares the item."""
    return function_of(item).__module__


def files(package: str) -> set[str]:
    """Dotted names of the plug-in files of a registry."""
    path = importlib.import_module(package).__path__
    return {f"{package}.{m.name}" for m in pkgutil.iter_modules(path) if not m.name.startswith("_")}


REGISTRIES = registries()
ITEMS = [(package, name, item) for package, registry in REGISTRIES.items() for name, item in registry.load().items()]


FILES = sorted({(package, home(item)) for package, _, item in ITEMS})


def each_file() -> Any:
    """Parametrize over the plug-in files of all registries."""
    return pytest.mark.parametrize(("package", "file"), FILES, ids=[file[10:] for _, file in FILES])


def each(*packages: str) -> Any:
    """Parametrize over the items of some registries."""
    chosen = [(p, n, i) for p, n, i in ITEMS if not packages or p in packages]
    return pytest.mark.parametrize(("package", "name", "item"), chosen, ids=[f"{p[10:]}-{n}" for p, n, _ in chosen])


def test_the_registries_are_found() -> None:
    assert {"gradscope.cli", "gradscope.diagnose", "gradscope.measure", "gradscope.report"} <= REGISTRIES.keys()


@pytest.mark.parametrize("package", REGISTRIES)
def test_every_public_file_declares_something_and_nothing_is_declared_elsewhere(package: str) -> None:
    assert files(package) == {file for p, file in FILES if p == package}


@each(*(REGISTRIES.keys() - FAMILIES))
def test_a_file_has_the_name_of_what_it_declares(package: str, name: str, item: Any) -> None:
    expected, stem = name.replace("-", "_"), home(item).removeprefix(f"{package}.")
    if expected in sys.stdlib_module_names:  # json.py would shadow the standard library
        assert stem.startswith(f"{expected}_")
    else:
        assert stem == expected


@each_file()
def test_a_plug_in_has_a_mirrored_test(package: str, file: str) -> None:
    parts = file.split(".")[1:]
    path = TESTS.joinpath(*parts)
    expected = path / f"test_{parts[-1]}.py" if path.is_dir() else path.with_name(f"test_{parts[-1]}.py")
    assert expected.is_file(), expected


@each_file()
def test_a_plug_in_says_what_it_is(package: str, file: str) -> None:
    undocumented = [
        name
        for p, name, item in ITEMS
        if (p, home(item)) == (package, file) and not (function_of(item).__doc__ or "").strip()
    ]
    assert not undocumented
    assert (sys.modules[file].__doc__ or "").strip().partition("\n")[0].endswith((".", "?"))


@each("gradscope.diagnose")
def test_a_diagnostic_is_its_own_manual_page(package: str, name: str, item: Any) -> None:
    positions = [item.doc.find(heading) for heading in HEADINGS]
    assert -1 not in positions, f"missing: {[h for h, p in zip(HEADINGS, positions, strict=True) if p < 0]}"
    assert positions == sorted(positions)
    bodies = [item.doc[p:].split("\n", 1)[1].split("\n## ")[0].strip() for p in positions]
    assert all(bodies), "a heading without text"


@each("gradscope.diagnose")
def test_a_code_is_of_a_known_group(package: str, name: str, item: Any) -> None:
    prefix, group = item.code[:3], item.code[3:]
    assert prefix in {f"GS{digit}" for digit in (1, 2, 3, 4, 5, 6, 9)}
    assert group.isdigit()
    assert len(group) == 2
    assert item.severity in SEVERITIES


def test_codes_are_unique() -> None:
    counts = Counter(item.code for item in REGISTRIES["gradscope.diagnose"])
    assert not [code for code, n in counts.items() if n > 1]


def test_the_inventory_is_up_to_date() -> None:
    print(inventory())
    assert INVENTORY.read_text(encoding="utf-8") == inventory(), "python -m tests.test_registry > tests/inventory.txt"


def inventory() -> str:
    """Every plug-in of every registry, so that additions and losses show in review."""
    lines = []
    for package in REGISTRIES:
        of_package = [
            (home(item), f"{getattr(item, 'code', '')} {name}".strip()) for p, name, item in ITEMS if p == package
        ]
        lines.append(f"{package} ({len(of_package)})")
        if package in FAMILIES:
            for file in sorted({file for file, _ in of_package}):
                names = " ".join(sorted(name for f, name in of_package if f == file))
                lines += textwrap.wrap(
                    f"{file.rpartition('.')[2]}: {names}", 118, initial_indent="  ", subsequent_indent="    "
                )
        else:
            lines += [f"  {name}" for name in sorted(name for _, name in of_package)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(inventory(), end="")
