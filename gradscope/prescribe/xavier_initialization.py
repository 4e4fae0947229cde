"""Xavier initialization: a compromise between keeping activations and keeping gradients.

A weight has the variance 2 gain^2 / (fan_in + fan_out), the gain that of the activation before the layer. Where
all layers are equally wide it is He initialization; where widths change it gives up some of the activations' scale
for the gradients'. Biases become zero.

Helps like He initialization, and more where a network narrows or widens steeply.

References:
    Glorot, Bengio 2010, Understanding the difficulty of training deep feedforward neural networks, equation 16.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradscope.prescribe._drawing import drawable, loops, why, without_bias
from gradscope.prescribe._remedy import SIGNAL_PROPAGATION, Case, Change, remedy
from gradscope.prescribe._text import program
from gradscope.prescribe._weights import WeightLayer


@remedy(resolves=SIGNAL_PROPAGATION, applicability="safe")
def xavier_initialization(case: Case) -> Iterator[Change]:
    """One change, where some layer's fan_in and fan_out differ: elsewhere it is He initialization."""
    layers = drawable(case)
    if any(layer.node.fan_in != layer.node.fan_out for layer in layers):
        yield Change(
            program(loops(case, layers, _draw)),
            tuple(layer.name for layer in layers),
            f"Normal weights between what keeps activations and what keeps gradients: {why(layers)}.",
        )


def _draw(layers: Sequence[WeightLayer], gain: str) -> list[str]:
    return [f"torch.nn.init.xavier_normal_(module.weight, gain={gain})", *without_bias(layers)]
