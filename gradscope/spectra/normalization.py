"""Normalizations: per group, J = Γ (I - mean - direction of the input) / σ, known in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gradscope.schema import Estimate, LayerCall
from gradscope.spectra._matrix import real
from gradscope.spectra._rows import largest, updated_value
from gradscope.spectra._rules import argument, data, is_alone, rule
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum, are_finite, exact, nonfinite, spectrum
from gradscope.spectra._sweep import Sweep


@rule("_BatchNorm", "batch_norm")
def batch_norm(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """Batch norm: a scaling in eval mode; in train mode the whole batch is the input, since it couples samples."""
    x, module = _input(call), call.module
    if not is_alone(call, argument(call, 0, "input")) or call.function is torch.batch_norm:  # other order
        return None
    if module is not None:
        assert isinstance(module, nn.modules.batchnorm._BatchNorm)
        running, weight, eps = module.running_var, module.weight, module.eps
        is_training = module.training or running is None
    else:
        running, weight = argument(call, 2, "running_var"), argument(call, 3, "weight")
        is_training, eps = argument(call, 5, "training", False), argument(call, 7, "eps", 1e-5)
    if is_training or running is None:
        variance = _channel_variance(x)
        return _constant_gain(variance, weight, eps, x, method="exact (whole batch)")
    scale = (real(running) + eps).rsqrt() * (1 if weight is None else real(weight).abs())
    return exact(scale.max().item(), torch.linalg.vector_norm(scale).item() / math.sqrt(len(scale)), x.numel())


def _channel_variance(x: Tensor) -> Tensor:
    """Variance over all dimensions but the second: within samples and between them, each along contiguous memory."""
    if x.ndim == 2:
        return torch.var(x, 0, unbiased=False)
    samples = x.flatten(2)
    return _variance(samples).mean(0) + torch.var(samples.mean(2), 0, unbiased=False)


def _variance(x: Tensor) -> Tensor:
    """Variance over the last dimension in two passes: torch.var's single one is twenty times slower there."""
    return (x - x.mean(-1, keepdim=True)).square_().mean(-1)


