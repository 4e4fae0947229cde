"""An audit of what a command line names, in a process of its own with limits on time and memory."""

from __future__ import annotations

from typing import Any

import msgspec

from gradscope.pipeline.measured import audit
from gradscope.pipeline.options import Progress, Request
from gradscope.pipeline.static import foresee
from gradscope.schema import GradscopeError, Report


def analyze_target(request: Request, on_progress: Progress | None = None) -> Report:
    """Audit a target in a child process.

    Args:
        request: the target, and how it is audited.
        on_progress: is told (stage, fraction done).

    Raises:
        GradscopeError: the target cannot be loaded or run, and why.
    """
    from gradscope import load

    if request.is_static and request.weights is not None:
        raise GradscopeError("A static analysis reads no weights: leave out --weights or --static.")
    answer = load.run_isolated(
        "gradscope.pipeline.isolated:answer_in_child",
        msgspec.to_builtins(request),
        timeout=request.options.config.timeout,
        memory_gib=request.options.config.memory,
        on_progress=on_progress,
    )
    return msgspec.msgpack.decode(answer, type=Report)


def answer_in_child(arguments: dict[str, Any], progress: Progress) -> bytes:
    """The work of `analyze_target`, inside the child process."""
    return msgspec.msgpack.encode(_answer(msgspec.convert(arguments, Request), progress))


def _answer(request: Request, progress: Progress) -> Report:
    from gradscope import load

    options = request.options
    if request.is_static:
        return foresee(
            request.target,
            options,
            input_specs=request.inputs,
            loss_name=request.loss,
            settings=request.settings,
            progress=progress,
        )
    subject = load.subject(
        request.target,
        input_specs=request.inputs,
        loss_name=request.loss,
        weights=request.weights,
        settings=request.settings,
        seed=options.seed,
        training=options.training,
    )
    return audit(subject, options, progress)
