"""He initialization: normal weights with the gain of the activation that is really there.

Keeps the second moment from layer to layer at initialization: a weight has the standard deviation
gain / sqrt(fan_in) with gain = 1 / sqrt(E[phi(z)^2]), z ~ N(0, 1), computed by quadrature of the activation phi that
is found in the graph between the layer and the one before it (sqrt(2) for a ReLU, 1.59 for tanh). The first layer,
and layers that feed the output, a softmax or a product, get gain 1; layers that feed a norm are left alone, for their
scale is divided out again. Biases become zero.

Helps where signals or gradients shrink or grow from layer to layer. Can hurt where the scale of the inputs is the
trouble, and does nothing for activations that lose the gradient at every scale, such as the sigmoid.

References:
    He, Zhang, Ren, Sun 2015, Delving Deep into Rectifiers, arXiv 1502.01852, section 2.2;
    the first layer gets gain 1 there, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradscope.prescribe._drawing import drawable, loops, why, without_bias
from gradscope.prescribe._remedy import SIGNAL_PROPAGATION, Case, Change, remedy
from gradscope.prescribe._text import program
from gradscope.prescribe._weights import WeightLayer


@remedy(resolves=SIGNAL_PROPAGATION, applicability="safe")
def he_initialization(case: Case) -> Iterator[Change]:
    """One change: all weights that no norm follows."""
    layers = drawable(case)
    if layers:
        yield Change(
            program(loops(case, layers, _draw)),
            tuple(layer.name for layer in layers),
            f"Normal weights that keep the second moment of the activations: {why(layers)}.",
        )


def _draw(layers: Sequence[WeightLayer], gain: str) -> list[str]:
    return [
        f"torch.nn.init.normal_(module.weight, std={gain} / {layers[0].fan_in} ** 0.5)",
        *without_bias(layers),
    ]
