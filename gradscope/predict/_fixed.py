"""The moment table of a tensor that is known entry by entry: averages over its index pairs."""

from __future__ import annotations

import itertools

import numpy as np
from torch import Tensor

from gradscope.predict._mask import mask_of
from gradscope.predict._table import Table, axes_of, constant


def table_of_value(value: Tensor) -> Table:
    """Every dimension exchangeable; a boolean, integer or mask keeps only its value."""
    mask = mask_of(value)
    if mask is not None or not value.is_floating_point():
        table = constant(value.shape, 0.0)
        table.value = value
        if mask is not None:
            table.notes["mask"] = mask
        return table
    x = value.detach().double().nan_to_num(0.0, 0.0, 0.0).numpy()
    squeezed = x.reshape([n for n in x.shape if n > 1])
    second = np.zeros((2,) * squeezed.ndim)
    for agree in itertools.product((0, 1), repeat=squeezed.ndim):
        means = squeezed.mean(tuple(i for i, differ in enumerate(agree) if differ), keepdims=True)
        second[agree] = float(np.mean(means * means))
    for axis, n in enumerate(squeezed.shape):  # an average over all partners -> over all others
        same, everything = np.take(second, [0], axis), np.take(second, [1], axis)
        second = np.concatenate([same, (everything - same / n) * n / (n - 1)], axis)
    table = Table(axes_of(x.shape), np.full((1,) * squeezed.ndim, x.mean() if x.size else 0.0), second, is_initial=True)
    table.value = value
    return table
