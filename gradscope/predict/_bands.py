"""How a second moment differs between initializations of finite width: mean and variance of its logarithm.

Two sources. A tensor's average of squares varies around its kernel because it has finitely many entries ("sampling"):
for Gaussian entries Var(mean x^2) = 2 / N^2 sum_IJ C_IJ^2, which correlated positions make as large as they must. And
the kernel itself varies, because it is made of the realized squares of the layer before ("inherited"). For a ReLU
network both together give Var ln q = 5 L / n (Hanin & Nica 2020, arXiv:1812.05994), and E ln q = ln E q - Var / 2;
elsewhere both are passed on through the response of ln E f^2 to the logarithm of the variance, up to second order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gradscope.predict._axes import Array
from gradscope.predict._gaussian import Lineage, dual, grid
from gradscope.predict._table import Table, agreeing_average, ancestors, diagonal, firsts, pair_average, seconds

GUESS = math.log(4.0) ** 2  # variance of the logarithm behind an operator without a rule: a factor 16 either way
_STEP = 0.2  # change of the logarithm of a variance by which responses are taken


@dataclass(frozen=True)
class Fluctuation:
    """Of the logarithm of a second moment over initializations.

    Attributes:
        shift: its mean, relative to the logarithm of the infinitely wide value.
        variance: of what accumulated independently from layer to layer.
        coherent: standard deviation of what every layer adds with the same sign.
    """

    shift: float = 0.0
    variance: float = 0.0
    coherent: float = 0.0

    @property
    def total(self) -> float:
        """Variance of the logarithm."""
        return self.variance + self.coherent**2

    def sampled(self, relative_variance: float) -> Fluctuation:
        """With the average over finitely many entries of this relative variance."""
        logarithmic = math.log1p(relative_variance)
        return Fluctuation(self.shift - logarithmic / 2, self.variance + logarithmic, self.coherent)


_NONE = Fluctuation()


class Bands:
    """The fluctuations of every table's second moment, and of its gradient's.

    Args:
        tables: whose ancestors are walked; their gradients must have been propagated.
    """

    def __init__(self, tables: list[Table]) -> None:
        self._order = ancestors(tables)
        self._inherited: dict[int, Fluctuation] = {}
        self._gradient: dict[int, Fluctuation] = {}
        self._realized: dict[int, Fluctuation] = {}
        for table in self._order:
            self._inherited[table.order] = self._forward(table)
        self._backward()

    def activation(self, table: Table) -> Fluctuation:
        """Of the table's second moment."""
        if table.order not in self._realized:
            self._realized[table.order] = self._inherited[table.order].sampled(_sampling(table))
        return self._realized[table.order]

    def gradient(self, table: Table) -> Fluctuation:
        """Of its gradient's second moment."""
        return self._gradient.get(table.order, _NONE).sampled(_gradient_sampling(table, with_slope=False))

    # --- forward ------------------------------------------------------------------------------------

    def _forward(self, table: Table) -> Fluctuation:
        parents = [p for p in table.parents if not p.is_initial]
        if not parents:
            return Fluctuation(variance=GUESS) if table.role == "guess" else _NONE
        inherited = [self._inherited[p.order] for p in parents]
        if table.role == "mix":
            return self.activation(parents[0])
        if table.role == "function":
            assert table.lineage is not None
            slope, curvature = _response(table.lineage, table.lineage.value)
            base = inherited[0]
            return Fluctuation(slope * base.shift + curvature * base.total / 2, slope**2 * base.total)
        if table.role == "normalized":
            return _NONE
        if table.role == "sum":
            return _combined(inherited, [p.second_moment for p in parents])
        if table.role == "times":
            return Fluctuation(sum(f.shift for f in inherited), sum(math.sqrt(f.total) for f in inherited) ** 2)
        widest = max(inherited, key=lambda f: f.total)
        return Fluctuation(widest.shift, widest.total + GUESS) if table.role == "guess" else widest

    # --- backward -----------------------------------------------------------------------------------

    def _backward(self) -> None:
        """Contributions of all consumers, taken as fully correlated."""
        arrived: dict[int, list[tuple[float, Fluctuation]]] = {}
        for table in reversed(self._order):
            if table.gradient is None:
                continue
            parts = arrived.pop(table.order, [])
            own = _combined([f for _, f in parts], [share for share, _ in parts]) if parts else _NONE
            self._gradient[table.order] = own
            for parent, sent in zip(table.parents, table.sent, strict=False):
                if sent > 0:
                    arrived.setdefault(parent.order, []).append((sent, self._passed(own, table, parent)))

    def _passed(self, own: Fluctuation, table: Table, parent: Table) -> Fluctuation:
        if table.role == "mix":
            return own.sampled(_gradient_sampling(table, with_slope=True))
        if table.role == "guess":
            return Fluctuation(own.shift, own.variance + GUESS, own.coherent)
        if table.role == "normalized":
            source = self.activation(parent)
            return Fluctuation(own.shift - source.shift, own.variance + source.total, own.coherent)
        if table.role == "function":
            assert table.lineage is not None
            slope, curvature = _response(table.lineage, table.lineage.slope)
            source = self._inherited[parent.order]
            shift = own.shift + slope * source.shift + curvature * source.total / 2
            return Fluctuation(shift, own.variance, own.coherent + slope * math.sqrt(source.total))
        return own


