"""One assertion for every rule: spectral norm and rms gain equal those of the dense float64 Jacobian."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gradscope.schema import Estimate
from gradscope.spectra import LayerSpectrum, Sweep, layer_spectrum
from tests.reference import DenseSpectrum, call_of, dense_spectrum

TOLERANCE = 1e-3  # of every rule against the dense twin
FLOAT32 = 2e-5  # relative rounding of a float32 Jacobian's singular values


def sweep_of(tolerance: float = TOLERANCE, **options: Any) -> Sweep:
    return Sweep(tolerance=tolerance, probability=1e-3, **options)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def drawn(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module with all parameters drawn afresh, so that no gain is 1 and no bias 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5 + 0.2)
    return module


def twin_of(layer: Any, *args: Any, **kwargs: Any) -> DenseSpectrum:
    """The dense spectrum in all distinct floating-point arguments that are not parameters."""
    leaves, inputs = [*args, *kwargs.values()], []
    for leaf in leaves:
        for tensor in leaf if isinstance(leaf, tuple | list) else (leaf,):
            if isinstance(tensor, Tensor) and tensor.is_floating_point() and not isinstance(tensor, nn.Parameter):
                inputs += [tensor] if not any(tensor is other for other in inputs) else []
    function = copy.deepcopy(layer).double() if isinstance(layer, nn.Module) else layer

    def run(*values: Tensor) -> Any:
        def swap(tree: Any) -> Any:
            if isinstance(tree, nn.Parameter):
                return tree.detach().double()
            if isinstance(tree, Tensor):
                return next((v for v, t in zip(values, inputs, strict=True) if t is tree), tree)
            return type(tree)(swap(item) for item in tree) if isinstance(tree, tuple | list) else tree

        return function(*(swap(a) for a in args), **{k: swap(a) for k, a in kwargs.items()})

    return dense_spectrum(run, *inputs)


def assert_dense(
    layer: nn.Module | Callable[..., Any], *args: Any, twin: DenseSpectrum | None = None, **kwargs: Any
) -> LayerSpectrum:
    """Compare a layer's spectrum with the dense twin and return it."""
    twin = twin or twin_of(layer, *args, **kwargs)
    result = layer_spectrum(call_of(layer, *args, **kwargs), sweep_of())
    assert result.gap is None, result.gap
    assert result.spectral_norm is not None and result.rms_gain is not None
    assert_estimate(result.spectral_norm, twin.spectral_norm)
    assert_interval(result.rms_gain, twin.rms_gain)
    if result.rms_gain.low == result.rms_gain.high:
        assert_estimate(result.rms_gain, twin.rms_gain)
    return result


def assert_estimate(estimate: Estimate, truth: float) -> None:
    """Status ok, value within the tolerance, truth in the interval."""
    assert estimate.status == "ok", estimate
    assert abs(estimate.value - truth) <= TOLERANCE * truth + 1e-9, f"{estimate} ({estimate.method}), dense {truth:.7g}"
    assert_interval(estimate, truth)


def assert_interval(estimate: Estimate, truth: float) -> None:
    slack = FLOAT32 * truth + 1e-9
    assert estimate.low - slack <= truth <= estimate.high + slack, f"{estimate} ({estimate.method}), dense {truth:.7g}"
