"""Reading a map between its positions, at places that are computed."""

from __future__ import annotations

import math

import numpy as np

from gradscope.predict import _axes
from gradscope.predict._axes import Array
from gradscope.predict._changes import Change, change, refined
from gradscope.predict._rules import Call, NoRule, rule
from gradscope.predict._table import Table, agreeing_average, diagonal
from gradscope.predict._view import single, viewed

BILINEAR = 0
SQUARED_WEIGHTS = 2.0 / 3.0  # E (1 - u)^2 + u^2 of a fraction u that is uniform on [0, 1]


@rule("grid_sampler_2d", "grid_sampler")
def bilinear(call: Call) -> Table:
    """Places inside the map, at uniform fractions of a position: four entries, with E of squared weights 4/9.

    The place moves the result by the difference between neighbours, which carries the gradient to it.
    """
    x, places, mode = call.args[:3]
    if int(mode) != BILINEAR:
        raise NoRule("sampling that is not bilinear")
    samples, channels, height, width = x.shape
    flat = single(viewed(x, (samples, channels, height * width)), 2)
    if not flat.dims[2]:
        raise NoRule("sampling of a map of one position")
    flat = refined(flat, 2, 0, _axes.exchangeable(height * width))
    count = math.prod(call.shape[2:])
    own, chance = SQUARED_WEIGHTS**2, 1.0 / (height * width)
    pairs = np.array([[own, 1.0 - own], [chance, 1.0 - chance]])
    old, points = flat.dims[2], np.ones((1, 1))
    new = (
        Change(old, (_axes.exchangeable(count),), pairs, points) if count > 1 else Change(old, (), pairs[0], points[0])
    )
    read = viewed(change(flat, 2, 0, new), call.shape)
    apart = _between_neighbours(flat)
    steps = ((width / 2) ** 2 + (height / 2) ** 2) / 2  # places run from -1 to 1

    def backward(gradient: Array) -> list[Array]:
        moved = agreeing_average(gradient, read.axes) * channels * SQUARED_WEIGHTS * apart * steps
        to_places = np.zeros_like(places.second)
        diagonal(to_places, places.axes)[...] = moved
        return [gradient, to_places]

    return Table(read.dims, read.mean, read.second, (read, places), backward)


def _between_neighbours(flat: Table) -> float:
    """E of the squared difference of two entries of one map."""
    second = flat.second
    for axis in flat.axes[:-1]:
        second = np.tensordot(_axes.average_agreeing(axis), second, (0, 0))
    return float(2.0 * max(0.0, second[0] - second[1]))
