"""Every configuration is a model that runs, has a finite answer of the right shape and a loss with a gradient."""

from __future__ import annotations

import pytest
import torch

from tests.corpus.config import FAMILIES, Config, configs
from tests.corpus.data import task, tensors
from tests.corpus.losses import LOSSES
from tests.corpus.schedule import spread

SAMPLE = 12
"""Configurations of a family that are run here; training runs them all."""

BORN_NOT_FINITE = ("normal*1-", "normal*2-", "he*2-", "millionfold")
"""Parts of the names of configurations that are meant to overflow at their first step."""


def batch(config: Config) -> tuple[torch.Tensor, torch.Tensor]:
    inputs, targets = tensors(config.task, config.inputs, config.targets)
    return inputs[: config.batch_size], targets[: config.batch_size]


def test_there_are_families_of_at_least_sixty() -> None:
    counts = {name: len(list(FAMILIES[name]())) for name in FAMILIES.load()}
    assert sum(counts.values()) >= 900, counts
    assert all(count >= 60 for name, count in counts.items() if name != "reference"), counts


def test_a_family_yields_the_same_configurations_again() -> None:
    assert list(configs()) == list(configs())


@pytest.mark.parametrize("family", FAMILIES.load())
def test_models_answer_their_task_and_learn_from_it(family: str) -> None:
    found = {config.name: config for config in FAMILIES[family]()}
    for name in spread(list(found))[:SAMPLE]:
        config = found[name]
        assert config.family == family
        model = config.build()
        inputs, targets = batch(config)
        with torch.random.fork_rng():
            outputs = model(inputs)
        assert outputs.shape == (
            *targets.shape[: targets.dim() - (not task(config.task).classes)],
            task(config.task).outputs,
        )
        loss = LOSSES[config.loss](outputs, targets)
        loss.backward()
        assert any(parameter.grad is not None for parameter in model.parameters()), name
        if not any(part in name for part in BORN_NOT_FINITE):
            assert outputs.isfinite().all(), name
            assert loss.isfinite(), name


def test_a_seed_gives_one_model_and_leaves_the_random_state_alone() -> None:
    config = configs()["mlp-plain/relu-default-depth3-digits"]
    before = torch.get_rng_state()
    first, again, other = (torch.cat([p.flatten() for p in config.build(seed).parameters()]) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
