"""Attention masks: constants that rule out entries before a softmax."""

from __future__ import annotations

import torch
from torch import Tensor

from gradscope.predict._rules import NoRule
from gradscope.predict._table import Table

FORBIDDING = -1e4  # an additive bias below this rules an entry out, in every precision


def mask_of(value: Tensor) -> Tensor | None:
    """Which entries an additive bias leaves open (bool), or None if it is not a mask."""
    if not value.is_floating_point() or value.numel() < 2:
        return None
    closed = value < FORBIDDING
    return ~closed if bool((closed | (value == 0)).all()) and bool(closed.any()) else None


def masked(x: Table, mask: Table) -> Table:
    """Scores with some entries ruled out.

    Raises:
        NoRule: `x` is not a product of queries and keys.
    """
    return with_open(x, mask.notes["mask"])


def with_open(x: Table, is_open: Tensor) -> Table:
    """Scores with only the entries of `is_open` left."""
    if "scores" not in x.notes:
        raise NoRule("a mask on something else than attention scores")
    out = Table(x.dims, x.mean, x.second, (x,), lambda gradient: [gradient])
    out.notes["scores"] = x.notes["scores"].masked(torch.as_tensor(is_open))
    return out
