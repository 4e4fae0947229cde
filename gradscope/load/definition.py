"""Where the user's file defines what builds the model."""

from __future__ import annotations

import ast
import re
from types import ModuleType

from gradscope.load.failure import shown


def line_of(module: ModuleType | None, target: str) -> str | None:
    """ "file:line" of the function, class or object that a target such as "model.py:Net(depth=3)" names.

    None where there is no file, or nothing of that name at its top level.
    """
    file = getattr(module, "__file__", None)
    wanted = re.match(r"\w+", target.rpartition(":")[2].partition("(")[0])
    if file is None or wanted is None:
        return None
    with open(file, "rb") as opened:
        tree = ast.parse(opened.read())
    lines = [statement.lineno for statement in tree.body if wanted[0] in _defined(statement)]
    return f"{shown(file)}:{lines[-1]}" if lines else None


def _defined(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}