@rule("_InstanceNorm", "instance_norm")
def instance_norm(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """Instance norm: every channel of every sample is a group; stored statistics go the generic way."""
    x, module = _input(call), call.module
    if not is_alone(call, argument(call, 0, "input")) or call.function is torch.instance_norm:  # as for batch norm
        return None
    if module is not None:
        assert isinstance(module, nn.modules.instancenorm._InstanceNorm)
        weight, eps = module.weight, module.eps
        uses_input = module.training or not module.track_running_stats
        if x.ndim < module._get_no_batch_dim() + 1:
            x = x[None]
    else:
        weight, eps = argument(call, 3, "weight"), argument(call, 7, "eps", 1e-5)
        uses_input = argument(call, 5, "use_input_stats", True)
    if not uses_input:
        return None
    variance = _variance(x.flatten(2))  # (samples, channels)
    return _constant_gain(variance, weight, eps, x)


@rule("LayerNorm", "layer_norm")
def layer_norm(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """Layer norm: every row over the normalized dimensions is a group."""
    shape = _option(call, 1, "normalized_shape")
    return _rowwise(call, shape, _option(call, 2, "weight"), _option(call, 4, "eps", 1e-5), sweep, is_centered=True)


@rule("RMSNorm", "rms_norm")
def rms_norm(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """RMS norm: as layer norm, without the mean."""
    shape, eps = _option(call, 1, "normalized_shape"), _option(call, 3, "eps")
    eps = torch.finfo(_input(call).dtype).eps if eps is None else eps
    return _rowwise(call, shape, _option(call, 2, "weight"), eps, sweep, is_centered=False)


@rule("GroupNorm", "group_norm")
def group_norm(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """Group norm: the channels of a group share statistics and differ in their gain."""
    if not is_alone(call, argument(call, 0, "input")):
        return None
    x, groups = _input(call), _option(call, 1, "num_groups")
    weight = _option(call, 2, "weight")
    rows = x.reshape(x.shape[0] * groups, -1)
    if weight is not None:
        weight = real(weight).reshape(groups, -1).repeat_interleave(rows.shape[1] * groups // x.shape[1], 1)
        weight = weight.repeat(x.shape[0], 1)
    return normalized_rows(rows, weight, _option(call, 4, "eps", 1e-5), sweep, is_centered=True)


@rule("normalize")
def unit_length(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """x / max(|x|, eps): I - u uᵀ over |x| for every vector."""
    x, dim, eps = _input(call), argument(call, 2, "dim", 1), argument(call, 3, "eps", 1e-12)
    if argument(call, 1, "p", 2.0) != 2.0 or not isinstance(dim, int) or not is_alone(call, argument(call, 0, "input")):
        return None
    length = torch.linalg.vector_norm(x, dim=dim)
    n, is_short = x.shape[dim], length < eps
    scale = 1 / length.clamp_min(eps)
    directions = torch.where(is_short, n, n - 1)
    gain = (scale.square() * directions).double().sum().item() / x.numel()
    return exact((scale * (directions > 0)).max().item(), math.sqrt(gain), x.numel())


def normalized_rows(
    rows: Tensor, weight: Tensor | None, eps: float, sweep: Sweep, *, is_centered: bool
) -> LayerSpectrum:
    """The spectrum of a normalization over the rows of a matrix.

    σ lies between the third (not centered: second) largest and the largest |weight| over the row's deviation, as
    J removes two directions (one); rows that may win are solved exactly.

    Args:
        rows: (groups, n).
        weight: gains, broadcastable to `rows`; None for 1.
        eps: added to the variance.
        sweep: the pass.
        is_centered: whether the mean is subtracted.
    """
    if not are_finite([rows]) or (weight is not None and not are_finite([weight])):
        return nonfinite()
    n = rows.shape[1]
    variance = _variance(rows) if is_centered else rows.square().mean(1)
    if weight is None or bool((weight == weight.flatten()[0]).all()):
        gain = 1.0 if weight is None else abs(weight.flatten()[0].item())
        return _closed(variance, torch.full_like(variance, gain), n, eps, is_centered=is_centered)
    weight = weight.expand_as(rows)
    deviation = (variance + eps).sqrt()
    removed = 2 if is_centered else 1
    if n <= removed:  # J is of rank one: what is left along the input
        norms = eps / (variance + eps) / deviation * weight.square().mean(1).sqrt() * (n == removed)
        gain = torch.linalg.vector_norm(norms, dtype=torch.float64).item() / math.sqrt(rows.numel())
        return exact(norms.max().item(), gain, rows.numel())
    top = weight.abs().topk(min(removed + 1, n), dim=1).values
    low = (top[:, -1] if n > removed else torch.zeros_like(deviation)) / deviation

    def exact_rows(index: Tensor) -> Tensor:
        value = updated_value(
            weight[index].double().square(), _removed(rows, weight, variance, eps, index, is_centered), -1
        )
        return value.clamp_min(0).sqrt() / deviation[index]

    norm = largest(low, top[:, 0] / deviation, exact_rows, tolerance=sweep.tolerance / 10)
    return spectrum(norm, _weighted_gain(rows, weight, variance, eps, is_centered), rows.numel())


def _removed(rows: Tensor, weight: Tensor, variance: Tensor, eps: float, index: Tensor, is_centered: bool) -> Tensor:
    """Z with σ² J Jᵀ = Γ² - Z Zᵀ: Γ times the direction of ones and that of the input, (rows, n, 2 or 1)."""
    x, n = rows[index].double(), rows.shape[1]
    x = x - x.mean(1, keepdim=True) if is_centered else x
    unit = torch.nn.functional.normalize(x, dim=1)
    kept = (eps / (variance[index].double() + eps)).square()[:, None]  # squared factor along the input
    parts = [unit * (1 - kept).sqrt()]
    if is_centered:
        parts.append(torch.full_like(unit, n**-0.5))
    return torch.stack(parts, 2) * weight[index].double()[:, :, None]


def _weighted_gain(rows: Tensor, weight: Tensor, variance: Tensor, eps: float, is_centered: bool) -> Estimate:
    """Exact: σ² ‖J‖² = Σ w² (1 - 1/n - (1 - f²) u²) with u the unit input and f = eps / σ²."""
    x = rows - rows.mean(1, keepdim=True) if is_centered else rows
    n, squares = rows.shape[1], weight.square()
    share = x.square() / (n * variance).clamp_min(torch.finfo(rows.dtype).tiny)[:, None]
    kept = (eps / (variance + eps)).square()
    directions = 1 - 1 / n if is_centered else 1.0
    orthogonal = directions - share if n > 1 + is_centered else torch.zeros_like(share)  # 0 exactly: no rounding left
    left = orthogonal + kept[:, None] * share
    total = ((squares * left).sum(1) / (variance + eps)).double().sum().item()
    return Estimate.exact(math.sqrt(max(total, 0.0) / rows.numel()))


def _closed(
    variance: Tensor, gain: Tensor, n: int, eps: float, *, is_centered: bool, method: str = "exact"
) -> LayerSpectrum:
    """Equal gains within a group: n - 2 (not centered: n - 1) singular values gain / σ, one times eps / σ²."""
    columns = variance.numel() * n
    free = n - (2 if is_centered else 1)
    if free < 0:  # a single entry is its own mean
        return exact(0.0, 0.0, columns, method)
    scale = gain / (variance + eps).sqrt()
    kept = eps / (variance + eps)
    norm = (scale if free > 0 else scale * kept).max().item()
    total = (scale.square() * (free + kept.square())).double().sum().item()
    return exact(norm, math.sqrt(max(total, 0.0) / columns), columns, method)


def _constant_gain(variance: Tensor, weight: Any, eps: float, x: Tensor, method: str = "exact") -> LayerSpectrum:
    gain = torch.ones_like(variance) if weight is None else real(weight).abs().expand_as(variance)
    return _closed(variance, gain, x.numel() // variance.numel(), eps, is_centered=True, method=method)


def _rowwise(
    call: LayerCall, shape: int | Sequence[int], weight: Tensor | None, eps: float, sweep: Sweep, *, is_centered: bool
) -> LayerSpectrum | None:
    if not data(call):
        return SOURCE
    if not is_alone(call, argument(call, 0, "input")):
        return None
    n = shape if isinstance(shape, int) else math.prod(shape)
    weight = None if weight is None else real(weight).reshape(1, n)
    return normalized_rows(_input(call).reshape(-1, n), weight, eps, sweep, is_centered=is_centered)


def _option(call: LayerCall, index: int, name: str, default: Any = None) -> Any:
    return getattr(call.module, name) if call.module is not None else argument(call, index, name, default)


def _input(call: LayerCall) -> Tensor:
    return real(argument(call, 0, "input"))
