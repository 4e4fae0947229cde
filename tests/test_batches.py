"""Batches as a model is called with them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gradscope.batches import Batch, as_call, sample_count

X, Y = torch.zeros(4, 3), torch.zeros(4)


@pytest.mark.parametrize(
    ("inputs", "args", "kwargs"),
    [(X, (X,), {}), ((X, Y), (X, Y), {}), ([X, Y], (X, Y), {}), ({"x": X}, (), {"x": X})],
)
def test_inputs_are_positional_or_named(inputs: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    found_args, found_kwargs = as_call(inputs)
    assert list(map(id, found_args)) == list(map(id, args))
    assert {key: id(value) for key, value in found_kwargs.items()} == {key: id(v) for key, v in kwargs.items()}


@pytest.mark.parametrize(
    ("inputs", "samples"),
    [([X, {"y": Y}], 4), ([X, torch.zeros(2)], 0), ([X, torch.tensor(1.0)], 0), (["no tensor"], 0)],
)
def test_samples_are_counted_where_all_tensors_agree(inputs: list[Any], samples: int) -> None:
    assert sample_count(*inputs) == samples


def test_a_clone_shares_no_memory() -> None:
    batch = Batch((X,), {"y": Y}, Y)
    copy = batch.cloned()
    copy.args[0].add_(1)
    copy.kwargs["y"].add_(1)
    assert not X.any() and not Y.any()
