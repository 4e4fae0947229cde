"""The text of a remedy calls the model as its user does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gradscope.batches import as_call, user_batches
from gradscope.prescribe._inputs import call_text, example_inputs
from gradscope.schema import GradscopeError
from tests.subjects import subject


class Sum(nn.Module):
    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return x if y is None else x + y


X, Y = torch.ones(2, 3), torch.full((2, 3), 2.0)


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((X,), {}, "model(inputs)"),
        ((X, Y), {}, "model(*inputs)"),
        ((), {"x": X, "y": Y}, "model(**inputs)"),
        ((X,), {"y": Y}, "model(*inputs[0], **inputs[1])"),
    ],
)
def test_the_call_reproduces_the_subjects_output(args, kwargs, text: str) -> None:
    one = subject(Sum(), *args, kwargs=kwargs)
    assert call_text(one) == text
    called = eval(text, {"model": one.model, "inputs": example_inputs(one)})
    assert torch.equal(called, one.model(*args, **kwargs))


def test_real_data_comes_first() -> None:
    one = subject(Sum(), X, batches=lambda seed: iter([({"x": Y}, None)]))
    assert call_text(one) == "model(**inputs)"
    assert example_inputs(one)["x"] is Y


def test_batches_without_a_batch_are_an_error() -> None:
    with pytest.raises(GradscopeError, match="yielded nothing"):
        example_inputs(subject(Sum(), X, batches=lambda seed: iter([])))


def test_batches_that_fail_are_an_error_with_their_reason() -> None:
    def broken(seed: int):
        yield X, Y
        raise KeyError("the second batch")

    one = subject(Sum(), X, batches=broken)
    assert example_inputs(one) is X
    with pytest.raises(GradscopeError, match="KeyError: 'the second batch'"):
        user_batches(one, 0, most=2)


def test_drawing_a_batch_leaves_the_generator_alone() -> None:
    state = torch.get_rng_state()
    example_inputs(subject(Sum(), X, batches=lambda seed: iter([(torch.randn(2), None)])))
    assert torch.equal(torch.get_rng_state(), state)


def test_batches_become_arguments() -> None:
    assert as_call(X) == ((X,), {})
    assert as_call([X, Y]) == ((X, Y), {})
    assert as_call({"x": X}) == ((), {"x": X})
