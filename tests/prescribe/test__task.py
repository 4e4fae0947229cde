"""The task is the user's where there is one, and otherwise one that any model of these inputs can be set."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradscope.prescribe import _task
from gradscope.prescribe._task import learning_task
from gradscope.schema import GradscopeError
from tests.subjects import subject

X, LABELS = torch.randn(8, 5, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3


def classifier(**more):
    return subject(nn.Linear(5, 3), X, loss=F.cross_entropy, targets=LABELS, classes=3, **more)


def test_the_users_batches_come_first() -> None:
    one = classifier(batches=lambda seed: ((X + seed, LABELS) for _ in itertools.count()))
    task = learning_task(one)
    assert task.words == "your batches"
    assert task.loss is one.loss
    found = task.batches(3, 7)
    assert len(found) == 7
    assert torch.equal(found[0].args[0], X + 3)


def test_finite_batches_are_taken_as_they_are() -> None:
    task = learning_task(classifier(batches=lambda seed: [(X, LABELS)] * 2))
    assert len(task.batches(0, 60)) == 2


def test_no_batches_are_an_error() -> None:
    with pytest.raises(GradscopeError, match="yielded nothing"):
        learning_task(classifier(batches=lambda seed: [])).batches(0, 1)


def test_batches_beyond_the_memory_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_task, "POOL_BYTES", X.nbytes + LABELS.nbytes)
    task = learning_task(classifier(batches=lambda seed: ((X, LABELS) for _ in itertools.count())))
    assert len(task.batches(0, 60)) == 2


def test_variations_have_each_feature_shuffled_between_the_samples() -> None:
    task = learning_task(classifier())
    first, second, *_ = task.batches(0, 60)
    assert torch.equal(first.args[0], X)
    assert not torch.equal(second.args[0], X)
    assert torch.equal(second.args[0].sort(0).values, X.sort(0).values)
    assert torch.equal(second.targets.sort().values, LABELS.sort().values)


def test_the_same_seed_gives_the_same_batches() -> None:
    task = learning_task(classifier())
    first, again, other = (task.batches(seed, 60)[1].args[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_inputs_that_do_not_survive_a_shuffle_are_memorised_as_they_are() -> None:
    class Sorted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 3)

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            assert bool((lengths.diff() <= 0).all())
            return self.layer(x)

    one = subject(Sorted(), X, torch.arange(8, 0, -1), loss=F.cross_entropy, targets=LABELS, classes=3)
    task = learning_task(one)
    assert task.words == "the example inputs, to be memorised"
    assert len(task.batches(0, 60)) == 1


def test_one_sample_has_no_variations() -> None:
    task = learning_task(subject(nn.Linear(5, 3), X[:1], loss=F.cross_entropy, targets=LABELS[:1], classes=3))
    assert len(task.batches(0, 60)) == 1


def test_a_loss_without_a_minimum_is_replaced() -> None:
    direction = torch.randn(8, 3)
    task = learning_task(subject(nn.Linear(5, 3), X, loss=lambda output, _: (output * direction).sum()))
    assert "mean squared error" in task.words
    (batch, *_) = task.batches(0, 60)
    assert batch.targets.shape == (8, 3)
    assert float(task.loss(batch.targets, batch.targets)) == 0


def test_a_loss_with_a_minimum_is_kept() -> None:
    one = subject(nn.Linear(5, 3), X, loss=lambda output, _: output.square().mean())
    assert learning_task(one).loss is one.loss


def test_a_model_that_changes_its_input_finds_it_whole_in_the_next_step() -> None:
    (batch, *_) = learning_task(classifier()).batches(0, 60)
    batch.cloned().args[0].zero_()
    assert torch.equal(batch.args[0], X)
