"""The bidiagonal matrix of a Golub-Kahan run, and what it says about the largest singular value."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gradscope.spectra import _bounds


@dataclass(slots=True)
class Bidiagonal:
    """The bidiagonal matrix of a run so far: `alphas` on its diagonal, `betas` above it.

    Attributes:
        columns: entries of the start vector; `rows`: of its image, 0 before the first step.
        is_exhausted: the Krylov space is complete, so the largest Ritz value is the largest singular value.
    """

    columns: int
    rows: int = 0
    alphas: list[float] = field(default_factory=list)
    betas: list[float] = field(default_factory=list)
    is_exhausted: bool = False
    _found: dict[tuple[int, int], float] = field(default_factory=dict)  # by number of coefficients and tail
    _grown: tuple[int, _bounds.Growth | None] = (0, None)  # with the number of coefficients
    _heights: dict[float, float] = field(default_factory=dict)  # of that growth, by value

    def __len__(self) -> int:
        return len(self.alphas)

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.alphas[-1]) and (not self.betas or math.isfinite(self.betas[-1]))

    def low(self) -> float:
        """Ritz value: the largest singular value is at least this."""
        key = len(self), 0
        if key not in self._found:
            self._found[key] = _bounds.ritz_value(self.alphas, self.betas)
        return self._found[key]

    def high(self, probability: float) -> float:
        """What the largest singular value exceeds with at most `probability`."""
        if self.is_exhausted:
            return self.low()
        return _bounds.upper_bound(self.low(), self._growth(), dimension=self.columns, probability=probability)

    def is_below(self, value: float, probability: float) -> bool:
        """Whether `high` is at most `value`, without computing it."""
        low = self.low()
        if self.is_exhausted or value <= low:
            return self.is_exhausted and value >= low
        growth = self._growth()
        if growth is None:
            return True
        if value not in self._heights:
            self._heights[value] = growth(value / low - 1)
        return self._heights[value] >= _bounds.escape(probability, self.columns)

    def _growth(self) -> _bounds.Growth | None:
        if self._grown[0] != len(self):
            self._heights.clear()
            self._grown = len(self), _bounds.growth(self.alphas, self.betas, self.low())
        return self._grown[1]

    def band_edge(self, tail: int) -> float:
        """Extrapolation with the mean of the last `tail` coefficients."""
        key = len(self), max(2, min(tail, len(self) - 2))
        if key not in self._found:
            self._found[key] = _bounds.continued_value(
                self.alphas, self.betas, key[1], rows=self.rows, columns=self.columns
            )
        return self._found[key]
