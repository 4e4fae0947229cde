"""What others do for the largest singular value of a layer's Jacobian, on equal terms."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse.linalg import LinearOperator, svds
from torch import Tensor

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class FunctionalJacobian:
    """J of a function of one tensor by torch.func: jvp for J v, vjp for Jᵀ u."""

    function: Function
    at: Tensor

    def matvec(self, v: Tensor) -> Tensor:
        return torch.func.jvp(self.function, (self.at,), (v,))[1]

    def rmatvec(self, u: Tensor) -> Tensor:
        return torch.func.vjp(self.function, self.at)[1](u)[0]

    def scipy(self) -> LinearOperator:
        """The same for scipy, on flat vectors."""
        output = self.function(self.at)
        dtype = np.float64 if self.at.dtype == torch.float64 else np.float32

        def matvec(v: np.ndarray) -> np.ndarray:
            return self.matvec(torch.from_numpy(v.astype(dtype)).view_as(self.at)).flatten().numpy()

        def rmatvec(u: np.ndarray) -> np.ndarray:
            return self.rmatvec(torch.from_numpy(u.astype(dtype)).view_as(output)).flatten().numpy()

        return LinearOperator((output.numel(), self.at.numel()), matvec=matvec, rmatvec=rmatvec, dtype=dtype)


def arpack(jacobian: FunctionalJacobian, tolerance: float) -> float:
    """scipy's svds with ARPACK, one singular value, a fixed start."""
    operator = jacobian.scipy()
    start = np.random.default_rng(0).standard_normal(min(operator.shape))
    found = svds(operator, k=1, tol=tolerance, v0=start.astype(operator.dtype), return_singular_vectors=False)
    return float(found[0])


def power_iteration(jacobian: FunctionalJacobian, steps: int) -> list[float]:
    """|J v| after every step v <- JᵀJ v / |JᵀJ v|."""
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(jacobian.at.shape, generator=generator)
    found = []
    for _ in range(steps):
        v = v / torch.linalg.vector_norm(v)
        u = jacobian.matvec(v)
        found.append(torch.linalg.vector_norm(u).item())
        v = jacobian.rmatvec(u)
    return found


def curvlinops_norm(function: Function, at: Tensor, tolerance: float) -> float:
    """svds over curvlinops' Jacobian, which is that of parameters: the input is made one."""
    from curvlinops import JacobianLinearOperator

    class Shifted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shift = torch.nn.Parameter(torch.zeros_like(at))

        def forward(self, x: Tensor) -> Tensor:
            return function(x + self.shift)

    module = Shifted()
    data = [(at, torch.zeros_like(function(at)))]
    operator = JacobianLinearOperator(module, list(module.parameters()), data, check_deterministic=False)
    return float(svds(operator.to_scipy(), k=1, tol=tolerance, return_singular_vectors=False)[0])


def reshaped_norm(weight: Tensor) -> float:
    """What torch.nn.utils.parametrizations.spectral_norm divides by: the norm of the kernel as a matrix."""
    return torch.linalg.matrix_norm(weight.double().flatten(1), 2).item()


def gram_iteration_bound(weight: Tensor, iterations: int) -> float:
    """Upper bound for zero padding and stride 1: the Gram kernel of the Gram kernel ..., then its ℓ∞ norm.

    σ² of a convolution is the norm of the convolution with K ⋆ K; after t squarings of the (rescaled) kernel the ℓ∞
    operator norm bounds σ^(2^t) (Delattre, Barthélemy and Allauzen, "Spectral Norm of Convolutional Layers with
    Circular and Zero Paddings", arXiv:2402.00240, 2024).
    """
    kernel, logarithm = weight.double(), 0.0
    for step in range(iterations):
        scale = torch.linalg.vector_norm(kernel)
        kernel = kernel / scale
        logarithm += scale.log().item() / 2**step
        images = kernel.transpose(0, 1)  # (inputs, outputs, *kernel): one image for every input channel
        margins = [n - 1 for n in kernel.shape[2:]]
        kernel = F.conv2d(images, images, padding=margins)  # Σ_o K[o, i] ⋆ K[o, j], twice the size less one
    largest = kernel.abs().sum((1, 2, 3)).max()
    return float(np.exp(logarithm + largest.log().item() / 2**iterations))


def steps_to(values: list[float], truth: float, tolerance: float) -> int | None:
    """Steps after which an increasing sequence is within the tolerance; None if it never is."""
    return next((i for i, x in zip(itertools.count(1), values, strict=False) if x >= truth * (1 - tolerance)), None)
