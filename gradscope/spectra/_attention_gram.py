"""J Jᵀ of all heads of one attention, ready for many products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gradscope.spectra._attention_systems import AttentionSystems

_CACHE = 150_000  # attention weights, 0.6 MB of them, that are worked on at a time
_REPAID = 6  # times the value's width: up to so many queries one product with the weights is worth a few fewer


@dataclass(frozen=True, slots=True)
class AttentionGram:
    """J Jᵀ of every system, or JᵀJ where the inputs have fewer entries than the output.

    Attributes:
        parts: all systems in their order, so many at a time as a CPU's cache holds.
        columns: entries of the vectors of one system; `rows`: of those in between.
    """

    parts: Sequence[_Part]
    columns: int
    rows: int

    @classmethod
    def of(cls, systems: AttentionSystems) -> AttentionGram:
        """Ready for many products, of one system or more."""
        inputs, outputs = sum(systems.sizes), systems.output[0].numel()
        size = len(systems)
        if systems.weights.device.type == "cpu":
            size = max(1, _CACHE // max(1, systems.weights[0].numel()))
        some = [systems.keep(slice(at, at + size)) for at in range(0, len(systems), size)]
        parts = [_Part(s, is_outer=False) if inputs < outputs else _Part.outer(s) for s in some]
        return cls(parts, min(inputs, outputs), max(inputs, outputs))

    def gram(self, v: Tensor) -> Tensor:
        """The product of every system."""
        vectors = v.split([len(part.systems) for part in self.parts])
        return torch.cat([part.gram(vector) for part, vector in zip(self.parts, vectors, strict=True)])

    def matrices(self) -> Tensor:
        """The operators themselves, (systems, columns, columns)."""
        weights = self.parts[0].systems.weights
        count = sum(len(part.systems) for part in self.parts)
        unit = torch.eye(self.columns, dtype=weights.dtype, device=weights.device)
        return torch.stack([self.gram(row.repeat(count, 1)) for row in unit], 1)

    def keep(self, rows: Tensor) -> AttentionGram:
        """Only these systems, given in order."""
        parts, at = [], 0
        for part in self.parts:
            count = len(part.systems)
            mine = rows[(rows >= at) & (rows < at + count)] - at
            if len(mine):
                parts.append(part if len(mine) == count else part.keep(mine))
            at += count
        return replace(self, parts=parts)


@dataclass(frozen=True, slots=True)
class _Part:
    """Some systems.

    Attributes:
        is_outer: J Jᵀ is meant.
        mixing: (D∘P)(D∘P)ᵀ, what J Jᵀ has from the value, (systems, T, T), where one product with it is cheaper than
            the two; `systems` then has a constant value.
    """

    systems: AttentionSystems
    is_outer: bool
    mixing: Tensor | None = None

    @classmethod
    def outer(cls, systems: AttentionSystems) -> _Part:
        *others, value = systems.inputs
        if value is None or value in others or systems.query.shape[1] > _REPAID * systems.value.shape[2]:
            return cls(systems, is_outer=True)
        weights = systems.dropped(systems.weights)
        return cls(replace(systems, inputs=(*others, None)), True, torch.bmm(weights, weights.mT))

    def gram(self, v: Tensor) -> Tensor:
        systems = self.systems
        if not self.is_outer:
            return systems.rmatvec(systems.matvec(v))
        if self.mixing is None:
            return systems.matvec(systems.rmatvec(v))
        u = v.view_as(systems.output)
        if not systems.sizes:
            return torch.bmm(self.mixing, u).flatten(1)
        return systems.matvec(systems.rmatvec(v)).view_as(u).baddbmm_(self.mixing, u).flatten(1)

    def keep(self, rows: Tensor) -> _Part:
        """Only these systems."""
        return replace(self, systems=self.systems.keep(rows), mixing=None if self.mixing is None else self.mixing[rows])
