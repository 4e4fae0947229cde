"""Group normalization behind every convolution that has no norm.

Standardizes each sample over groups of channels and all pixels. It is the same in training and evaluation and for
every batch size: what to take where batches are too small for batch normalization.

Helps against growing and shrinking signals in convolutional networks. It changes the architecture: checkpoints no
longer fit.

References:
    Wu, He 2018, arXiv 1803.08494.
"""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.prescribe._insertion import insertion, unnormalized
from gradscope.prescribe._remedy import SIGNAL_PROPAGATION, Case, Change, remedy
from gradscope.prescribe._text import names, program

GROUPS = 8
"""At most; as many as divide the channels."""


@remedy(resolves=SIGNAL_PROPAGATION, applicability="unsafe")
def group_normalization(case: Case) -> Iterator[Change]:
    """One change: all convolutions that an activation follows."""
    layers = [layer for layer in unnormalized(case) if layer.is_convolution]
    if layers:
        norm = f"GroupNorm(math.gcd({GROUPS}, module.out_channels), module.out_channels)"
        yield Change(
            program(insertion(case, layers, norm)),
            tuple(layer.name for layer in layers),
            f"Standardizes the output of {names([x.name for x in layers])} sample by sample, whatever its scale.",
        )
