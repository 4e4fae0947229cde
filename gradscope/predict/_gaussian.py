"""Tables as functions of Gaussian ones: what is kept of an elementwise function, and the table that it makes.

A function is known by its value and slope on a grid of the Gaussian it is applied to, found by running the op itself,
so that x * sigmoid(x) or a hand-written GELU is exact however many operators it is made of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gradscope.predict._axes import Array
from gradscope.predict._dual import dual
from gradscope.predict._grid import grid, weighted_hermite
from gradscope.predict._marginal import copula
from gradscope.predict._table import Dims, Table, diagonal, firsts, paired, point_average, seconds

KINKED = 1.05  # E s^4 / E s^2 ^2 of a slope s above which gradients are followed by value
ZERO = 3e-3  # standard deviations: as exactly as quantiles on the grid know an atom at zero
LEAST_SLOPE = 0.1  # mean slope, in its covariance with the value, below which nothing is said of the tilt
ROUNDING = 1e-9  # share of the largest (mean, standard deviation) within which two are the same
NODES = 8  # of these pairs, between which is interpolated
MISSED = 0.02  # share of the largest by which that may miss one: at borders mean and variance vary each their own way
MOST_NODES = 32  # clusters of pairs, no wider than this share, that are evaluated one by one otherwise


@dataclass(frozen=True, eq=False)
class Base:
    """A table taken as Gaussian, at a few nodes (mean, standard deviation) that stand for all its groups.

    Attributes:
        table: the Gaussian table.
        mean, deviation: (nodes,).
        share: weight of every node at every group: (groups..., nodes).
        correlation: (classes...), 1 where a variance is zero and the positions agree.
        scale: average product of the standard deviations at the two ends of every class's pairs.
        shape: standardized quantiles on the grid, which are the grid itself for a Gaussian.
        is_gaussian: whether they are.
    """

    table: Table
    mean: Array
    deviation: Array
    share: Array
    correlation: Array
    scale: Array
    shape: Array
    is_gaussian: bool

    @property
    def points(self) -> Array:
        """The values of the Gaussian on the grid: (nodes, points)."""
        if not self.deviation.any():  # nothing varies: one point in memory stands for all
            return np.broadcast_to(self.mean[:, None], (self.mean.size, self.shape.size))
        points = self.mean[:, None] + self.deviation[:, None] * self.shape
        if not self.is_gaussian:  # what a rectifier set to zero is zero, whatever rounding made of it
            points[np.abs(points) < ZERO * self.deviation[:, None]] = 0.0
        return points


@dataclass(frozen=True, eq=False)
class Lineage:
    """A table as a function f of a Gaussian one.

    Attributes:
        base: the Gaussian table.
        value, slope: f and f' on the grid, two (nodes, points) in single precision.
        trail: the tables on the way from the base, each with the slope of f with respect to it: gradients skip them on
            their way to the base, so they are told.
    """

    base: Base
    value: Array
    slope: Array
    trail: tuple[tuple[Table, Array], ...] = ()

    def onward(self, parent: Table, value: Array, slope: Array) -> Lineage:
        """h(f), for `parent` = f with h given on the grid, and `slope` = h' there."""
        ones = () if parent is self.base.table else ((parent, slope),)
        trail = (*((table, _product(s, slope)) for table, s in self.trail), *ones)
        return Lineage(self.base, value, _product(self.slope, slope), trail)

    def shares(self, profile: Array) -> list[tuple[Table, float]]:
        """E g^2 that every table of the trail receives, from a profile of E g^2 here."""
        base, weights = self.base, grid()[1]
        axes = base.table.axes
        return [(table, point_average(profile * (base.share @ (s * s @ weights)), axes)) for table, s in self.trail]


def _product(a: Array, b: Array) -> Array:
    """a * b; arrays that hold one point for all stay so."""
    if a.strides[-1] == 0 and b.strides[-1] == 0:
        return np.broadcast_to(a[:, :1] * b[:, :1], a.shape)
    return a * b


def lineage_of(x: Table) -> Lineage:
    """The lineage of a table: of what it is a multiple of, or as its own base."""
    if x.lineage is None and "multiple_of" in x.notes:
        parent, factor = x.notes["multiple_of"]
        lineage = lineage_of(parent)
        x.lineage = lineage.onward(parent, lineage.value * factor, np.full_like(lineage.slope, factor))
    if x.lineage is None:
        base = _base(x)
        value = base.points if base.points.strides[-1] == 0 else base.points.astype(np.float32)
        x.lineage = Lineage(base, value, np.broadcast_to(1.0, value.shape))
    return x.lineage


