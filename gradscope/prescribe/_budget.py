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


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is tried.

    Attributes:
        steps: of each training.
        seeds: of each model.
        candidates: how many remedies; the others are not tried.
        is_cut: whether the budget, and not the configuration, decided.
    """

    steps: int
    seeds: int
    candidates: int
    is_cut: bool


def plan(nodes: Sequence[LayerNode], parameters: int, candidates: int, trainings: float, config: Config) -> Plan:
    """Steps and candidates that fit `config.trial_seconds` of one CPU thread, the same on every machine.

    Args:
        nodes: the layers of the model, with the shapes of one training step.
        parameters: how many are trained.
        candidates: remedies to try.
        trainings: full-length trainings that a candidate costs on its first seed.
        config: holds the budget.
    """
    step = step_seconds(nodes, parameters)
    seeds = max(1, config.trial_seeds)
    possible = config.trial_seconds / step / (trainings + seeds - 1)  # steps, shared by the models that compete
    steps = min(config.trial_steps, max(config.trial_steps_least, int(possible / (candidates + 1))))
    affordable = max(1, int(possible / steps) - 1)
    return Plan(steps, seeds, min(candidates, affordable), steps < config.trial_steps or affordable < candidates)


def step_seconds(nodes: Sequence[LayerNode], parameters: int) -> float:
    """Estimated time of one training step on one CPU thread."""
    operations = sum(2 * (node.fan_in or 0) * math.prod(node.shape) for node in nodes)
    elements = sum(math.prod(node.shape) for node in nodes)
    return PASSES * (operations / FLOPS + ELEMENT * elements + CALL * len(nodes)) + PARAMETER * parameters
