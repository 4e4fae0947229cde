"""The registry of op rules: one family of operators a file, each rule under the aten names that it covers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gradscope.predict._outcome import NoRule as NoRule
from gradscope.predict._table import Table
from gradscope.registry import Registry


@dataclass(frozen=True, slots=True)
class Call:
    """One operator call, with tables in place of tensors.

    Attributes:
        name: name of the aten operator, without namespace and without the underscore of in-place variants.
        function: the operator itself, to be run on real tensors.
        args, kwargs: its arguments.
        shapes: shapes of its tensor outputs.
    """

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.shapes[0]

    def given(self, position: int, name: str, default: Any = None) -> Any:
        """An argument by position or by name."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)

    @property
    def tables(self) -> list[Table]:
        """All tables among the arguments, in order."""
        from torch.utils._pytree import tree_leaves

        leaves = tree_leaves((self.args, self.kwargs), is_leaf=lambda leaf: isinstance(leaf, Table))
        return [leaf for leaf in leaves if isinstance(leaf, Table)]


Result = Table | Sequence[Table | None] | None
Rule = Callable[[Call], Result]

RULES: Registry[Rule] = Registry("gradscope.predict")


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Declare the rule of these aten operators."""

    def declare(function: Rule) -> Rule:
        for name in names:
            RULES.add(name, function)
        return function

    return declare
