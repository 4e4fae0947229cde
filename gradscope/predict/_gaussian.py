"""Functions of a Gaussian table: dual activations by closed form or by Hermite expansion of the real op on a grid.

For jointly Gaussian u, v with correlation rho, E f(u) f(v) = sum_k a_k(u) a_k(v) rho^k with the Hermite coefficients a_k
of z -> f(m + s z) (Daniely et al. 2016, arXiv:1602.05897), and by Price's theorem E f'(u) f'(v) follows from those of f'.
Any elementwise function is expanded by running the op itself on the grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from gradscope.predict._axes import Array
from gradscope.predict._marginal import copula
from gradscope.predict._table import Dims, Table, diagonal, firsts, point_average, seconds

HALF_WIDTH = 8.0  # standard deviations covered by the grid
POINTS = 1001
TERMS = 64
KINKED = 1.05  # E s^4 / E s^2 ^2 of a slope s above which gradients are followed by value
LARGE = 5_000  # entries of a table above which all nodes share one Hermite spectrum
NODES = 8  # distinct (mean, standard deviation) pairs that are evaluated before interpolating


@lru_cache(1)
def grid() -> tuple[Array, Array]:
    """Quadrature points z and weights of the standard Gaussian: two (points,)."""
    z = np.linspace(-HALF_WIDTH, HALF_WIDTH, POINTS)
    weights = np.exp(-z * z / 2)
    return z, weights / weights.sum()


@lru_cache(1)
def _weighted_hermite() -> Array:
    """Orthonormal Hermite polynomials times the quadrature weights: (terms, points)."""
    z, weights = grid()
    h = np.ones((TERMS, POINTS))
    h[1] = z
    for n in range(2, TERMS):
        h[n] = (z * h[n - 1] - math.sqrt(n - 1) * h[n - 2]) / math.sqrt(n)
    return h * weights


@dataclass(frozen=True, eq=False)
class Base:
    """A table taken as Gaussian, at a few nodes (mean, standard deviation) that stand for all its groups.

    Attributes:
        table: the Gaussian table.
        mean, deviation: (nodes,).
        share: weight of every node at every group: (groups..., nodes).
        correlation: (classes...), 1 where a variance is zero and the positions agree.
        scale: product of the standard deviations at the two ends of every class.
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


@dataclass(frozen=True, eq=False)
class Lineage:
    """A table as a function f of a Gaussian one.

    Attributes:
        base: the Gaussian table.
        value, slope: f and f' on the grid, two (nodes, points).
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
        trail = (*((table, s * slope) for table, s in self.trail), *ones)
        return Lineage(self.base, value, self.slope * slope, trail)

    def shares(self, profile: Array) -> list[tuple[Table, float]]:
        """E g^2 that every table of the trail receives, from a profile of E g^2 here."""
        base, weights = self.base, grid()[1]
        axes = base.table.axes
        return [(table, point_average(profile * (base.share @ (s * s @ weights)), axes)) for table, s in self.trail]


def lineage_of(x: Table) -> Lineage:
    """The lineage of a table: of what it is a multiple of, or as its own base."""
    if x.lineage is None and "multiple_of" in x.notes:
        parent, factor = x.notes["multiple_of"]
        lineage = lineage_of(parent)
        x.lineage = lineage.onward(parent, lineage.value * factor, np.full_like(lineage.slope, factor))
    if x.lineage is None:
        base = _base(x)
        value = base.mean[:, None] + base.deviation[:, None] * base.shape
        x.lineage = Lineage(base, value, np.broadcast_to(1.0, value.shape))
    return x.lineage


def _base(x: Table) -> Base:
    axes = x.axes
    profile = diagonal(x.second, axes)
    deviation = np.sqrt(np.maximum(profile - x.mean**2, 0.0))
    deviation = np.where(deviation < 1e-7 * np.sqrt(np.maximum(profile, 1e-300)), 0.0, deviation)
    mean, std, share = _nodes(x.mean.ravel(), deviation.ravel())
    scale = firsts(deviation, axes) * seconds(deviation, axes)
    covariance = x.second - firsts(x.mean, axes) * seconds(x.mean, axes)
    ratio = np.divide(covariance, scale, out=np.zeros(scale.shape), where=scale > 0)
    correlation = np.array(np.clip(ratio, -1.0, 1.0))
    shape = x.notes.get("shape")
    if shape is not None:
        correlation = np.array(copula(correlation, (_weighted_hermite() @ shape) ** 2))
    correlation[tuple(slice(len(a.groups)) for a in axes)] = 1.0
    share = share.reshape(*profile.shape, -1)
    quantiles = grid()[0] if shape is None else shape
    return Base(x, mean, std, share, correlation, scale, quantiles, shape is None)


def _nodes(mean: Array, deviation: Array) -> tuple[Array, Array, Array]:
    """At most NODES pairs (mean, deviation), and every group's interpolation weights: (groups, nodes)."""
    size = np.hypot(mean, deviation)
    tolerance = 1e-9 * max(float(size.max()), 1e-300)
    unique, inverse = np.unique(np.round(np.stack([mean, deviation]) / tolerance), axis=1, return_inverse=True)
    if unique.shape[1] <= NODES:
        first = [int(np.argmax(inverse.ravel() == k)) for k in range(unique.shape[1])]
        return mean[first], deviation[first], np.eye(len(first))[inverse.ravel()]
    order = np.argsort(size)
    knots = order[np.round(np.linspace(0, len(order) - 1, NODES)).astype(int)]
    position = np.interp(size, size[knots] + tolerance * np.arange(NODES), np.arange(NODES))
    low = np.minimum(position.astype(int), NODES - 2)
    share = np.zeros((size.size, NODES))
    share[np.arange(size.size), low] = 1 - (position - low)
    share[np.arange(size.size), low + 1] = position - low
    return mean[knots], deviation[knots], share


