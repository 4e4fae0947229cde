"""One convolution of ResNet-50 by what is published for convolutions: other objects, and bounds from above."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gradscope.schema import Estimate, LayerCall
from gradscope.spectra import Sweep, layer_spectrum
from tests.benchmarks._spectra_models import build
from tests.benchmarks._spectra_peers import gram_iteration_bound, reshaped_norm
from tests.benchmarks._spectra_reference import reference_norm

_SIZE = 56


def circular_norm(weight: Tensor, size: int) -> float:
    """The norm with circular padding: the largest over all frequencies (Sedghi, Gupta and Long, ICLR 2019)."""
    transform = torch.fft.rfft2(weight, (size, size)).permute(2, 3, 0, 1)
    return torch.linalg.matrix_norm(transform, 2).max().item()


def lines() -> list[str]:
    """The section of the report."""
    module = next(
        m for m in build("resnet50").model.modules() if isinstance(m, nn.Conv2d) and m.weight.shape == (64, 64, 3, 3)
    )
    weight, image = module.weight.detach(), torch.zeros(1, 64, _SIZE, _SIZE)
    with torch.no_grad():
        call = LayerCall("Conv2d", module, module, (image,), {}, module(image))
    truth = reference_norm(call)
    assert truth is not None

    def solve(**options: float | bool) -> Estimate:
        norm = layer_spectrum(call, Sweep(probability=1e-2, **options)).spectral_norm  # type: ignore[arg-type]
        assert norm is not None
        return norm

    methods: list[tuple[str, Callable[[], float]]] = [
        ("value to 1 %", lambda: solve(tolerance=1e-2).value),
        ("value to 0.1 %", lambda: solve(tolerance=1e-3).value),
        ("upper bound, certified 1 %", lambda: solve(tolerance=1e-2, is_certified=True).high),
        ("circular padding by FFT (another operator)", lambda: circular_norm(weight, _SIZE)),
        ("torch.nn.utils.parametrizations.spectral_norm (norm of the reshaped kernel)", lambda: reshaped_norm(weight)),
        *(
            (f"Gram iteration, upper bound, {n} iterations", lambda n=n: gram_iteration_bound(weight, n))
            for n in (1, 2, 3)
        ),
    ]
    rows = []
    for title, method in methods:
        method()
        start = time.thread_time()
        value = method()
        rows.append(f"| {title} | {time.thread_time() - start:.3f} | {value:.4f} | {value / truth - 1:+.2%} |")
        print(rows[-1], flush=True)
    return [
        "## One convolution by what is published for convolutions",
        "",
        f"64 x 64 x 3 x 3 on {_SIZE} x {_SIZE} with zero padding; float64 value {truth:.4f}. Gram iteration is the bound of "
        "lip4conv (Delattre, Barthélemy and Allauzen, arXiv:2402.00240), written after the paper.",
        "",
        "| method | CPU seconds | value | error |",
        "|---|---|---|---|",
        *rows,
    ]
