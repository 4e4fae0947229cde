"""Example inputs as meta tensors with the moments of the real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradscope.predict._fixed import table_of_value
from gradscope.predict._table import Table, independent
from gradscope.predict._trace import Trace
from gradscope.pytree import map_tensors


@dataclass(frozen=True)
class Signal:
    """A floating-point input described by its moments.

    Attributes:
        shape: its shape; the first dimension is the batch.
        mean: E x.
        second_moment: E x^2.
        sample_correlation: correlation of an entry between two samples, in 0..1.
    """

    shape: tuple[int, ...]
    mean: float = 0.0
    second_moment: float = 1.0
    sample_correlation: float = 0.0


def meta_input(value: Any, trace: Trace) -> Any:
    """A tensor or a `Signal` as a meta tensor with a table, also inside plain containers; anything else as it is.

    Integers and booleans stay known. A real floating-point tensor counts with its own moments, one on the meta device
    as independent standard Gaussian entries.
    """
    if isinstance(value, Signal):
        return _attached(torch.empty(value.shape, device="meta"), _of_signal(value), trace)
    return map_tensors(value, lambda tensor: _meta_tensor(tensor, trace))


def _meta_tensor(tensor: Tensor, trace: Trace) -> Tensor:
    twin = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
    if tensor.device.type == "meta":
        return _attached(twin, _of_signal(Signal(tuple(tensor.shape))), trace)
    if not tensor.is_floating_point():
        trace.know(twin, tensor.clone())  # the model may write into its inputs
        return twin
    table = table_of_value(tensor)
    return _attached(twin, Table(table.dims, table.mean, table.second), trace)


def _of_signal(signal: Signal) -> Table:
    table = independent(signal.shape, signal.mean, signal.second_moment)
    if signal.sample_correlation and signal.shape[0] > 1:
        variance = signal.second_moment - signal.mean**2
        table.second[(1, *(0,) * (table.second.ndim - 1))] += signal.sample_correlation * variance
    return table


def _attached(tensor: Tensor, table: Table, trace: Trace) -> Tensor:
    table.is_initial = False
    trace.set_table(tensor, table)
    return tensor
