"""Layer normalization behind every linear layer that has no norm.

Standardizes each sample (each token) over its features, so that no layer passes on a wrong scale. It is the same in
training and evaluation and for every batch size, which makes it the norm of sequence models.

Helps against growing and shrinking signals. Unlike batch normalization it cannot undo a collapse, where all samples
have become alike. It changes the architecture: checkpoints no longer fit.

References:
    Ba, Kiros, Hinton 2016, arXiv 1607.06450.
"""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.prescribe._insertion import insertion, unnormalized
from gradscope.prescribe._remedy import SIGNAL_PROPAGATION, Case, Change, remedy
from gradscope.prescribe._text import names, program


@remedy(resolves=SIGNAL_PROPAGATION, applicability="unsafe")
def layer_normalization(case: Case) -> Iterator[Change]:
    """One change: all linear layers that an activation follows."""
    layers = [layer for layer in unnormalized(case) if not layer.is_convolution]
    if layers:
        yield Change(
            program(insertion(case, layers, "LayerNorm(module.out_features)")),
            tuple(layer.name for layer in layers),
            f"Standardizes the output of {names([x.name for x in layers])} sample by sample, whatever its scale.",
        )
