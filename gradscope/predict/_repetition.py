"""A long run of equal blocks in a model, and the same model with fewer of them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from gradscope.predict._plan import Plan
from gradscope.pytree import tensors_in

LONGEST_PERIOD = 4  # members of a list that may make one block, such as linear, norm, activation
_DIGITS = 6  # of the moments of a parameter that blocks have in common


@dataclass(frozen=True)
class Repetition:
    """A list of modules that repeats a block.

    Attributes:
        path: of the list.
        first: its first member that belongs to the run.
        period: members that make one block.
        blocks: how many of them there are.
    """

    path: str
    first: int
    period: int
    blocks: int

    def member(self, block: int) -> str:
        """The path of the first member of a block."""
        name = str(self.first + block * self.period)
        return f"{self.path}.{name}" if self.path else name

    def block_of(self, name: str) -> int | None:
        """Which block a parameter of this name is in."""
        inside = name.removeprefix(f"{self.path}.") if self.path else name
        number = inside.split(".")[0]
        if (self.path and inside == name) or not number.isdigit() or int(number) < self.first:
            return None
        block = (int(number) - self.first) // self.period
        return block if block < self.blocks else None

    def within(self, name: str) -> tuple[int, str]:
        """Where in its block a parameter of this name is."""
        inside = name.removeprefix(f"{self.path}.") if self.path else name
        number, _, rest = inside.partition(".")
        return (int(number) - self.first) % self.period, rest


def repetition(plan: Plan) -> Repetition | None:
    """The longest run of blocks that have the same modules, shapes and initial distributions; None without one."""
    found: list[Repetition] = []
    for path, module in plan.model.named_modules():
        if isinstance(module, nn.Sequential | nn.ModuleList) and [*module._modules] == [*map(str, range(len(module)))]:
            signatures = [_signature(member, plan) for member in module]
            found += [r for r in _runs(path, signatures) if _is_whole(module, r)]
    return max(found, key=lambda r: r.blocks, default=None)


def shortened(plan: Plan, run: Repetition, blocks: int) -> Plan:
    """The model with the first `blocks` of the run; all tensors are shared."""
    tensors = [t for m in plan.model.modules() for t in tensors_in(list(vars(m).values()))]
    model = copy.deepcopy(plan.model, {id(t): t for t in tensors})
    members = model.get_submodule(run.path)._modules
    for i in range(run.first + blocks * run.period, run.first + run.blocks * run.period):
        del members[str(i)]
    return Plan(model, plan.initial)


def _runs(path: str, signatures: list[Any]) -> Iterator[Repetition]:
    for period in range(1, LONGEST_PERIOD + 1):
        equal = [a == b for a, b in zip(signatures, signatures[period:], strict=False)]
        start = 0
        for is_equal, group in itertools.groupby(equal):
            length = len([*group])
            if is_equal and (blocks := (length + period) // period) > 1:
                yield Repetition(path, start, period, blocks)
            start += length


def _is_whole(module: nn.Module, run: Repetition) -> bool:
    """Whether members may be taken out: a sequence runs what it holds, a list is indexed up to its end."""
    end = run.first + run.blocks * run.period
    return isinstance(module, nn.Sequential) or (run.first == 0 and end == len(module._modules))


def _signature(module: nn.Module, plan: Plan) -> tuple[Any, ...]:
    """What blocks must have in common: kinds of modules, and shapes and moments of their parameters."""
    kinds = tuple((name, type(m), m.extra_repr()) for name, m in module.named_modules())
    drawn = []
    for name, parameter in module.named_parameters():
        known = plan.initial.find(parameter)
        moments = None if known is None else (f"{known.mean:.{_DIGITS}g}", f"{known.second_moment:.{_DIGITS}g}")
        drawn.append((name, tuple(parameter.shape), moments))
    return kinds, tuple(drawn)
