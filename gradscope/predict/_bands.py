"""How a second moment differs between initializations of finite width: mean and variance of its logarithm.

Two sources. A tensor's average of squares varies around its kernel because it has finitely many entries ("sampling"):
for Gaussian entries Var(mean x^2) = 2 / N^2 sum_IJ C_IJ^2, which correlated positions make as large as they must. And
the kernel itself varies, because it is made of the realized squares of the layer before ("inherited"). For a ReLU
network both together give Var ln q = 5 L / n (Hanin & Nica 2020, arXiv:1812.05994), and E ln q = ln E q - Var / 2;
elsewhere both are passed on through the response of ln E f^2 to the logarithm of the variance, up to second order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from gradscope.predict import _axes
from gradscope.predict._axes import Array
from gradscope.predict._dual import dual
from gradscope.predict._flow import ancestors
from gradscope.predict._gaussian import Lineage
from gradscope.predict._grid import grid
from gradscope.predict._reuse import entangled
from gradscope.predict._table import Table, agreeing_average, diagonal, firsts, pair_average, seconds

GUESS = math.log(4.0) ** 2  # variance of the logarithm behind an operator without a rule: a factor 16 either way
SMALLEST = 1e-150  # a second moment whose square is not zero
_STEP = 0.2  # change of the logarithm of a variance by which responses are taken


@dataclass(frozen=True)
class Fluctuation:
    """Of the logarithm of a second moment over initializations.

    Attributes:
        shift: its mean, relative to the logarithm of the infinitely wide value.
        variance: of what accumulated independently from layer to layer.
        coherent: standard deviation of what every layer adds with the same sign.
        apart: variance between the positions (samples, tokens) of one initialization, whose average the moment is.
    """

    shift: float = 0.0
    variance: float = 0.0
    coherent: float = 0.0
    apart: float = 0.0

    @property
    def total(self) -> float:
        """Variance of the logarithm."""
        return self.variance + self.coherent**2

    def sampled(self, relative_variance: float, at_position: float = 0.0) -> Fluctuation:
        """With the average over finitely many entries of this relative variance, overall and at one position."""
        common, own = math.log1p(relative_variance), math.log1p(max(at_position, relative_variance))
        return Fluctuation(self.shift - common / 2, self.variance + common, self.coherent, self.apart + own - common)

    def through(self, slope: float, curvature: float) -> Fluctuation:
        """Of F(v), for the first and second derivative of ln F with respect to ln v.

        Averaging over positions that lie apart by e^x, E e^x = 1, shifts the mean by (slope^2 - slope + curvature) / 2.
        """
        bend = (slope**2 - slope + curvature) / 2
        shift = slope * self.shift + curvature * self.total / 2 + bend * self.apart
        return Fluctuation(shift, slope**2 * self.total, 0.0, slope**2 * self.apart)


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
        self._entangled = entangled(self._order)
        for table in self._order:
            self._inherited[table.order] = self._forward(table)
        self._backward()

    def activation(self, table: Table) -> Fluctuation:
        """Of the table's second moment."""
        if table.order not in self._realized:
            self._realized[table.order] = self._inherited[table.order].sampled(*_sampling(table))
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
            return self.activation(table.notes["realized"])
        if table.role == "function":
            assert table.lineage is not None
            return inherited[0].through(*_response(table.lineage, table.lineage.value))
        if table.role == "normalized":
            return _NONE
        if table.role == "sum":
            shares = [p.second_moment for p in parents]
            return self._together(table, inherited, shares)
        if table.role == "times":
            variance = sum(math.sqrt(f.total) for f in inherited) ** 2
            return Fluctuation(sum(f.shift for f in inherited), variance, 0.0, sum(f.apart for f in inherited))
        widest = max(inherited, key=lambda f: f.total)
        return replace(widest, variance=widest.variance + GUESS) if table.role == "guess" else widest

    # --- backward -----------------------------------------------------------------------------------

    def _backward(self) -> None:
        """Contributions of all consumers, taken as fully correlated."""
        arrived: dict[int, list[tuple[float, Fluctuation]]] = {}
        for table in reversed(self._order):
            if table.gradient is None:
                continue
            parts = arrived.pop(table.order, [])
            own = self._together(table, [f for _, f in parts], [share for share, _ in parts])
            self._gradient[table.order] = own
            for passed in table.skipped:  # a gradient on its way to the base of a lineage
                self._gradient.setdefault(passed.order, own)
            for parent, sent in zip(table.parents, table.sent, strict=False):
                if sent > 0:
                    arrived.setdefault(parent.order, []).append((sent, self._passed(own, table, parent)))

    def _together(self, table: Table, parts: list[Fluctuation], shares: list[float]) -> Fluctuation:
        """Of a sum: two standard deviations reach as far as full correlation, where its parts may have any."""
        sum_of = combined(parts, shares)
        if table.order not in self._entangled or sum(shares) <= 0:
            return sum_of
        highest = [math.sqrt(share) * math.exp(math.sqrt(f.total)) for f, share in zip(parts, shares, strict=True)]
        deviation = math.log(sum(highest) ** 2 / sum(shares)) / 2
        return replace(sum_of, variance=max(sum_of.variance, deviation**2 - sum_of.coherent**2))

    def _passed(self, own: Fluctuation, table: Table, parent: Table) -> Fluctuation:
        if table.role == "mix":
            return own.sampled(_gradient_sampling(table, with_slope=True))
        if table.role == "guess":
            return replace(own, variance=own.variance + GUESS)
        if table.role == "normalized":
            source = self.activation(parent)
            return Fluctuation(own.shift - source.shift, own.variance + source.total, own.coherent)
        if table.role == "function":
            assert table.lineage is not None
            slope, curvature = _response(table.lineage, table.lineage.slope)
            source = self._inherited[parent.order]
            shift = own.shift + source.through(slope, curvature).shift
            return Fluctuation(shift, own.variance, own.coherent + slope * math.sqrt(source.total))
        return own


