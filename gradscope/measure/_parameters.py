"""What every parameter is drawn like, and the gradient that reached it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gradscope.measure._moments import squared_norm
from gradscope.schema import Estimate, ParameterProfile


def parameter_profiles(model: nn.Module, gradients: dict[str, Tensor | None]) -> tuple[ParameterProfile, ...]:
    """Root mean squares of every parameter and its gradient; a parameter no gradient reached has None."""
    profiles = []
    for name, parameter in model.named_parameters():
        gradient = gradients.get(name)
        profiles.append(
            ParameterProfile(
                name=name,
                shape=tuple(parameter.shape),
                rms=_rms(parameter.detach()),
                gradient_rms=None if gradient is None else _rms(gradient.detach()),
                trainable=parameter.requires_grad,
            )
        )
    return tuple(profiles)


def reached(profiles: Sequence[ParameterProfile]) -> float:
    """Share of the trainable elements that lie in parameters with a gradient, be it zero."""
    sizes = [(torch.Size(p.shape).numel(), p.gradient_rms is not None) for p in profiles if p.trainable]
    total = sum(n for n, _ in sizes)
    return sum(n for n, is_reached in sizes if is_reached) / total if total else 0.0


def total_norm(profiles: Sequence[ParameterProfile]) -> Estimate:
    """Euclidean norm of the gradient of all parameters together."""
    squares = [torch.Size(p.shape).numel() * p.gradient_rms.value**2 for p in profiles if p.gradient_rms is not None]
    return Estimate.exact(sum(squares) ** 0.5, "measured", len(squares))


def _rms(tensor: Tensor) -> Estimate:
    if tensor.numel() == 0:
        return Estimate.unknown("empty")
    tensor = tensor.coalesce().values() if tensor.is_sparse else tensor
    tensor = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    tensor = tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
    return Estimate.exact((squared_norm(tensor.flatten()).item() / tensor.numel()) ** 0.5, "measured", tensor.numel())