def _base(x: Table) -> Base:
    axes = x.axes
    profile = diagonal(x.second, axes)
    deviation = np.sqrt(np.maximum(profile - x.mean**2, 0.0))
    deviation = np.where(deviation < 1e-7 * np.sqrt(np.maximum(profile, 1e-300)), 0.0, deviation)
    mean, std, share = _nodes(x.mean.ravel(), deviation.ravel())
    scale = paired(deviation, axes)
    covariance = x.second - firsts(x.mean, axes) * seconds(x.mean, axes)
    ratio = np.divide(covariance, scale, out=np.zeros(scale.shape), where=scale > 0)
    correlation = np.array(np.clip(ratio, -1.0, 1.0))
    shape = x.notes.get("shape")
    if shape is not None:
        correlation = np.array(copula(correlation, (weighted_hermite() @ shape) ** 2))
    correlation[tuple(slice(len(a.groups)) for a in axes)] = 1.0
    share = share.reshape(*profile.shape, -1)
    quantiles = grid()[0] if shape is None else shape
    return Base(x, mean, std, share, correlation, scale, quantiles, shape is None)


def _nodes(mean: Array, deviation: Array) -> tuple[Array, Array, Array]:
    """A few pairs (mean, deviation), and every group's interpolation weights: (groups, nodes)."""
    both = np.stack([mean, deviation])
    size = np.hypot(mean, deviation)
    largest = max(float(size.max()), 1e-300)
    alike = _alike(both, ROUNDING * largest)
    if alike.shape[1] <= NODES:
        return *_averages(both, alike), alike
    order = np.argsort(size)
    knots = order[np.round(np.linspace(0, len(order) - 1, NODES)).astype(int)]
    position = np.interp(size, size[knots] + ROUNDING * largest * np.arange(NODES), np.arange(NODES))
    low = np.minimum(position.astype(int), NODES - 2)
    share = np.zeros((size.size, NODES))
    share[np.arange(size.size), low] = 1 - (position - low)
    share[np.arange(size.size), low + 1] = position - low
    if np.abs(both[:, knots] @ share.T - both).max() > MISSED * largest:
        alike = _alike(both, MISSED * largest)
        if alike.shape[1] <= MOST_NODES:
            return *_averages(both, alike), alike
    return mean[knots], deviation[knots], share


def _alike(points: Array, tolerance: float) -> Array:
    """Which points fall together when rounded: (points, clusters)."""
    _, inverse = np.unique(np.round(points / tolerance), axis=1, return_inverse=True)
    return np.eye(int(inverse.max()) + 1)[inverse.ravel()]


def _averages(both: Array, alike: Array) -> tuple[Array, Array]:
    mean, deviation = both @ alike / alike.sum(0)
    return mean, deviation


def evaluated(function: Callable[[Tensor], Tensor], points: Array) -> tuple[Array, Array]:
    """The op and its derivative on the grid, by running it in double precision: two arrays shaped like `points`.

    They are kept in single precision: of a large model there are many.
    """
    if points.strides[-1] == 0:
        value, slope = evaluated(function, points[:, :1].copy())
        return np.broadcast_to(value, points.shape), np.broadcast_to(slope, points.shape)
    # Inside a dispatch mode autograd is switched off below Python; it is switched on again for this one call.
    autograd = torch._C._SetExcludeDispatchKeyGuard(torch._C.DispatchKey.AutogradFunctionality, False)
    with torch.enable_grad(), autograd:
        x = torch.from_numpy(np.ascontiguousarray(points, dtype=float)).requires_grad_()
        y = function(x)
        slope = torch.autograd.grad(y.sum(), x)[0] if y.requires_grad else torch.zeros_like(x)
    return _finite(y.detach().float().numpy()), _finite(slope.float().numpy())


def _finite(values: Array) -> Array:
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


def table_of(lineage: Lineage, dims: Dims) -> Table:
    """The table of a function of a Gaussian, with its gradient going straight to the base."""
    base = lineage.base
    weights = grid()[1]
    mean = base.share @ (lineage.value @ weights)
    out = Table(dims, mean, dual(base, lineage.value), (base.table,), lineage=lineage, role="function")

    def backward(gradient: Array) -> list[Array]:
        slope = lineage.slope
        base.table.tilt = _tilt(lineage)
        if out.conditional is not None:  # large gradients sit where the value is such and such
            slope = slope * np.sqrt(out.conditional / max(float(out.conditional @ weights), 1e-300))
        return [gradient * dual(base, slope)]

    out.backward = backward
    base.table.notes.setdefault("functions", []).append(lineage)
    if "shape" in base.table.notes and _is_kinked(lineage.slope):
        node = int(np.argmax(base.deviation))
        out.condition = lambda own: [own * lineage.slope[node] ** 2]
    return out


def _tilt(lineage: Lineage) -> float:
    """(E z s / E s)^2 of a slope s: how far a gradient that came through it leans towards the value z it came from."""
    z, weights = grid()
    slope = lineage.slope[int(np.argmax(lineage.base.deviation))]
    average = float(slope @ weights)
    leaning = float(slope @ (weights * z))
    return (leaning / average) ** 2 if abs(average) > abs(leaning) * LEAST_SLOPE else 0.0


def _is_kinked(slope: Array) -> bool:
    """Whether a slope varies so much that gradients behind it depend on the value: a rectifier, not a smooth line."""
    weights = grid()[1]
    square = slope**2
    return bool(np.any((square**2) @ weights > KINKED * (square @ weights) ** 2))
