"""Moment tables: the mean and the second moments of one tensor over random weights and inputs, by class of index pair.

    mean[g...]    E x_I for I in group g of every axis
    second[c...]  E x_I x_J for a pair (I, J) of class c on every axis

Every tensor dimension is a product of axes, so that a view forgets nothing. Whatever maps a table linearly has its
backward for free: with g = J^T r, the table of E g_I g_J is the adjoint of the forward map with respect to the number
of pairs in every class.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gradscope.predict import _axes
from gradscope.predict._axes import Array, Axis

if TYPE_CHECKING:
    from torch import Tensor

    from gradscope.predict._gaussian import Lineage

Role = Literal["same", "mix", "function", "normalized", "sum", "times", "guess"]
Dims = tuple[tuple[Axis, ...], ...]
Backward = Callable[[Array], Sequence["Array | None"]]

LARGEST = 1 << 26  # entries of a table

_order = itertools.count()


@dataclass(eq=False)
class Table:
    """What is known of one tensor.

    Attributes:
        dims: the axes that make up every dimension; none for a dimension of size 1.
        mean: (groups of every axis...).
        second: (classes of every axis...).
        parents: the tables it was computed from.
        backward: gradient table -> the gradient table that every parent receives.
        value: the tensor itself, where it does not depend on weights or inputs.
        lineage: the function of a Gaussian table that it is, if it is one.
        notes: what later rules may want to know of its origin, by name.
        gradient: E g_I g_J of the loss's gradient, once `propagate` has run.
        shadow: E g^2 of the part of the gradient that went straight to the base of a lineage.
        conditional: E g^2 given the value of the Gaussian behind the lineage, on the grid; None where it is constant.
        condition: like `backward`, from `conditional` to those of the parents.
        passes: gradient table -> the tables it skips and E g^2 of each, where the lineage does not tell.
        role: how it was computed, for the propagation of fluctuations between initializations.
        is_initial: whether it depends on parameters and constants only.
    """

    dims: Dims
    mean: Array
    second: Array
    parents: tuple[Table, ...] = ()
    backward: Backward | None = None
    value: Tensor | None = None
    lineage: Lineage | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    gradient: Array | None = None
    shadow: float = 0.0
    conditional: Array | None = None
    condition: Callable[[Array], Sequence[Array | None]] | None = None
    passes: Callable[[Array], list[tuple[Table, float]]] | None = None
    role: Role = "same"
    is_initial: bool = False

    def __post_init__(self) -> None:
        self.order = next(_order)
        self.sent: list[float] = []  # E g^2 that every parent received from here
        self.tilt = 0.0  # how far the gradient leans towards the value: see `_gaussian._tilt`
        self.skipped: list[Table] = []  # what the gradient passed by
        if self.parents and all(p.is_initial for p in self.parents):
            self.is_initial = True

    @property
    def axes(self) -> tuple[Axis, ...]:
        return tuple(axis for dim in self.dims for axis in dim)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(math.prod(axis.size for axis in dim) for dim in self.dims)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def passed_by(self, gradient: Array) -> list[tuple[Table, float]]:
        """The tables that a gradient skips on its way to the base of the lineage, and E g^2 that each would get."""
        if self.passes is not None:
            return self.passes(gradient)
        if self.role != "function" or self.lineage is None:
            return []
        return self.lineage.shares(diagonal(gradient, self.axes))

    @property
    def average(self) -> float:
        """E x, over all elements."""
        return point_average(self.mean, self.axes)

    @property
    def second_moment(self) -> float:
        """E x^2, over all elements."""
        return agreeing_average(self.second, self.axes)

    @property
    def gradient_second_moment(self) -> float | None:
        """E g^2, over all elements; None where no gradient arrived."""
        if self.gradient is None:
            return self.shadow or None
        return max(0.0, agreeing_average(self.gradient, self.axes)) + self.shadow  # what cancels leaves rounding


def point_average(profile: Array, axes: Sequence[Axis]) -> float:
    """The average over positions of a profile (groups...)."""
    return float(_contract(profile, [_axes.average_points(a) for a in axes]))


def agreeing_average(second: Array, axes: Sequence[Axis]) -> float:
    """The average over pairs (I, I)."""
    return float(_contract(second, [_axes.average_agreeing(a) for a in axes]))


def pair_average(second: Array, axes: Sequence[Axis]) -> float:
    """The average over all pairs (I, J)."""
    return float(_contract(second, [_axes.average_pairs(a) for a in axes]))


def _contract(array: Array, weights: Sequence[Array]) -> Array:
    for weight in reversed(weights):
        array = array @ weight
    return array


def along(array: Array, matrix: Array, axis: int) -> Array:
    """Apply `matrix` (new, old) along one axis of `array`."""
    return np.moveaxis(np.tensordot(matrix, array, (1, axis)), 0, axis)


def along_all(array: Array, matrices: Sequence[Array]) -> Array:
    """Apply one matrix along every axis."""
    for i, matrix in enumerate(matrices):
        array = along(array, matrix, i)
    return array


def diagonal(second: Array, axes: Sequence[Axis]) -> Array:
    """E x_I^2 for every group: (groups...)."""
    return second[tuple(slice(len(a.groups)) for a in axes)]


def firsts(profile: Array, axes: Sequence[Axis]) -> Array:
    """A profile at the first member of every class's pairs: (groups...) -> (classes...)."""
    return along_all(profile, [_axes.ends(a)[0] for a in axes])


def seconds(profile: Array, axes: Sequence[Axis]) -> Array:
    """A profile at the second member of every class's pairs: (groups...) -> (classes...)."""
    return along_all(profile, [_axes.ends(a)[1] for a in axes])


def paired(profile: Array, axes: Sequence[Axis]) -> Array:
    """The average of profile(I) profile(J) over every class's pairs: (groups...) -> (classes...).

    The pairs of one distance on a lattice lie at many places, and both ends of a pair at about the same one; along
    several axes the profile is taken as a product of one for each.
    """
    out = firsts(profile, axes) * seconds(profile, axes)
    for i, axis in enumerate(axes):
        if axis.is_lattice:
            own = profile.mean(tuple(j for j in range(len(axes)) if j != i))
            out = out * _axes.together(axis, own).reshape([-1] + [1] * (len(axes) - 1 - i))
    return out


# --- making tables -----------------------------------------------------------------------------------


def axes_of(shape: Sequence[int]) -> Dims:
    """One exchangeable axis for every dimension that is longer than 1."""
    return tuple((_axes.exchangeable(n),) if n > 1 else () for n in shape)


def independent(shape: Sequence[int], mean: float, second_moment: float) -> Table:
    """A tensor of independent, identically distributed entries."""
    dims = axes_of(shape)
    axes = [a for dim in dims for a in dim]
    second = np.full((2,) * len(axes), mean * mean)
    second[(0,) * len(axes)] = second_moment
    return Table(dims, np.full((1,) * len(axes), mean), second, is_initial=True)


def constant(shape: Sequence[int], value: float) -> Table:
    """A tensor whose entries all equal `value`."""
    return independent(shape, value, value * value)


# --- linear maps along axes --------------------------------------------------------------------------
