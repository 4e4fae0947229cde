"""Orthogonal initialization: every direction of the signal is kept alike, not only its mean square.

A random orthogonal matrix has all singular values equal, so that a product of many keeps the whole spectrum where
Gaussian matrices keep only its mean (dynamical isometry). The gain is that of the activation before the layer;
where a layer widens, the rows keep unit norm. A convolution gets the orthogonal matrix in the centre of its kernel
and zeros around it (delta-orthogonal), which preserves every pixel's norm. Biases become zero.

Helps very deep plain networks most. A delta-orthogonal convolution does not look at neighbours until it has been
trained, which can cost a short training more than isometry gains.

References:
    Saxe, McClelland, Ganguli 2014, arXiv 1312.6120; Pennington, Schoenholz, Ganguli 2017, arXiv 1711.04735;
    Xiao et al. 2018 (delta-orthogonal), arXiv 1806.05393, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradscope.prescribe._drawing import drawable, loops, why, without_bias
from gradscope.prescribe._remedy import SIGNAL_PROPAGATION, Case, Change, remedy
from gradscope.prescribe._text import program
from gradscope.prescribe._weights import WeightLayer


@remedy(resolves=SIGNAL_PROPAGATION, applicability="safe")
def orthogonal_initialization(case: Case) -> Iterator[Change]:
    """One change: linear layers orthogonal, convolutions delta-orthogonal."""
    layers = drawable(case)
    if layers:
        kinds = (
            ([x for x in layers if not x.is_convolution], _orthogonal),
            ([x for x in layers if x.is_convolution], _delta),
        )
        yield Change(
            program(*(loops(case, group, draw) for group, draw in kinds if group)),
            tuple(layer.name for layer in layers),
            f"Orthogonal weights, which keep every direction of the signal: {why(layers)}.",
        )


def _orthogonal(layers: Sequence[WeightLayer], gain: str) -> list[str]:
    return [
        f"torch.nn.init.orthogonal_(module.weight, gain={_widening(layers, gain)})",
        *without_bias(layers),
    ]


def _delta(layers: Sequence[WeightLayer], gain: str) -> list[str]:
    return [
        "torch.nn.init.zeros_(module.weight)",
        "center = (..., *(size // 2 for size in module.kernel_size))",
        f"torch.nn.init.orthogonal_(module.weight.data[center], gain={_widening(layers, gain)})",
        *without_bias(layers),
    ]


def _widening(layers: Sequence[WeightLayer], gain: str) -> str:
    """The gain, times sqrt(outputs / inputs) where a layer widens."""
    outputs, inputs = (1, 0) if layers[0].is_input_first else (0, 1)
    if all(layer.weight.shape[outputs] <= layer.weight.shape[inputs] for layer in layers):
        return gain
    return f"{gain} * max(1.0, module.weight.shape[{outputs}] / module.weight.shape[{inputs}]) ** 0.5"
