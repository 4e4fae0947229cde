"""What the source of a file says of its classes: which are parts of others, which functions return one."""

from __future__ import annotations

import ast


def roots(tree: ast.Module, classes: set[str]) -> list[str]:
    """Classes that no other of `classes` mentions, directly or through functions of the file; in file order."""
    mentions = {
        node.name: {n.id for part in node.body for n in ast.walk(part) if isinstance(n, ast.Name)}  # bases are no parts
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }
    parts: set[str] = set()
    for name in classes & mentions.keys():
        reached, frontier = {name}, {name}
        while frontier:
            frontier = {m for f in frontier for m in mentions[f] if m in mentions} - reached
            reached |= frontier
        parts |= reached - {name}
    return [name for name in mentions if name in classes and name not in parts]


def makers(tree: ast.Module, classes: set[str]) -> list[str]:
    """Functions that return what calling one of `classes` makes; in file order."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [f.name for f in functions if any(_called(value) in classes for value in _returned(f))]


def _returned(function: ast.FunctionDef) -> list[ast.expr | None]:
    return [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]


def _called(value: ast.expr | None) -> str | None:
    return value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else None
