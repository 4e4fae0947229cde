"""Which layers have a weight that can be drawn anew, and what follows each of them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torch.nn.utils import parametrize

from gradscope.prescribe._follower import Follower, follower
from gradscope.schema import LayerGraph, LayerNode

LINEAR = (nn.Linear,)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, slots=True)
class WeightLayer:
    """A linear layer or convolution that runs once a forward pass and owns its weight.

    Attributes:
        node: where it runs.
        module: the layer itself.
        follower: what its output meets first.
    """

    node: LayerNode
    module: nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
    follower: Follower

    @property
    def name(self) -> str:
        return self.node.path

    @property
    def is_convolution(self) -> bool:
        return isinstance(self.module, CONVOLUTIONS)

    @property
    def gain(self) -> float:
        """How much larger than 1 / sqrt(fan_in) its weights keep the scale; 1 where no activation follows."""
        return self.follower.scaling.gain if self.follower.scaling else 1.0


def weight_layers(graph: LayerGraph, model: nn.Module) -> tuple[WeightLayer, ...]:
    """The layers whose weight belongs to them alone: not shared, tied to an embedding or parametrized."""
    users: dict[str, set[str]] = {}
    for node in graph.nodes:
        for name in node.parameters:
            users.setdefault(name, set()).add(node.name)
    found = []
    for node in graph.nodes:
        if node.kind != "module" or node.call > 0 or users.get(f"{node.path}.weight") != {node.name}:
            continue
        module = model.get_submodule(node.path)
        if isinstance(module, (*LINEAR, *CONVOLUTIONS)) and not parametrize.is_parametrized(module):
            found.append(WeightLayer(node, module, follower(graph, model, node.index)))
    return tuple(found)
