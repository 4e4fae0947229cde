"""Specifications become tensors of the right kind, the same for the same seed."""

from __future__ import annotations

import pytest
import torch

from gradscope.load.inputs.spec import BATCH, SMALL_BATCH, UNNAMED, Candidate, Fields, TensorSpec


def draw(spec: TensorSpec, batch: int = 8, seed: int = 0) -> torch.Tensor:
    return spec.draw(batch, torch.Generator().manual_seed(seed), torch.float64)


@pytest.mark.parametrize(
    ("spec", "shape", "dtype"),
    [
        (TensorSpec((3, 5)), (8, 3, 5), torch.float64),
        (TensorSpec((3, 5), batch_at=1), (3, 8, 5), torch.float64),
        (TensorSpec((3, 5), batch_at=None), (3, 5), torch.float64),
        (TensorSpec((3, 5), is_packed=True), (24, 5), torch.float64),
        (TensorSpec((-1,), "ones"), (8, 8), torch.float64),
        (TensorSpec((3,), "ids", 9), (8, 3), torch.int64),
        (TensorSpec((3,), "ids", 9, dtype=torch.int32), (8, 3), torch.int32),
        (TensorSpec((3,), "false"), (8, 3), torch.bool),
        (TensorSpec((3, 4), "boxes"), (8, 3, 4), torch.int64),
        (TensorSpec((), "grid", 6), (8, 3), torch.int64),
        (TensorSpec((2, 16), "nodes", batch_at=None), (2, 16), torch.int64),
    ],
    ids=str,
)
def test_shapes_and_types(spec, shape, dtype):
    tensor = draw(spec)
    assert (tuple(tensor.shape), tensor.dtype) == (shape, dtype)
    assert torch.equal(tensor, draw(spec))


def test_ids_avoid_what_is_reserved_and_reach_everything_else():
    drawn = draw(TensorSpec((1000,), "ids", 10, avoid=frozenset({0, 3, 9})))
    assert set(drawn.unique().tolist()) == {1, 2, 4, 5, 6, 7, 8}


def test_boxes_are_boxes():
    corners = draw(TensorSpec((100, 4), "boxes"))
    assert bool((corners[..., :2] <= corners[..., 2:]).all())


def test_placeholders_stand_after_the_first_token():
    drawn = draw(TensorSpec((6,), "ids", 5, placeholder=(99, 3)))
    assert bool((drawn[:, 1:4] == 99).all()) and bool((drawn[:, [0, 4, 5]] < 5).all())


def test_large_samples_come_in_small_batches():
    assert Candidate("", {"x": TensorSpec((3, 224, 224))}).batch == SMALL_BATCH
    assert Candidate("", {"x": TensorSpec((3, 32, 32)), "y": TensorSpec(())}).batch == BATCH


def test_a_candidate_draws_nested_inputs_and_forgets_what_has_no_name():
    inputs = {"batch": Fields({UNNAMED: TensorSpec((2,)), "x": TensorSpec((2,))}), "state": (TensorSpec((1,)), 3)}
    drawn = Candidate("", inputs).draw(torch.Generator(), torch.float32, torch.device("cpu"))
    assert list(drawn["batch"]) == ["x"] and drawn["batch"].x.shape == (8, 2)
    assert drawn["state"][0].shape == (8, 1) and drawn["state"][1] == 3


def test_resizing_one_input_resizes_its_twins():
    pair = Candidate("", {"a": TensorSpec((3,)), "b": TensorSpec((3,)), "c": TensorSpec((4,))}).resized("a", 7)
    assert [spec.shape for spec in pair.inputs.values()] == [(7,), (7,), (4,)]
