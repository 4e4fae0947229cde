"""What an audit is asked for, as plain data: it travels to another process as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gradscope.config import Config
from gradscope.diagnose import find

Progress = Callable[[str, float], None]
"""Is told (stage, fraction done)."""

_TRIED = ("sgd", "adam")  # what trial steps are taken with


@dataclass(frozen=True, slots=True)
class Options:
    """How a model is audited, whichever way it was come by.

    Attributes:
        config: thresholds and budgets, and the recipe as far as it is known.
        seed: of everything random.
        training: analyse in train mode.
        prescribe: try remedies for what was found.
        trial_steps: take a handful of training steps on copies for the verdict.
        learning_rate: which training will use; a few are tried if None.
        select: codes or names of the diagnostics to run; all if empty.
        ignore: codes or names of diagnostics to leave out.
        density: patterns of the layers whose density of singular values is measured; "network" is the network.

    Raises:
        GradscopeError: `select` or `ignore` names no diagnostic.
    """

    config: Config
    seed: int = 0
    training: bool = True
    prescribe: bool = True
    trial_steps: bool = True
    learning_rate: float | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    density: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for pattern in (*self.select, *self.ignore):
            find(pattern)

    @property
    def tried_optimizer(self) -> str | None:
        """The kind of the recipe's optimizer, "adam" of AdamW; None, where both are tried, if it is of neither kind."""
        name = (self.config.optimizer or "").lower()
        return next((kind for kind in _TRIED if kind in name), None)


@dataclass(frozen=True, slots=True)
class Request:
    """What a command line names, and how it is audited.

    Attributes:
        target: "model.py:Net(depth=30)", "package.module:make", "hf:gpt2".
        options: how it is audited.
        inputs: shapes such as "8,3,224,224"; found if empty.
        loss: as torch.nn.functional calls it; chosen from the output if None.
        weights: a checkpoint for the model.
        settings: replaces values of a configuration, or arguments of the function, that the target names.
        is_static: predict everything from theory; no weights, no data, no run.
    """

    target: str
    options: Options
    inputs: tuple[str, ...] = ()
    loss: str | None = None
    weights: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    is_static: bool = False
