"""Attention masks: constants that rule out entries before a softmax."""

from __future__ import annotations

from torch import Tensor

from gradscope.predict._table import Table

FORBIDDING = -50.0  # an additive bias below this rules an entry out: e^-50 of what it would have been


def mask_of(value: Tensor) -> Tensor | None:
    """Which entries an additive bias leaves open (bool), or None if it is not a mask."""
    if not value.is_floating_point() or value.numel() < 2:
        return None
    closed = value < FORBIDDING
    return ~closed if bool((closed | (value == 0)).all()) and bool(closed.any()) else None


def masked(x: Table, mask: Table) -> Table:
    """x plus a mask, which may carry a bias of its own; two masks are one."""
    if mask.size > x.size:
        x, mask = mask, x
    if "mask" not in mask.notes:
        return x
    out = with_open(x, mask.notes["mask"])
    if "scores" in out.notes and (noise := mask.second_moment) > 0:
        out.notes["scores"] = out.notes["scores"].biased(noise)
    return out


def with_open(x: Table, is_open: Tensor) -> Table:
    """x with only the entries of `is_open` left: attention scores, or a bias that will be added to them."""
    out = Table(x.dims, x.mean, x.second, (x,), lambda gradient: [gradient], is_initial=x.is_initial)
    if "scores" in x.notes:
        out.notes["scores"] = x.notes["scores"].masked(is_open)
    else:
        out.notes["mask"] = is_open & x.notes["mask"] if "mask" in x.notes else is_open
    return out
