"""The stages in order: of a live model, from theory alone, or of what a command line names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradscope import config as configuration
from gradscope.config import Config
from gradscope.pipeline.isolated import analyze_target
from gradscope.pipeline.measured import audit
from gradscope.pipeline.options import Options, Progress, Request
from gradscope.pipeline.static import foresee
from gradscope.schema import GradscopeError, Report

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Options", "Request", "analyze", "analyze_target"]


def analyze(
    model: nn.Module | Callable[[], nn.Module],
    inputs: Any = None,
    *,
    targets: Any = None,
    loss: Callable[[Any, Any], Tensor] | None = None,
    batches: Callable[[int], Iterable[tuple[Any, Any]]] | None = None,
    seed: int = 0,
    training: bool = True,
    prescribe: bool = True,
    trial_steps: bool = True,
    optimizer: str | None = None,
    learning_rate: float | None = None,
    static: bool = False,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    density: Sequence[str] = (),
    config: Config | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Audit a model: will it train, where does the signal go wrong, and what helps?

    Args:
        model: a module, or a function without arguments that builds one.
        inputs: a tensor, a tuple of positional or a dict of keyword inputs; found by itself if None.
        targets: what the loss compares with.
        loss: maps (output, targets) to a scalar; chosen from the output if None.
        batches: seed -> an iterable of (inputs, targets), for trials on real data.
        seed: of everything random.
        training: analyse in train mode, which is what training will see.
        prescribe: try remedies for what was found.
        trial_steps: take a handful of training steps on copies for the verdict.
        optimizer: which training will use; trial steps are taken with SGD or Adam, whichever it is a kind of, and
            with both if it is of neither kind or None.
        learning_rate: which training will use; a few are tried if None.
        static: predict everything from theory: the model is built without data on the meta device, never run, and
            of the inputs only the shapes count.
        select: codes or names of the diagnostics to run; all if empty.
        ignore: codes or names of diagnostics to leave out.
        density: names or patterns ("layers.*") of layers whose density of log singular values is measured, by
            stochastic Lanczos quadrature; "network" is the network's Jacobian.
        config: thresholds and budgets; those of the nearest pyproject.toml if None.
        on_progress: is told (stage, fraction done).

    Raises:
        GradscopeError: the model, its inputs or its loss cannot be analysed, and why.
    """
    from gradscope import load

    config = config or configuration.load(Path.cwd())
    options = Options(
        replace(config, optimizer=optimizer or config.optimizer),
        seed=seed,
        training=training,
        prescribe=prescribe,
        trial_steps=trial_steps,
        learning_rate=learning_rate,
        select=tuple(select),
        ignore=tuple(ignore),
        density=tuple(density),
    )
    if static:
        if loss is not None or targets is not None or batches is not None:
            raise GradscopeError("A static analysis sees no data: leave out loss, targets and batches.")
        return foresee(model, options, inputs, progress=on_progress)
    subject = load.subject(model, inputs, targets=targets, loss=loss, batches=batches, seed=seed, training=training)
    return audit(subject, options, on_progress)
