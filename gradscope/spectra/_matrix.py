"""The largest singular value and the Frobenius norm of a matrix, or of a batch of matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gradscope.schema import Estimate
from gradscope.spectra import _lanczos
from gradscope.spectra._batched import largest_estimate, solve_each
from gradscope.spectra._gemv import OfMatrix
from gradscope.spectra._sweep import Sweep

_DENSE = 96  # up to this smaller side the Gram matrix's eigenvalues cost less than an iteration
_DENSE_IN_BATCH = 32
_LOOKS = ((16, (8, 12)), (4, (18, 28)), (1, (20, 28)))  # from this ratio of the sides on: first looks, coarse and fine


def real(weight: Tensor) -> Tensor:
    """The tensor without its history, in float32 or float64: the dtypes spectra are computed in."""
    weight = weight.detach()
    return weight if weight.dtype in (torch.float32, torch.float64) else weight.float()


def matrix_norm(matrix: Tensor, sweep: Sweep) -> tuple[Estimate, float]:
    """(spectral norm, squared Frobenius norm) of a matrix of shape (rows, columns), or the largest of a batch.

    A batch of matrices stands for the block-diagonal matrix made of them.
    """
    matrix = real(matrix)
    squared = squared_norm(matrix)
    if not math.isfinite(squared):
        return Estimate.unknown("exact", "nonfinite"), squared
    return largest_estimate(each_norm(matrix, sweep)), squared


def squared_norm(tensor: Tensor) -> float:
    """Squared Frobenius norm, to float32's accuracy at any size and scale."""
    tensor = real(tensor)
    return _lanczos.norm(tensor if tensor.is_contiguous() else tensor.mT.contiguous()) ** 2


def is_iterated(matrix: Tensor) -> bool:
    """Whether a matrix is too large to be solved densely."""
    return min(matrix.shape) > _DENSE


def each_norm(matrices: Tensor, sweep: Sweep) -> list[Estimate]:
    """Spectral norm of every matrix of a batch (..., rows, columns)."""
    matrices = real(matrices).reshape(-1, *matrices.shape[-2:])
    side = min(matrices.shape[-2:])
    if side <= (_DENSE if len(matrices) == 1 else _DENSE_IN_BATCH):
        return [Estimate.exact(value) for value in _gram_norms(matrices)]
    ratio = max(matrices.shape[-2:]) / side
    coarse, fine = next(looks for least, looks in _LOOKS if ratio >= least)
    goal = sweep.goal(coarse=coarse, fine=fine)
    matrices = matrices if matrices.shape[1] >= matrices.shape[2] else matrices.mT
    if len(matrices) > 1:
        start = sweep.start(len(matrices), matrices.shape[2], like=matrices)
        return solve_each(_Matrices(matrices), start, goal)
    matrix = matrices[0]
    start = sweep.start(matrix.shape[1], like=matrix)
    is_on_cpu = matrix.device.type == "cpu"
    steps = OfMatrix(matrix, start) if is_on_cpu else _lanczos.OfProducts(matrix.mv, matrix.mT.mv, start)
    bidiagonal, is_settled = _lanczos.run(steps, goal)
    return [_lanczos.spectral_norm(bidiagonal, is_settled, probability=goal.probability, method="lanczos")]


def _gram_norms(matrices: Tensor) -> list[float]:
    """Largest singular values by the eigenvalues of the smaller Gram matrices, in float64."""
    if matrices.numel() == 0:
        return [0.0] * len(matrices)
    matrices = matrices.double()
    wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
    return torch.linalg.eigvalsh(wide @ wide.mT)[:, -1].clamp_min(0).sqrt().tolist()


@dataclass(frozen=True, slots=True)
class _Matrices:
    """A batch of matrices as systems of the batched iteration."""

    matrices: Tensor

    def matvec(self, v: Tensor) -> Tensor:
        return torch.bmm(self.matrices, v[:, :, None])[:, :, 0]

    def rmatvec(self, u: Tensor) -> Tensor:
        return torch.bmm(self.matrices.mT, u[:, :, None])[:, :, 0]

    def keep(self, rows: Tensor) -> _Matrices:
        return _Matrices(self.matrices[rows])
