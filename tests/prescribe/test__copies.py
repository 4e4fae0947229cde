"""Text is executed on copies; the user's model, its gradients and all generators stay as they are."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

from gradscope.prescribe._copies import treated, treated_subject, untouched
from gradscope.schema import GradscopeError, Subject
from tests.subjects import subject

DRAWING = "import torch\ntorch.nn.init.normal_(model.weight)"


def linear() -> Subject:
    model = nn.Linear(3, 3)
    model(torch.ones(1, 3)).sum().backward()
    return subject(model, torch.ones(1, 3))


def state(model: nn.Module) -> list[torch.Tensor]:
    return [t.clone() for p in model.parameters() for t in (p.detach(), p.grad) if t is not None]


def test_the_model_and_the_generators_stay_as_they_are() -> None:
    one = linear()
    before, generators = state(one.model), (torch.get_rng_state(), random.getstate())
    treated(one, DRAWING, None, 1)
    assert all(map(torch.equal, before, state(one.model)))
    assert torch.equal(torch.get_rng_state(), generators[0])
    assert random.getstate() == generators[1]


def test_a_copy_is_the_model_without_its_gradients() -> None:
    one = linear()
    copy = untouched(one, 0)
    assert copy is not one.model
    assert torch.equal(copy.weight, one.model.weight)
    assert all(p.grad is None for p in copy.parameters())


def test_a_model_that_can_be_rebuilt_is_not_copied() -> None:
    one = subject(nn.Linear(3, 3), rebuild=lambda: nn.Linear(3, 3))
    first, again, other = (untouched(one, seed).weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_seed_decides_what_the_text_draws() -> None:
    first, again, other = (treated(linear(), DRAWING, None, seed).weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_text_may_replace_the_model_and_read_inputs() -> None:
    text = "import torch\nmodel = torch.nn.Sequential(model, torch.nn.Linear(3, len(inputs)))"
    assert treated(linear(), text, torch.ones(5, 3), 0)(torch.ones(1, 3)).shape == (1, 5)


def test_a_text_that_leaves_no_model_is_an_error() -> None:
    with pytest.raises(GradscopeError, match="left a int"):
        treated(linear(), "model = 1", None, 0)


def test_the_mode_is_that_of_the_analysis() -> None:
    evaluated = subject(nn.Dropout(), training=False)
    assert not untouched(evaluated, 0).training
    assert not treated(evaluated, "model.train()", None, 0).training


def test_a_treated_subject_counts_and_rebuilds_what_was_made() -> None:
    text = "import torch\nmodel = torch.nn.Sequential(model, torch.nn.Linear(3, 2))"
    one = treated_subject(linear(), text, None)
    assert one.info.parameters == 12 + 8
    assert one.rebuild is not None
    assert all(map(torch.equal, state(one.model), state(one.rebuild())))
