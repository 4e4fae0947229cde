"""Batch normalization behind every layer that has no norm.

Standardizes each feature over the batch, and each layer's scale no longer matters: neither a too small nor a too
large initialization reaches the next layer, and saturated activations are pulled back to where they have a slope.

Helps almost every deep network without norms, also those that no initialization can repair (sigmoids, residual sums).
It changes the architecture: checkpoints no longer fit, training and evaluation differ, and it wants batches of eight
or more that are alike.

References:
    Ioffe, Szegedy 2015, arXiv 1502.03167; Santurkar et al. 2018, arXiv 1805.11604.
"""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.prescribe._insertion import insertion, unnormalized
from gradscope.prescribe._remedy import SIGNAL_PROPAGATION, Case, Change, remedy
from gradscope.prescribe._text import names, program
from gradscope.prescribe._weights import WeightLayer

MIN_BATCH = 2  # a single sample has no variance


@remedy(resolves=SIGNAL_PROPAGATION, applicability="unsafe")
def batch_normalization(case: Case) -> Iterator[Change]:
    """One change: all layers whose output is (N, C), or (N, C, ...) of a convolution."""
    layers = [layer for layer in unnormalized(case) if _norm(layer) is not None and layer.node.shape[0] >= MIN_BATCH]
    if layers:
        kinds = {_norm(layer): [x for x in layers if _norm(x) == _norm(layer)] for layer in layers}
        yield Change(
            program(*(insertion(case, group, str(norm)) for norm, group in kinds.items())),
            tuple(layer.name for layer in layers),
            f"Standardizes the output of {names([x.name for x in layers])} over the batch, whatever its scale.",
        )


def _norm(layer: WeightLayer) -> str | None:
    if layer.is_convolution:
        return f"BatchNorm{layer.weight.dim() - 2}d(module.out_channels)"
    return "BatchNorm1d(module.out_features)" if len(layer.node.shape) == 2 else None
