"""The data are real, complete and scaled as they say."""

from __future__ import annotations

import pytest
import torch

from tests.corpus.data import ALPHABET, INPUTS, TARGETS, TASKS, task, tensors
from tests.corpus.losses import LOSSES, error, trivial_error


@pytest.mark.parametrize("name", TASKS)
def test_standardized_inputs_have_mean_zero_and_variance_one(name: str) -> None:
    inputs, targets = tensors(name, "standardized", "given")
    assert len(inputs) == len(targets)
    if inputs.dtype == torch.long:
        assert inputs.max() < len(ALPHABET)
        return
    assert abs(inputs.mean()) < 1e-4, inputs.mean()
    if task(name).per_feature:
        torch.testing.assert_close(inputs.var(0), torch.ones(inputs.shape[1]), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("scaling", INPUTS)
def test_every_input_scaling_is_finite_on_every_task(scaling: str) -> None:
    for name in ("digits", "cancer", "wine", "diabetes", "digits-rows-lag8"):
        assert tensors(name, scaling, "given")[0].isfinite().all(), name


@pytest.mark.parametrize("change", [name for name in TARGETS if name != "permuted"])
def test_changed_values_keep_their_order(change: str) -> None:
    given, changed = (tensors("diabetes", "standardized", name)[1].flatten() for name in ("given", change))
    assert torch.equal(given.argsort(stable=True), changed.argsort(stable=True))


def test_permuted_labels_keep_their_counts_and_lose_their_place() -> None:
    given, permuted = (tensors("digits", "standardized", name)[1] for name in ("given", "permuted"))
    assert torch.equal(given.bincount(), permuted.bincount())
    assert (given == permuted).double().mean() < 0.15


def test_the_best_constant_answer_has_the_trivial_error() -> None:
    _, labels = tensors("cancer", "raw", "given")
    constant = torch.nn.functional.one_hot(labels.mode().values.expand_as(labels), 2).double()
    assert error(constant, labels).item() == pytest.approx(trivial_error(labels))
    _, values = tensors("diabetes", "raw", "standardized")
    assert error(values.mean().expand_as(values), values).item() == pytest.approx(trivial_error(values))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_a_number_with_a_gradient(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(6, 4, generator=generator, dtype=torch.double, requires_grad=True)
    is_value = name in ("mse", "l1")
    targets = torch.zeros(6, 4, dtype=torch.double) if is_value else torch.tensor([0, 1, 2, 3, 0, 1])
    loss = LOSSES[name](outputs, targets)
    loss.backward()
    assert loss.dim() == 0
    assert outputs.grad is not None
    assert outputs.grad.abs().sum() > 0
