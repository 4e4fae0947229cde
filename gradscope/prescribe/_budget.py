"""How long trials may be: as many steps as fit the budget, told by the size of the model and not by the clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gradscope.config import Config
from gradscope.schema import LayerNode

FLOPS = 1e11
"""Floating-point operations a second of one CPU thread; with the three below, what makes the budget seconds."""

ELEMENT = 5e-10
"""Seconds to read and write one number of an activation."""

CALL = 2e-5
"""Seconds to start one layer, however small it is."""

PARAMETER = 3e-9
"""Seconds that an optimizer step costs a parameter."""

PASSES = 3
"""A backward pass costs twice a forward pass."""


FEW_SETTINGS = 3
"""Optimizers with learning rates that are tried where the fewest steps with all of them exceed the budget."""

SCREENING, FINALISTS = 3, 2
"""A remedy's settings are tried for a third of the steps, and the best two of them for all steps."""

OVERDRAFT = 10
"""Times the budget that the fewest trials may cost; a model that needs more is not tried at all."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is tried.

    Attributes:
        steps: of each training.
        seeds: of each model.
        settings: how many optimizers with learning rates.
        candidates: how many remedies; the others are not tried.
        is_cut: whether the budget, and not the configuration, decided.
    """

    steps: int
    seeds: int
    settings: int
    candidates: int
    is_cut: bool


def plan(step: float, candidates: int, settings: int, config: Config) -> Plan | None:
    """Steps, settings and candidates that fit `config.trial_seconds`, the same on every machine.

    Args:
        step: seconds of one training step.
        candidates: remedies that could be tried.
        settings: optimizers with learning rates that could be tried.
        config: holds the budget.

    Returns:
        The plan, or None if the model is far too large for any.
    """
    seeds = config.trial_seeds
    affordable = config.trial_seconds / step  # steps of training
    for tried in (settings, FEW_SETTINGS):
        nothing = tried + seeds - 1  # trainings
        each = tried / SCREENING + FINALISTS + seeds - 1
        for number in range(max(candidates, 1), 0, -1):
            steps = min(config.trial_steps, int(affordable / (nothing + number * each)))
            if steps >= config.trial_steps_least:
                is_cut = steps < config.trial_steps or number < candidates
                return Plan(steps, seeds, tried, number, is_cut)
    if OVERDRAFT * affordable < (nothing + each) * config.trial_steps_least:
        return None
    return Plan(config.trial_steps_least, seeds, FEW_SETTINGS, 1, True)


def step_seconds(nodes: Sequence[LayerNode], parameters: int) -> float:
    """Estimated time of one training step on one CPU thread."""
    operations = sum(2 * (node.fan_in or 0) * math.prod(node.shape) for node in nodes)
    elements = sum(math.prod(node.shape) for node in nodes)
    return PASSES * (operations / FLOPS + ELEMENT * elements + CALL * len(nodes)) + PARAMETER * parameters
