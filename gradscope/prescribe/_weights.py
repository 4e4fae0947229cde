"""Which layers have a weight that can be drawn anew, and what stands around each of them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torch.nn.utils import parametrize

from gradscope.prescribe._neighbor import Neighbor, before, behind
from gradscope.schema import LayerGraph, LayerNode

LINEAR = (nn.Linear,)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, slots=True)
class WeightLayer:
    """A linear layer or convolution that runs once a forward pass and owns its weight.

    Attributes:
        node: where it runs.
        module: the layer itself.
        source: what its input last went through.
        follower: what its output meets first.
    """

    node: LayerNode
    module: nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
    source: Neighbor
    follower: Neighbor

    @property
    def name(self) -> str:
        return self.node.path

    @property
    def is_convolution(self) -> bool:
        return isinstance(self.module, CONVOLUTIONS)

    @property
    def gain(self) -> float:
        """How much larger than 1 / sqrt(fan_in) its weights are to be drawn.

        A weight makes up for the activation that its input went through, which is also the one whose slope its
        gradient is multiplied with. Where nothing but the output, a softmax or a product follows, it is 1.
        """
        is_last = self.follower.kind in ("end", "attention", "product")
        return self.source.scaling.gain if self.source.scaling and not is_last else 1.0


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
            source, follower = before(graph, model, node.index), behind(graph, model, node.index)
            found.append(WeightLayer(node, module, source, follower))
    return tuple(found)
