"""One configuration of the corpus: a model as it is born, the data it meets and the loss it is given."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from gradscope.registry import Registry

Family = Callable[[], "Iterator[Config]"]

FAMILIES: Registry[Family] = Registry("tests.corpus.families")
"""One family a file; each declares a function that yields its configurations."""


@dataclass(frozen=True, slots=True)
class Config:
    """A model together with everything but the optimizer.

    Attributes:
        family: the file that holds it, with dashes.
        name: unique within the family.
        make: builds the model from torch's global random state.
        task: name of the data set, see `data.task`.
        loss: name of the training loss, see `losses.LOSSES`.
        inputs: how inputs are scaled, see `data.INPUTS`.
        targets: what is done to the targets, see `data.TARGETS`.
        batch_size: samples a step.
    """

    family: str
    name: str
    make: Callable[[], nn.Module]
    task: str
    loss: str = "cross-entropy"
    inputs: str = "standardized"
    targets: str = "given"
    batch_size: int = 16

    @property
    def key(self) -> str:
        """The unique name, "family/name"."""
        return f"{self.family}/{self.name}"

    def seed(self, seed: int) -> int:
        """A number that differs between configurations and between their seeds, the same on every machine."""
        return zlib.crc32(self.key.encode()) + seed

    def build(self, seed: int = 0) -> nn.Module:
        """The model at initialisation; the caller's random state is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed(seed))
            return self.make()


def configs() -> dict[str, Config]:
    """Every configuration by key, in order of family.

    Raises:
        ValueError: two configurations share a key.
    """
    found: dict[str, Config] = {}
    for family in FAMILIES:
        for config in family():
            if config.key in found:
                raise ValueError(f"{config.key!r} is declared twice")
            found[config.key] = config
    return found