def evaluated(function: Callable[[Tensor], Tensor], points: Array) -> tuple[Array, Array]:
    """The op and its derivative on the grid, by running it: two arrays shaped like `points`."""
    # Inside a dispatch mode autograd is switched off below Python; it is switched on again for this one call.
    autograd = torch._C._SetExcludeDispatchKeyGuard(torch._C.DispatchKey.AutogradFunctionality, False)
    with torch.enable_grad(), autograd:
        x = torch.from_numpy(np.ascontiguousarray(points)).requires_grad_()
        y = function(x)
        slope = torch.autograd.grad(y.sum(), x)[0] if y.requires_grad else torch.zeros_like(x)
    return _finite(y.detach().double().numpy()), _finite(slope.numpy())


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
        if out.conditional is not None:  # large gradients sit where the value is such and such
            slope = slope * np.sqrt(out.conditional / max(float(out.conditional @ weights), 1e-300))
        return [gradient * dual(base, slope)]

    out.backward = backward
    base.table.notes.setdefault("functions", []).append(lineage)
    if "shape" in base.table.notes and is_kinked(lineage.slope):
        node = int(np.argmax(base.deviation))
        out.condition = lambda own: [own * lineage.slope[node] ** 2]
    return out


def is_kinked(slope: Array) -> bool:
    """Whether a slope varies so much that gradients behind it depend on the value: a rectifier, not a smooth line."""
    weights = grid()[1]
    square = slope**2
    return bool(np.any((square**2) @ weights > KINKED * (square @ weights) ** 2))


def dual(base: Base, value: Array) -> Array:
    """E f(x_I) f(x_J) for every class of pairs, f given on the grid as (nodes, points)."""
    piecewise = _slopes_around_zero(base, value)
    if piecewise is not None:
        return _piecewise_linear(base, *piecewise)
    coefficients = value @ _weighted_hermite().T  # (nodes, terms)
    exact = (value * value) @ grid()[1]
    axes, rho = base.table.axes, base.correlation
    if rho.size > LARGE or exact.size == 1:
        return _dual_of_one_shape(base, coefficients, exact)
    missing = np.sqrt(np.maximum(exact - (coefficients**2).sum(1), 0.0))
    profile = base.share @ np.concatenate([coefficients, missing[:, None]], axis=1)
    ends = firsts(profile, axes) * seconds(profile, axes)  # (classes..., terms + 1)
    powers = np.abs(rho)[..., None] ** np.array([*range(TERMS), 2 * TERMS])
    powers[..., 1::2] *= np.sign(rho)[..., None]
    out = (ends * powers).sum(-1)
    out = np.array(out)
    out[tuple(slice(len(a.groups)) for a in axes)] = base.share @ exact
    return out


def _dual_of_one_shape(base: Base, coefficients: Array, exact: Array) -> Array:
    """The dual with the Hermite spectrum of the average node, scaled at both ends of a pair: exact where they agree."""
    axes = base.table.axes
    weights = base.share.reshape(-1, exact.size).mean(0)
    squares = weights @ coefficients**2
    total = float(weights @ exact)
    if total <= 0:
        return np.zeros(base.correlation.shape)
    rho = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 2049))
    curve = np.polynomial.polynomial.polyval(rho, squares)
    curve += max(total - float(squares.sum()), 0.0) * np.sign(rho) * np.abs(rho) ** (2 * TERMS)
    out = np.interp(base.correlation, rho, curve)
    if exact.size > 1:
        profile = np.sqrt(base.share @ exact / total)
        out = out * firsts(profile, axes) * seconds(profile, axes)
    out = np.array(out)
    out[tuple(slice(len(a.groups)) for a in axes)] = base.share @ exact
    return out


def _slopes_around_zero(base: Base, value: Array) -> tuple[float, float, bool] | None:
    """(positive, negative, is_step) if f is p*x above and n*x below zero, or p and n themselves; else None."""
    if not base.is_gaussian or np.any(base.mean != 0) or not np.any(base.deviation > 0):
        return None
    z = grid()[0]
    keep = base.deviation > 0
    points = base.deviation[keep, None] * z
    value = value[keep]
    middle = z.size // 2
    for is_step, shape in ((False, points), (True, np.sign(points))):
        positive = float(value[0, -1] / shape[0, -1])
        negative = float(value[0, 0] / shape[0, 0])
        expected = np.where(points > 0, positive * shape, negative * shape)
        outside = np.arange(z.size) != middle
        bound = 1e-6 * max(abs(positive), abs(negative), 1e-300) * np.abs(shape[:, outside])
        if np.all(np.abs(value - expected)[:, outside] <= bound):
            return positive, negative if not is_step else -negative, is_step
    return None


def _piecewise_linear(base: Base, positive: float, negative: float, is_step: bool) -> Array:
    """Arc-cosine kernels (Cho & Saul 2009) of a piecewise linear function or of its derivative.

    A linear function alpha x + beta |x| has E f f' = s s' (alpha^2 rho + beta^2 (2/pi) (sqrt(1 - rho^2) + rho asin rho)),
    a step alpha + beta sign x has alpha^2 + beta^2 (2/pi) asin rho.
    """
    even, odd = (positive + negative) / 2, (positive - negative) / 2
    rho = base.correlation
    if is_step:
        return even**2 + odd**2 * (2 / np.pi) * np.arcsin(rho)
    folded = (2 / np.pi) * (np.sqrt(1 - rho**2) + rho * np.arcsin(rho))
    return base.scale * (even**2 * rho + odd**2 * folded)
