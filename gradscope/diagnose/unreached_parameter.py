"""GS203: trainable parameters that get no gradient."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._signal import exact, names
from gradscope.schema import Finding, Profile


@diagnostic("GS203", severity="warning")
def unreached_parameter(profile: Profile, config: Config) -> Iterator[Finding]:
    """A trainable parameter is not part of the computation of the loss, or its path is cut.

    ## Why it matters
    It will keep its random start for ever, and distributed training may hang on it.

    ## How it is decided
    The backward pass of the example batch hands it no gradient at all. A gradient that is zero is something
    else: an embedding row that was not looked up, or a branch that starts at zero.

    ## What to do
    Remove it, use it, or set requires_grad to False; look for detach(), no_grad and integer casts on the path;
    give inputs that use every branch of the model.

    ## References
    PyTorch, DistributedDataParallel: find_unused_parameters.
    """
    unreached = [p for p in profile.parameters if p.trainable and p.gradient_rms is None]
    if not unreached or not profile.parameters:
        return
    total = sum(math.prod(p.shape) for p in profile.parameters if p.trainable)
    share = sum(math.prod(p.shape) for p in unreached) / total if total else 0.0
    yield Finding(
        code="GS203",
        name="unreached-parameter",
        severity="warning",
        layers=tuple(p.name for p in unreached),
        message=f"No gradient reaches {names([p.name for p in unreached])} ({share:.1%} of the parameters).",
        evidence={"unreached_share": exact(share)},
    )
