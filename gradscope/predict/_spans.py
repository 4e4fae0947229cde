"""What the windows of a maximum read along one axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradscope.predict import _axes, _partition
from gradscope.predict._axes import Array, Axis
from gradscope.predict._windows import FARTHEST

Sources = NDArray[np.int64]  # (taps, windows): the position that a tap of a window reads, -1 outside


@dataclass(frozen=True, eq=False)
class Span:
    """One spatial axis on its way into windows.

    Attributes:
        old, new: the axis before and after; one position is kept as an axis until the end.
        sources: what every window reads.
        matrix: the average over a window: (windows, positions).
        pairs: the same for classes of pairs: (new classes, old classes).
        agreeing: the average over the entries that both windows of a class hold: (new classes, old classes).
        overlap: chance that two random entries of the two windows are the same one: (new classes,).
        distance: between the two windows: (new classes,).
    """

    old: Axis
    new: Axis
    sources: Sources
    matrix: Array
    pairs: Array
    agreeing: Array
    overlap: Array
    distance: Array

    def near(self) -> Sources:
        """What a window and the next ones read: (windows, taps) positions from the first on."""
        steps, apart = self.sources[1:] - self.sources[:-1], self.sources[:, 1:] - self.sources[:, :-1]
        dilation = first_of(steps[(self.sources[1:] >= 0) & (self.sources[:-1] >= 0)])
        stride = first_of(apart[(self.sources[:, 1:] >= 0) & (self.sources[:, :-1] >= 0)])
        own = dilation * np.arange(len(self.sources))
        return own + stride * np.arange(min(FARTHEST, self.new.size - 1) + 1)[:, None]


def first_of(steps: Sources) -> int:
    return int(steps[0]) if steps.size else 1


def span_of(sources: Sources, axis: Axis) -> Span:
    windows = sources.shape[1]
    matrix = np.zeros((windows, axis.size))
    for source in sources:
        inside = source >= 0
        matrix[np.flatnonzero(inside), source[inside]] += 1.0
    matrix /= np.maximum(matrix.sum(1, keepdims=True), 1.0)
    new = _axes.spatial(windows)
    classes = _axes.pair_classes(new).ravel()
    counts = np.maximum(np.bincount(classes, minlength=new.classes), 1)
    both = [np.bincount(classes, np.outer(column, column).ravel(), new.classes) / counts for column in matrix.T]
    agreeing = np.pad(np.stack(both, 1), ((0, 0), (0, axis.classes - axis.size)))
    overlap = agreeing.sum(1)
    agreeing /= np.where(overlap > 0, overlap, np.inf)[:, None]
    apart = np.abs(np.subtract.outer(np.arange(windows), np.arange(windows)))
    distance = np.bincount(classes, apart.ravel(), new.classes) / counts
    return Span(axis, new, sources, matrix, _partition.lift(matrix, axis, new)[0], agreeing, overlap, distance)


def pattern_at(span: Span, distance: int) -> NDArray[np.int64]:
    return np.flatnonzero(span.distance == distance)
