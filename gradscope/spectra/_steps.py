"""Golub-Kahan steps of many operators of equal shape at once, one operator a row."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

_ROW = 4096  # entries that are summed at once
_ROUNDING = 1e-6  # of float32 products, relative to the largest squared coefficient of a system


class Systems(Protocol):
    """Operators of equal shape, one a row."""

    def matvec(self, v: Tensor) -> Tensor:
        """(systems, columns) -> (systems, rows)."""
        ...

    def rmatvec(self, u: Tensor) -> Tensor:
        """(systems, rows) -> (systems, columns)."""
        ...

    def keep(self, rows: Tensor) -> Systems:
        """Only the systems with these indices."""
        ...


class GramSystems(Protocol):
    """Operators J of equal shape, known by JᵀJ (or by J Jᵀ, which has the same singular values).

    Attributes:
        rows: entries of the vectors in between, J v.
    """

    @property
    def rows(self) -> int: ...

    def gram(self, v: Tensor) -> Tensor:
        """JᵀJ v of every system in a fresh tensor, (systems, columns)."""
        ...

    def keep(self, rows: Tensor) -> GramSystems:
        """Only the systems with these indices."""
        ...


class Steps(Protocol):
    """A run of all systems.

    Attributes:
        rows: entries of J v, known after the first step.
    """

    @property
    def rows(self) -> int: ...

    def advance(self) -> tuple[list[float], list[float]]:
        """The next coefficients (α, β) of every system."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Go on with these systems only."""
        ...


class TwoSided:
    """Steps of J and Jᵀ in turn (Golub and Kahan, 1965)."""

    def __init__(self, systems: Systems, start: Tensor) -> None:
        self.systems = systems
        self.rows = 0
        self._v = start / _lengths(start)
        self._u: Tensor | None = None
        self._beta = torch.empty(0)

    def advance(self) -> tuple[list[float], list[float]]:
        w = self.systems.matvec(self._v)
        self.rows = w.shape[1]
        w = w.clone() if self._u is None else torch.addcmul(w, self._beta, self._u, value=-1)
        alpha = _lengths(w)
        self._u = _divide(w, alpha)
        w = torch.addcmul(self.systems.rmatvec(self._u), alpha, self._v, value=-1)
        self._beta = _lengths(w)
        self._v = _divide(w, self._beta)
        return alpha.flatten().tolist(), self._beta.flatten().tolist()

    def keep(self, rows: Tensor) -> None:
        assert self._u is not None, "systems are chosen after a step"
        self.systems = self.systems.keep(rows)
        self._v, self._u, self._beta = self._v[rows], self._u[rows], self._beta[rows]


class OneSided:
    """The same coefficients from JᵀJ alone: Lanczos' tridiagonal matrix is BᵀB, so B is its Cholesky factor.

    Cheaper where J v is much longer than v, or where both products share work. What is below √_ROUNDING of the
    largest coefficient is lost, which the largest singular value does not notice.
    """

    def __init__(self, systems: GramSystems, start: Tensor) -> None:
        self.systems = systems
        self._v = start / _lengths(start)
        self._last: Tensor | None = None
        self._off = start.new_zeros(len(start), 1)  # of the tridiagonal matrix, as is the diagonal below
        self._beta = start.new_zeros(len(start), 1, dtype=torch.float64)
        self._largest = self._beta.clone()

    @property
    def rows(self) -> int:
        return self.systems.rows

    def advance(self) -> tuple[list[float], list[float]]:
        w = self.systems.gram(self._v)
        if self._last is not None:
            w.addcmul_(self._off, self._last, value=-1)
        diagonal = torch.linalg.vecdot(w, self._v)[:, None]
        w.addcmul_(diagonal, self._v, value=-1)
        self._off = _lengths(w)
        self._last, self._v = self._v, _divide(w, self._off)
        square = diagonal.double() - self._beta.square()
        self._largest = torch.maximum(self._largest, square)
        alpha = torch.maximum(square, _ROUNDING * self._largest).sqrt()
        self._beta = torch.where(alpha > 0, self._off / alpha, 0.0)
        return alpha.flatten().tolist(), self._beta.flatten().tolist()

    def keep(self, rows: Tensor) -> None:
        assert self._last is not None, "systems are chosen after a step"
        self.systems = self.systems.keep(rows)
        self._v, self._last, self._off = self._v[rows], self._last[rows], self._off[rows]
        self._beta, self._largest = self._beta[rows], self._largest[rows]


def _lengths(vectors: Tensor) -> Tensor:
    """Row by row, (systems, 1); a long one is summed in parts, since float32 would lose digits."""
    whole = vectors.shape[1] // _ROW * _ROW
    if not whole or not vectors.is_contiguous():
        return torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    parts = torch.linalg.vector_norm(vectors[:, :whole].unflatten(1, (-1, _ROW)), dim=2)
    rest = torch.linalg.vector_norm(vectors[:, whole:], dim=1, keepdim=True)
    return torch.linalg.vector_norm(torch.cat((parts, rest), 1), dim=1, keepdim=True)


def _divide(vectors: Tensor, lengths: Tensor) -> Tensor:
    """Unit vectors, in place; a zero vector stays zero."""
    return vectors.div_(lengths.masked_fill(lengths == 0, 1.0))
