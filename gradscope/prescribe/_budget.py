"""How long trials may be: as many steps as fit the budget, told by the size of the model and not by the clock."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.config import Config

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
