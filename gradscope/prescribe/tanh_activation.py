"""Tanh activation in place of one that loses the gradient at every scale, such as the sigmoid.

With weights that keep the activations, a sigmoid multiplies the mean squared gradient by 0.15 a layer, a softplus by
0.32; no initialization can help. Tanh is the same curve, centred and steeper, and keeps both with weights of gain
1.59. The weights behind it are drawn for it. The activation before the output is left alone.

Helps deep networks of sigmoids that shall not get normalization. It changes the function that the model computes.

References:
    LeCun, Bottou, Orr, Müller 1998, Efficient BackProp, section 4.4; Glorot, Bengio 2010, section 3.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from gradscope.prescribe._gain import scaling
from gradscope.prescribe._remedy import SIGNAL_PROPAGATION, Case, Change, remedy
from gradscope.prescribe._text import condition, program

LOSSY = 0.5
"""Chi below which an activation loses the gradient within a few layers."""

REPLACEMENT = """\
for name, module in list(model.named_modules()):
    if {activations}:
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, torch.nn.Tanh())
    if {weights}:
        torch.nn.init.normal_(module.weight, std={gain:.4g} / {fan_in} ** 0.5)"""


@remedy(resolves=SIGNAL_PROPAGATION, applicability="unsafe")
def tanh_activation(case: Case) -> Iterator[Change]:
    """One change: all modules between two layers that lose the gradient."""
    layers = [layer for layer in case.weights if (found := layer.source.scaling) and found.chi < LOSSY]
    activations = tuple(dict.fromkeys(layer.source.module for layer in layers if layer.source.module))
    behind = [layer for layer in layers if layer.source.module and layer.fan_in == layers[0].fan_in]
    if activations:
        text = REPLACEMENT.format(
            activations=condition(case.model, activations),
            weights=condition(case.model, [layer.name for layer in behind]),
            gain=scaling(torch.tanh).gain,
            fan_in=layers[0].fan_in,
        )
        yield Change(
            program(text),
            (*activations, *(layer.name for layer in behind)),
            f"{layers[0].source.op} loses most of the gradient at every scale of the weights; tanh does not.",
        )
