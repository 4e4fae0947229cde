"""Views of tables: how dimensions are made of axes, and how two tables get the same ones."""

from __future__ import annotations

from collections.abc import Sequence

from gradscope.predict import _partition
from gradscope.predict._changes import Change, change, expanded, refined, relabelled
from gradscope.predict._table import Table


def regrouped(x: Table, dim: int, sizes: Sequence[int]) -> Table:
    """One dimension with axes of exactly these sizes, by splitting and merging."""
    offset = 0
    sizes = [n for n in sizes if n > 1]
    while offset < len(sizes):
        axis, wanted = x.dims[dim][offset], sizes[offset]
        if axis.size == wanted:
            offset += 1
        elif axis.size % wanted == 0:
            a, b, pairs, points = _partition.split(axis, axis.size // wanted)
            x = change(x, dim, offset, Change((axis,), (a, b), pairs, points))
        else:
            following = x.dims[dim][offset + 1]
            merged, pairs, points = _partition.merge(axis, following)
            x = change(x, dim, offset, Change((axis, following), (merged,), pairs, points))
    return x


def viewed(x: Table, shape: Sequence[int]) -> Table:
    """The tensor reshaped in row-major order."""
    flat = relabelled(x, (x.axes,))
    sizes = _axis_sizes([a.size for a in flat.axes], shape)
    flat = regrouped(flat, 0, [n for dim in sizes for n in dim])
    left = iter(flat.axes)
    return relabelled(flat, tuple(tuple(next(left) for _ in dim) for dim in sizes))


def _axis_sizes(old: list[int], shape: Sequence[int]) -> list[list[int]]:
    """Sizes of the axes of every new dimension: old ones where they fit, split or merged where they do not."""
    left = list(old)
    dims: list[list[int]] = []
    for size in shape:
        dim: list[int] = []
        missing = size
        while missing > 1:
            axis = left.pop(0)
            while missing % axis and axis % missing:
                axis *= left.pop(0)
            if missing % axis == 0:
                dim.append(axis)
                missing //= axis
            else:
                dim.append(missing)
                left.insert(0, axis // missing)
                missing = 1
        dims.append(dim)
    return dims


def single(x: Table, dim: int) -> Table:
    """One dimension as a single axis."""
    return regrouped(x, dim, [x.shape[dim]])


# --- two tables side by side -------------------------------------------------------------------------


def aligned(x: Table, y: Table) -> tuple[Table, Table]:
    """Both broadcast to one shape with the same axes."""
    x, y = _padded(x, len(y.dims)), _padded(y, len(x.dims))
    for dim in range(len(x.dims)):
        x, y = aligned_dim(x, dim, y, dim)
    return x, y


def aligned_dim(x: Table, dx: int, y: Table, dy: int) -> tuple[Table, Table]:
    """Dimension dx of x and dy of y with the same axes; a dimension of size 1 is repeated."""
    if not x.dims[dx] or not y.dims[dy]:
        return expanded(x, dx, y.dims[dy]) if not x.dims[dx] else x, expanded(y, dy, x.dims[dx]) if not y.dims[
            dy
        ] else y
    sizes_x, sizes_y = [a.size for a in x.dims[dx]], [a.size for a in y.dims[dy]]
    if sizes_x != sizes_y:
        sizes = _common_factors(sizes_x, sizes_y)
        x, y = regrouped(x, dx, sizes), regrouped(y, dy, sizes)
    for i in range(len(x.dims[dx])):
        axis = _partition.common(x.dims[dx][i], y.dims[dy][i])
        x, y = refined(x, dx, i, axis), refined(y, dy, i, axis)
    return x, y


def _common_factors(a: list[int], b: list[int]) -> list[int]:
    """The finest factorization that both can be split into, merging where neither divides the other."""
    a, b, out = list(a), list(b), []
    while a:
        m, n = a.pop(0), b.pop(0)
        while m % n and n % m:
            if m < n:
                m *= a.pop(0)
            else:
                n *= b.pop(0)
        low = min(m, n)
        out.append(low)
        if m > low:
            a.insert(0, m // low)
        if n > low:
            b.insert(0, n // low)
    return out


def _padded(x: Table, ndim: int) -> Table:
    return relabelled(x, ((),) * (ndim - len(x.dims)) + x.dims)