def _combined(parts: list[Fluctuation], shares: list[float]) -> Fluctuation:
    """Of a sum of second moments, its parts taken as fully correlated."""
    total = sum(shares)
    if total <= 0:
        return _NONE
    weights = [s / total for s in shares]
    return Fluctuation(
        sum(w * f.shift for w, f in zip(weights, parts, strict=True)),
        sum(w * math.sqrt(f.variance) for w, f in zip(weights, parts, strict=True)) ** 2,
        sum(w * f.coherent for w, f in zip(weights, parts, strict=True)),
    )


def _sampling(table: Table) -> float:
    """Relative variance of the average of squares, given the kernel."""
    moment = table.second_moment
    if moment <= 0:
        return 0.0
    axes = table.axes
    if table.lineage is not None and table.lineage.base.table is not table:
        covariance = _squares(table.lineage, table.lineage.value)
        return max(0.0, pair_average(covariance, axes)) / moment**2
    product = firsts(table.mean, axes) * seconds(table.mean, axes)
    centred = table.second - product
    return max(0.0, pair_average(2.0 * centred**2 + 4.0 * product * centred, axes)) / moment**2


def _squares(lineage: Lineage, value: Array) -> Array:
    """Cov(f(x_I)^2, f(x_J)^2) for every class of pairs."""
    axes = lineage.base.table.axes
    profile = lineage.base.share @ (value**2 @ grid()[1])
    return dual(lineage.base, value**2) - firsts(profile, axes) * seconds(profile, axes)


def _gradient_sampling(table: Table, *, with_slope: bool) -> float:
    """The same for the gradient of a table, or for its product with the slope of the function that made the table.

    E (g_I s_I)^2 (g_J s_J)^2 = (G_II G_JJ + 2 G_IJ^2) E s_I^2 s_J^2 for a Gaussian gradient g and an independent slope s.
    """
    gradient = table.gradient
    if gradient is None or (moment := agreeing_average(gradient, table.axes)) <= 0:
        return 0.0
    axes = table.axes
    own = diagonal(gradient, axes)
    product = firsts(own, axes) * seconds(own, axes)
    fourth = product + 2.0 * gradient**2
    slopes = table.notes.get("functions", ()) if with_slope else ()
    if not slopes:
        return max(0.0, pair_average(fourth - product, axes)) / moment**2
    lineage = slopes[0]
    square = lineage.base.share @ (lineage.slope**2 @ grid()[1])
    expected = firsts(square, axes) * seconds(square, axes)
    relative = np.divide(_squares(lineage, lineage.slope), expected, out=np.zeros(expected.shape), where=expected > 0)
    return max(0.0, pair_average(fourth * (1.0 + relative) - product, axes)) / moment**2


def _response(lineage: Lineage, value: Array) -> tuple[float, float]:
    """First and second derivative of ln E f^2 with respect to the logarithm of the variance."""
    z, weights = grid()
    f = value[int(np.argmax(lineage.base.deviation))]
    moments = [float(np.interp(z * math.exp(e / 2), z, f) ** 2 @ weights) for e in (-_STEP, 0.0, _STEP)]
    if min(moments) <= 0:
        return 0.0, 0.0
    low, middle, high = (math.log(m) for m in moments)
    return (high - low) / (2 * _STEP), (high - 2 * middle + low) / _STEP**2