def combined(parts: list[Fluctuation], shares: list[float]) -> Fluctuation:
    """Of a sum of second moments, its parts taken as fully correlated."""
    total = sum(shares)
    if total <= 0:
        return _NONE
    weights = [s / total for s in shares]
    return Fluctuation(
        sum(w * f.shift for w, f in zip(weights, parts, strict=True)),
        sum(w * math.sqrt(f.variance) for w, f in zip(weights, parts, strict=True)) ** 2,
        sum(w * f.coherent for w, f in zip(weights, parts, strict=True)),
        sum(w * math.sqrt(f.apart) for w, f in zip(weights, parts, strict=True)) ** 2,
    )


def _sampling(table: Table) -> tuple[float, float]:
    """Relative variance of the average of squares, given the kernel: over all entries, and over one sample's."""
    moment = table.second_moment
    if moment <= SMALLEST:
        return 0.0, 0.0
    axes = table.axes
    if table.lineage is not None and table.lineage.base.table is not table:
        covariance = _squares(table.lineage, table.lineage.value)
    else:
        product = firsts(table.mean, axes) * seconds(table.mean, axes)
        centred = table.second - product
        covariance = 2.0 * centred**2 + 4.0 * product * centred
    first = len(table.dims[0]) if table.dims else 0
    own = covariance
    for axis in axes[:first]:
        own = np.tensordot(_axes.average_agreeing(axis), own, (0, 0))
    both = pair_average(covariance, axes), pair_average(own, axes[first:])
    return max(0.0, both[0]) / moment**2, max(0.0, both[1]) / moment**2


def _squares(lineage: Lineage, value: Array) -> Array:
    """Cov(f(x_I)^2, f(x_J)^2) for every class of pairs."""
    axes = lineage.base.table.axes
    profile = lineage.base.share @ (value**2 @ grid()[1])
    return dual(lineage.base, value**2) - firsts(profile, axes) * seconds(profile, axes)


def _gradient_sampling(table: Table, *, with_slope: bool) -> float:
    """The same for the gradient of a table, or for its product with the slope of the function that made the table.

    E (g_I s_I)^2 (g_J s_J)^2 = (G_II G_JJ + 2 G_IJ^2) E s_I^2 s_J^2 for Gaussian gradients g and independent slopes s.
    """
    gradient = table.gradient
    if gradient is None or (moment := agreeing_average(gradient, table.axes)) <= SMALLEST:
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
