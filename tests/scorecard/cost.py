"""What the verdict costs beyond the measurement, in passes through the model that are counted as they happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from gradscope import capture, load, measure
from gradscope.borrow import borrowed
from gradscope.config import Config as Settings
from gradscope.schema import Subject
from tests.corpus.config import Config
from tests.corpus.losses import LOSSES
from tests.scorecard.extract import batches

COUNTED = (
    "mlp-plain/tanh-default-depth10-digits",
    "healthy-but-stuck/dropout0.5-depth2",
    "conv-plain/dense-relu-he-none-depth3-pool",
    "recurrent/gru-default-lag24",
    "transformer/pre-std0.02-depth10-digits-rows",
    "sick-but-trains/rezero-tanh-depth20",
)
MEASUREMENT = 1
"""Forward and backward passes that the measurement itself takes."""


@dataclass(slots=True)
class Passes:
    """How often a model answered, and how often a gradient came back through its answer."""

    forward: int = 0
    backward: int = 0

    def watch(self, model: nn.Module) -> nn.Module:
        """The same model, counted from here on; its copies are too."""
        model.register_forward_hook(self._answered)
        return model

    def _answered(self, model: nn.Module, inputs: Any, output: Tensor) -> None:
        self.forward += 1
        if output.requires_grad:
            output.register_hook(self._came_back)

    def _came_back(self, gradient: Tensor) -> None:
        self.backward += 1


def cost(config: Config) -> tuple[Passes, Passes]:
    """Passes beyond the measurement of a verdict at rest, and of its trial steps."""
    rest, trial = Passes(), Passes()
    at_rest = _subject(config, rest)
    rest.forward = rest.backward = 0  # a subject may have run while it was loaded
    with borrowed(at_rest.model, training=True, seed=0):
        measure.profile(at_rest, capture.graph, Settings(), has_spectra=False)
    rest.forward -= MEASUREMENT
    rest.backward -= MEASUREMENT
    trained = _subject(config, trial)
    trial.forward = trial.backward = 0
    _, gaps = measure.attempts(trained, steps=Settings().attempt_steps)
    assert not gaps, gaps
    return rest, trial


def _subject(config: Config, passes: Passes) -> Subject:
    inputs, targets = next(batches(config, 0))
    return load.subject(
        lambda: passes.watch(config.build(0)),
        inputs,
        targets=targets,
        loss=LOSSES[config.loss],
        batches=lambda seed: batches(config, seed),
    )
