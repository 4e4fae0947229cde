"""How a normalization is put behind layers: the layer becomes a pair of itself and a norm."""

from __future__ import annotations

from collections.abc import Sequence

from gradscope.prescribe._remedy import Case
from gradscope.prescribe._text import condition
from gradscope.prescribe._weights import WeightLayer

INSERTION = """\
for name, module in list(model.named_modules()):
    if {condition}:
        parent, _, child = name.rpartition(".")
        pair = torch.nn.Sequential(module, torch.nn.{norm})
        setattr(model.get_submodule(parent), child, pair)"""


def unnormalized(case: Case) -> tuple[WeightLayer, ...]:
    """Linear layers and convolutions that an activation follows and no norm."""
    layers = (layer for layer in case.weights if layer.is_linear or layer.is_convolution)
    return tuple(layer for layer in layers if layer.follower.kind == "activation" and layer.name)


def insertion(case: Case, layers: Sequence[WeightLayer], norm: str) -> str:
    """Text that puts `norm`, an expression on `module`, behind each of the layers."""
    return INSERTION.format(condition=condition(case.model, [layer.name for layer in layers]), norm=norm)
