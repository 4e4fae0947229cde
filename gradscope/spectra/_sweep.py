"""The state of one pass over a model: accuracy, random starts, and the weights already solved."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from itertools import count, repeat
from typing import Any

import torch
from torch import Tensor, nn

from gradscope.pytree import tensors_in
from gradscope.schema import Estimate
from gradscope.spectra._stopping import Goal


class Sweep:
    """One pass over a model; hand it to every `layer_spectrum` of that pass.

    Args:
        tolerance: relative error allowed in a spectral norm.
        probability: chance that any upper bound of the pass fails.
        bounds: how many bounds are expected, which share most of that chance; further ones get what is left.
        is_certified: iterate until high / low - 1 <= tolerance.
        seed: of the random start vectors; no global random state is touched.
    """

    def __init__(
        self, *, tolerance: float, probability: float, bounds: int = 1, is_certified: bool = False, seed: int = 0
    ) -> None:
        self.tolerance = tolerance
        self.is_certified = is_certified
        self._shares = _shares(probability, max(1, bounds))
        self.generator = torch.Generator().manual_seed(seed)
        self._solved: dict[tuple[Any, ...], tuple[Estimate, float]] = {}

    def goal(self, *, coarse: int, fine: int, stride: int = 2, early: int = 300) -> Goal:
        """When an iteration of this pass may stop: not before the step `coarse`, or `fine` for a small tolerance.

        From the step `early` on it may stop as soon as the bounds are close.
        Every goal comes with its own share of the probability that a bound of the pass fails.
        """
        goal = Goal(self.tolerance, next(self._shares), self.is_certified, coarse, stride, early=early)
        return goal if goal.is_coarse else replace(goal, first=fine)

    def start(self, *shape: int, like: Tensor) -> Tensor:
        """A random normal start vector in a dtype and on a device that fit `like`."""
        dtype = torch.float64 if like.dtype in (torch.float64, torch.complex128) else torch.float32
        return torch.randn(shape, generator=self.generator, dtype=dtype).to(like.device)

    def solved(
        self, weight: Tensor, kind: Hashable, solve: Callable[[], tuple[Estimate, float]]
    ) -> tuple[Estimate, float]:
        """(spectral norm, squared Frobenius norm) of a weight, computed once for tied and shared parameters."""
        owner = weight if isinstance(weight, nn.Parameter) else weight._base
        if not isinstance(owner, nn.Parameter):  # a computed weight may be freed and its memory used again
            return solve()
        key = _key(weight, kind)
        if key not in self._solved:
            self._solved[key] = solve()
        return self._solved[key]

    def keep(self, weight: Tensor, kind: Hashable, found: tuple[Estimate, float]) -> None:
        """Remember what `solved` would find for a parameter, or a view of one."""
        self._solved[_key(weight, kind)] = found


def _key(weight: Tensor, kind: Hashable) -> tuple[Any, ...]:
    return kind, weight.data_ptr(), tuple(weight.shape), weight.stride(), weight._version, _sample(weight)


def _sample(weight: Tensor) -> tuple[float, ...]:
    """A few of its entries: `weight.data` may be written to, and freed memory be used again, without a new version."""
    while weight.ndim > 2:
        weight = weight[..., weight.shape[-1] // 2]
    diagonal = weight.detach().diagonal() if weight.ndim == 2 else weight.detach()
    return tuple(diagonal[:: max(1, len(diagonal) // 16)].tolist())


def _shares(probability: float, expected: int) -> Iterator[float]:
    """Positive numbers that sum up to `probability`: nine tenths for the first `expected`, a series for the rest."""
    yield from repeat(0.9 * probability / expected, expected)
    for i in count(1):
        yield 0.1 * probability / (i * (i + 1))


def tensors(tree: Any) -> Iterator[Tensor]:
    """Every tensor in what a layer takes or returns: containers, mappings, data classes."""
    yield from tensors_in(tree)
