"""Linear maps that act on every spatial dimension by itself: J is the Kronecker product of one matrix a dimension."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gradscope.spectra._spectrum import LayerSpectrum, exact


def separable(matrices: Sequence[Tensor], columns: int) -> LayerSpectrum:
    """The spectrum of I ⊗ A₁ ⊗ A₂ ...: norms multiply.

    Args:
        matrices: Aᵢ of shape (outputs, inputs), one for each spatial dimension.
        columns: entries of the layer's input, batch and channels included.
    """
    norm, gain = 1.0, 1.0
    for matrix in matrices:
        wide = matrix.double() if matrix.shape[0] <= matrix.shape[1] else matrix.double().mT
        norm *= math.sqrt(max(torch.linalg.eigvalsh(wide @ wide.mT)[-1].item(), 0.0))
        gain *= torch.linalg.vector_norm(matrix.double()).item() / math.sqrt(matrix.shape[1])
    return exact(norm, gain, columns)
