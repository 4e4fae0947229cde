"""J v by replaying a recorded run on tangents: one pass of linear maps, without computing the run again.

Every torch call of the run is kept with the tensors it read. A linear call is applied to the tangent itself,
the common non-linear ones have their derivative in `_tangent_rules`, all others go by forward-mode
differentiation of that one call. A product costs a third of differentiating the backward pass once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode

from gradscope.measure._masks import generator_state
from gradscope.measure._tangent_rules import RULES, needs_no_inputs, scaled_convolution
from gradscope.pytree import map_tensors, tensors_in

Tangents = dict[int, Tensor]  # id of a tensor of the run -> its tangent


@dataclass(slots=True)
class Step:
    """One torch call of the run.

    Attributes:
        args, kwargs: the arguments, with the values they had before the call.
        reads: the floating-point tensors among them, as objects.
        writes: the floating-point tensors that it returned.
        changed: positions in `reads` of what it overwrote.
        state: of the random generator before a call that may drop entries.
        derivative: what a rule prepared on first use.
        merged: this step and the one after it in one, as soon as a replay had use for it.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    reads: tuple[Tensor, ...]
    writes: tuple[Tensor, ...]
    changed: tuple[int, ...]
    state: Tensor | None = None
    derivative: Callable[[list[Tensor | None]], Tensor] | None = field(default=None)
    merged: Step | None = field(default=None)

    def push(self, tangents: Tangents) -> None:
        """Give every tensor that the call wrote its tangent."""
        incoming = [tangents.get(id(t)) for t in self.reads]
        if all(t is None for t in incoming):
            for tensor in self.writes:
                tangents.pop(id(tensor), None)
            return
        outgoing = self._apply(incoming)
        targets = [*self.writes, *(self.reads[i] for i in self.changed)]
        for tensor, tangent in zip(targets, outgoing, strict=True):
            if tangent is None:
                tangents.pop(id(tensor), None)
            else:
                tangents[id(tensor)] = tangent

    def _apply(self, incoming: list[Tensor | None]) -> list[Tensor | None]:
        if self.derivative is None:
            build = RULES.get(self.function.__name__)
            with torch.no_grad():
                self.derivative = build(self._detached(), incoming) if build else None
        if self.derivative is not None:
            found = self.derivative(incoming)
            return list(found) if isinstance(found, tuple | list) else [found] * (len(self.writes) + len(self.changed))
        return self._forward_mode(incoming)

    def _detached(self) -> Step:
        """The step for its rule: tangents that are differentiated themselves shall not lead back into the run."""
        args, kwargs, reads, writes = map_tensors(
            (self.args, dict(self.kwargs), self.reads, self.writes), Tensor.detach
        )
        return Step(self.function, args, kwargs, reads, writes, self.changed, self.state)

    def _forward_mode(self, incoming: list[Tensor | None]) -> list[Tensor | None]:
        if self.kwargs.get("dropout_p") or "dropout" in self.function.__name__:
            raise NotImplementedError(f"{self.function.__name__} would draw a new mask")
        given = iter(incoming)
        duals: list[Tensor] = []

        def dual(tensor: Tensor) -> Tensor:
            if not tensor.is_floating_point():
                return tensor
            tangent = next(given)
            value = tensor.detach().clone() if self.changed else tensor.detach()
            duals.append(value if tangent is None else forward_ad.make_dual(value, tangent))
            return duals[-1]

        with forward_ad.dual_level():
            args, kwargs = map_tensors((self.args, dict(self.kwargs)), dual)
            output = self.function(*args, **kwargs)
            outputs = [t for t in tensors_in(output) if t.is_floating_point()]
            return [forward_ad.unpack_dual(t).tangent for t in (*outputs, *(duals[i] for i in self.changed))]


class Recording(TorchFunctionMode):
    """Keeps every torch call made inside, and so every tensor: identities stay unique."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Step] = []

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        reads = [t for t in tensors_in((args, kwargs)) if t.is_floating_point()]
        versions = [t._version for t in reads]
        is_written = reads and not needs_no_inputs(func.__name__) and _may_overwrite(func, args, kwargs)
        keep = (lambda t: t.detach().clone()) if is_written else (lambda t: t)
        before = map_tensors((args, kwargs), keep)  # lists too: the caller may go on filling its own
        state = generator_state(reads[0].device) if reads and _may_drop(func) else None
        output = func(*args, **kwargs)
        writes = [t for t in tensors_in(output) if t.is_floating_point()]
        changed = [i for i, (t, v) in enumerate(zip(reads, versions, strict=True)) if t._version != v]
        if reads and (writes or changed):
            self.steps.append(Step(func, before[0], before[1], tuple(reads), tuple(writes), tuple(changed), state))
        return output


def _may_overwrite(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    name = function.__name__
    is_in_place = name.endswith("_") and (not name.endswith("__") or name.startswith("__i") or name == "__setitem__")
    return is_in_place or bool(kwargs.get("inplace")) or any(a is True for a in args)


def _may_drop(function: Callable[..., Any]) -> bool:
    return "dropout" in function.__name__ or function is F.scaled_dot_product_attention


class Replay:
    """The steps between two places of a run, ready to carry tangents; each is dropped after its last use.

    Args:
        steps: of the run.
        end: the tensor whose tangent is wanted.
        is_watched: whether the tangents of all tensors in between are wanted, too.
    """

    def __init__(self, steps: Sequence[Step], end: Tensor, *, is_watched: bool = False) -> None:
        steps = steps if is_watched else merged(steps, end)
        self._steps = steps
        self._end = end
        last = {id(t): i for i, step in enumerate(steps) for t in (*step.reads, *step.writes)}
        last.pop(id(end), None)
        self._dead: list[list[int]] = [[] for _ in steps]
        for tensor, i in last.items():
            self._dead[i].append(tensor)

    def __call__(self, seeds: Tangents, watch: Callable[[int, Tangents], None] | None = None) -> Tensor:
        """The tangent of the end, for given tangents of earlier tensors; `watch` sees all tangents after every step.

        It can be differentiated if the seeds can.
        """
        tangents = dict(seeds)
        is_traced = any(seed.requires_grad for seed in seeds.values())
        with torch.set_grad_enabled(is_traced), torch._C.DisableTorchFunction():
            for i, (step, dead) in enumerate(zip(self._steps, self._dead, strict=True)):
                step.push(tangents)
                if watch is not None:
                    watch(i, tangents)
                for tensor in dead:
                    tangents.pop(tensor, None)
        found = tangents.get(id(self._end))
        return torch.zeros_like(self._end) if found is None else found


def merged(steps: Sequence[Step], end: Tensor) -> list[Step]:
    """The steps, with every convolution and the stored statistics that alone scale its output as one convolution."""
    uses = Counter(id(t) for step in steps for t in step.reads)
    uses[id(end)] += 1
    found: list[Step] = []
    for step in steps:
        before = found[-1] if found else None
        one = None
        if before is not None and uses[id(step.reads[0])] == 1:
            one = _in_one(before, step)
        if one is None:
            found.append(step)
        else:
            found[-1] = one
    return found


def _in_one(before: Step, step: Step) -> Step | None:
    """Both steps as one, kept for other replays; None where they do not follow from each other in this way."""
    if len(before.writes) != 1 or before.writes[0] is not step.reads[0]:
        return None
    if before.merged is None:
        kwargs = scaled_convolution(before, step)
        if kwargs is not None:
            before.merged = Step(before.function, (), kwargs, before.reads, step.writes, ())
    return before.merged
