"""Execute a Python file or import a module, without running what it keeps for scripts."""

from __future__ import annotations

import ast
import importlib
import os
import sys
import tokenize
from types import ModuleType

from gradscope.load.failure import USER_ERRORS, failure, shown
from gradscope.schema import GradscopeError


def execute(path: str) -> ModuleType:
    """Run a Python file as a module of its own and return it.

    The file's folder joins `sys.path`, as it does for `python model.py`, so that its neighbours can be
    imported, and `__pycache__` is not written. A file with relative imports is run as part of its package.

    Raises:
        GradscopeError: it cannot be read, is no valid Python, or raises.
    """
    absolute = os.path.abspath(path)
    tree = _tree(absolute)
    package, folder = _package(absolute) if _has_relative_import(tree) else ("", os.path.dirname(absolute))
    _add_to_path(folder)
    stem = os.path.splitext(os.path.basename(absolute))[0]
    # A name of its own: "transformer.py" or "utils.py" must not hide a module that someone imports later.
    module = ModuleType(f"{package}.{stem}" if package else f"gradscope_target_{stem}")
    module.__file__ = absolute
    module.__package__ = package
    arguments, without_cache = sys.argv, sys.dont_write_bytecode
    sys.argv, sys.dont_write_bytecode = [absolute], True
    try:
        if package:
            importlib.import_module(package)
        sys.modules[module.__name__] = module
        exec(compile(tree, absolute, "exec"), module.__dict__)
    except USER_ERRORS as error:
        raise failure(f"Importing {shown(absolute)}", error) from error
    finally:
        sys.argv, sys.dont_write_bytecode = arguments, without_cache
    return module


def imported(name: str) -> ModuleType:
    """Import a module by its dotted name; the working directory joins `sys.path`.

    Raises:
        GradscopeError: there is none of that name, or it raises.
    """
    _add_to_path(os.getcwd())
    without_cache, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise GradscopeError(
                f"There is no module {error.name!r} in {os.getcwd()} or among the installed packages; "
                "a file is named with its path, as in folder/model.py."
            ) from error
        raise failure(f"Importing {name}", error) from error
    except USER_ERRORS as error:
        raise failure(f"Importing {name}", error) from error
    finally:
        sys.dont_write_bytecode = without_cache


def _tree(path: str) -> ast.Module:
    try:
        with tokenize.open(path) as file:  # honours a coding cookie and a byte-order mark
            text = file.read()
        return ast.parse(text, path)
    except SyntaxError as error:  # also an unknown coding cookie
        if error.lineno is None:
            raise GradscopeError(f"{shown(path)} is not Python source text: {error.msg.split(' for ')[0]}.") from error
        raise failure("Reading", error) from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:  # a UnicodeDecodeError is a ValueError
        raise GradscopeError(f"{shown(path)} is not Python source text: {error}.") from error


def _has_relative_import(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.ImportFrom) and node.level > 0 for node in ast.walk(tree))


def _package(path: str) -> tuple[str, str]:
    """Dotted name of the package a file lies in, and the folder that holds its outermost part."""
    folder = os.path.dirname(path)
    names = [os.path.basename(folder)]
    folder = os.path.dirname(folder)
    while os.path.exists(os.path.join(folder, names[0], "__init__.py")) and os.path.exists(
        os.path.join(folder, "__init__.py")
    ):
        names.insert(0, os.path.basename(folder))
        folder = os.path.dirname(folder)
    return ".".join(names), folder


def _add_to_path(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)
