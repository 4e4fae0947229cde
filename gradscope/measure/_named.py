"""What a model's source says it draws parameters of certain names with, whether or not that line is ever reached.

    for name, p in self.named_parameters():
        if name.endswith("c_proj.weight"):
            nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * self.config.n_layer))

A condition on a name that never holds leaves no trace in what runs: only in the source.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from torch import nn

from gradscope.schema import Estimate

_DRAWS = {"normal_": 2, "trunc_normal_": 2}  # function of torch.nn.init -> position of its standard deviation
_METHODS = (
    "__init__",
    "_init_weights",
    "init_weights",
    "_initialize_weights",
    "initialize_weights",
    "_reset_parameters",
)


def named_deviations(model: nn.Module) -> dict[str, Estimate]:
    """Name of a parameter -> the one standard deviation that the source declares for its name."""
    parameters = [name for name, _ in model.named_parameters()]
    declared: dict[str, set[float]] = {}
    lines: dict[str, str] = {}
    for path, module, function in _initializers(model):
        inside = [name for name in parameters if not path or name.startswith(f"{path}.")]
        for patterns, value, line in _named_draws(function, module):
            for name in inside:
                if all(any(_is_part(option, name) for option in options) for options in patterns):
                    declared.setdefault(name, set()).add(value)
                    lines[name] = line
    return {
        name: Estimate.exact(values.pop(), f"the source, {lines[name]}")
        for name, values in declared.items()
        if len(values) == 1
    }


def _initializers(model: nn.Module) -> Iterator[tuple[str, nn.Module, FunctionType]]:
    """The functions of the model's classes that go through parameters by name, each once, at the outermost module."""
    seen: set[FunctionType] = set()
    for path, module in model.named_modules():
        for kind in type(module).__mro__:
            if kind.__module__.startswith("torch."):
                continue
            for name in _METHODS:
                function = inspect.unwrap(vars(kind)[name]) if callable(vars(kind).get(name)) else None
                if isinstance(function, FunctionType) and function not in seen:
                    seen.add(function)
                    if "named_parameters" in function.__code__.co_names:
                        yield path, module, function


Patterns = list[list[str]]  # a name must hold one of each


def _named_draws(function: FunctionType, owner: nn.Module) -> Iterator[tuple[Patterns, float, str]]:
    """(parts of the name, standard deviation, "file:line") of every draw under a condition on a name."""
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):  # a class made without a source file declares nothing that can be read
        return
    values = _Values(tree, function, owner)
    for branch in (node for node in ast.walk(tree) if isinstance(node, ast.If)):
        patterns = _patterns(branch.test)
        calls = [c for statement in branch.body for c in ast.walk(statement) if isinstance(c, ast.Call)]
        for call in calls if patterns else ():
            deviation = _deviation(call)
            value = None if deviation is None else values.of(deviation)
            if value is not None:
                file = function.__code__.co_filename.rpartition("/")[2]
                yield patterns, value, f"{file}:{first + call.lineno - 1}"


def _patterns(test: ast.expr) -> Patterns:
    """What a name must contain for a condition to be meant to hold; [] if it is not about a name."""
    if isinstance(test, ast.BoolOp):
        parts = [_patterns(value) for value in test.values]
        if not all(parts):
            return []
        if isinstance(test.op, ast.And):
            return [options for part in parts for options in part]
        return [[option for part in parts for options in part for option in options]]
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq | ast.In):
        return [strings] if (strings := [*_strings(test.left), *_strings(test.comparators[0])]) else []
    if (
        isinstance(test, ast.Call)
        and isinstance(test.func, ast.Attribute)
        and test.func.attr == "endswith"
        and test.args
    ):
        return [strings] if (strings := _strings(test.args[0])) else []
    return []


def _strings(node: ast.expr) -> list[str]:
    """The text constants of an expression, where it is nothing but them."""
    items = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    constants = [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return constants if len(constants) == len(items) else []


def _is_part(pattern: str, name: str) -> bool:
    """Whether a pattern stands for whole components of a dotted name."""
    return f".{pattern.strip('.')}." in f".{name}."


def _deviation(call: ast.Call) -> ast.expr | None:
    """The expression of the standard deviation that a call draws with; None of any other call."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in _DRAWS:
        return None
    given = next((k.value for k in call.keywords if k.arg == "std"), None)
    is_method = isinstance(call.func, ast.Attribute) and not ast.unparse(call.func.value).endswith("init")
    position = _DRAWS[name] - is_method  # p.normal_(mean, std) against init.normal_(p, mean, std)
    return given if given is not None else call.args[position] if len(call.args) > position else None


class _Values:
    """Evaluates expressions of a method outside of its call: with its module, its globals, and what it assigns once."""

    def __init__(self, tree: ast.AST, function: FunctionType, owner: nn.Module) -> None:
        self._assigned: dict[str, ast.expr] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                self._assigned.setdefault(node.targets[0].id, node.value)
        config = getattr(owner, "config", None)
        self._globals = function.__globals__
        self._names: dict[str, Any] = {"self": owner, **({} if config is None else {"config": config})}

    def of(self, expression: ast.expr, depth: int = 3) -> float | None:
        """The number that an expression is; None if it needs what only the call knows."""
        names = {n.id for n in ast.walk(expression) if isinstance(n, ast.Name)}
        local = dict(self._names)
        for name in names - local.keys():
            if name in self._assigned and depth:
                value = self.of(self._assigned[name], depth - 1)
                if value is not None:
                    local[name] = value
        try:
            code = compile(ast.fix_missing_locations(ast.Expression(expression)), "<declared>", "eval")
            value = eval(code, self._globals, local)
        except Exception:  # a name that only the call knows
            return None
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
