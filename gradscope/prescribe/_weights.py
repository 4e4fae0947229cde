"""Which layers have a weight that can be drawn anew, and what stands around each of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gradscope.prescribe._neighbor import Neighbor, before, behind
from gradscope.schema import LayerGraph, LayerNode

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True, slots=True)
class WeightLayer:
    """A layer that multiplies by a weight of its own, and runs under one name.

    Attributes:
        node: where it runs.
        module: the layer itself; its weight is (out, in, ...) or, where `is_input_first`, (in, out, ...).
        source: what its input last went through.
        follower: what its output meets first.
    """

    node: LayerNode
    module: nn.Module
    source: Neighbor
    follower: Neighbor

    @property
    def name(self) -> str:
        return self.node.path

    @property
    def weight(self) -> Tensor:
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        return weight

    @property
    def is_linear(self) -> bool:
        return isinstance(self.module, nn.Linear)

    @property
    def is_convolution(self) -> bool:
        return isinstance(self.module, CONVOLUTIONS)

    @property
    def is_input_first(self) -> bool:
        """Whether the first dimension of the weight counts inputs, as in transposed convolutions."""
        return self.node.fan_in != self.weight[0].numel()

    @property
    def fan_in(self) -> str:
        """Python text that computes fan_in from `module`."""
        return f"module.weight[{':, 0' if self.is_input_first else '0'}].numel()"

    @property
    def gain(self) -> float:
        """How much larger than 1 / sqrt(fan_in) its weights are to be drawn.

        A weight makes up for the activation that its input went through, which is also the one whose slope its
        gradient is multiplied with. Where nothing but the output, a softmax or a product follows, it is 1.
        """
        is_last = self.follower.kind in ("end", "attention", "product")
        return self.source.scaling.gain if self.source.scaling and not is_last else 1.0


def weight_layers(graph: LayerGraph, model: nn.Module) -> tuple[WeightLayer, ...]:
    """Linear layers, convolutions and what multiplies by a matrix alike, in execution order.

    Their weight belongs to them alone: it is not shared, tied to an embedding or computed by a parametrization.
    """
    users: dict[str, set[str]] = {}
    for node in graph.nodes:
        for name in node.parameters:
            users.setdefault(name, set()).add(node.name)
    found = []
    for node in graph.nodes:
        if node.kind != "module" or node.call > 0 or users.get(f"{node.path}.weight") != {node.name}:
            continue
        module = model.get_submodule(node.path)
        if _is_multiplying(module, node) and not parametrize.is_parametrized(module):
            source, follower = before(graph, model, node.index), behind(graph, model, node.index)
            found.append(WeightLayer(node, module, source, follower))
    return tuple(found)


def _is_multiplying(module: nn.Module, node: LayerNode) -> bool:
    """Whether the layer sums `fan_in` inputs times a weight, whose layout is known."""
    weight = module.weight
    if not isinstance(weight, Tensor) or node.fan_in is None:
        return False
    if node.fan_in not in (weight[0].numel(), weight[:, 0].numel()):
        return False
    is_known = isinstance(module, (nn.Linear, *CONVOLUTIONS, *TRANSPOSED))
    return is_known or (weight.dim() == 2 and _is_affine(module, weight, node.fan_in))


def _is_affine(module: nn.Module, weight: Tensor, fan_in: int) -> bool:
    """Whether somebody's own module is an affine map of vectors of this size, told by what it returns."""
    layer = copy.deepcopy(module).double().eval()
    x = torch.linspace(-1, 1, 2 * fan_in, dtype=torch.float64, device=weight.device).view(2, fan_in)
    try:
        zero, once, twice = (layer(factor * x) for factor in (0.0, 1.0, 2.0))
        return torch.allclose(twice - zero, 2 * (once - zero))
    except Exception:  # the user's own code, given what it may not have been written for: not understood
        return False
