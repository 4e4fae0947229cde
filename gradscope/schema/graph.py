"""The layers of one real run, and how data flows between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import networkx as nx
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class LayerNode:
    """One call of one layer: a leaf module or a functional op, in execution order.

    Attributes:
        index: position in execution order.
        name: module path as `named_modules()` has it; a functional op has the path of the module that
            called it plus its function name and a 1-based index ("layer1.0.add_1").
        kind: "module", "function" or "input".
        op: class name of a module ("Conv2d") or function name ("add", "softmax", "getitem").
        path: path of the module, or of the module that called the function.
        call: how many times a layer of this name had run before (shared modules).
        inputs: indices of the nodes whose outputs it consumes.
        shape: shape of its first floating-point output, or of its first output.
        dtype: dtype of that output, e.g. "float32".
        parameters: names of the parameters it uses, as `named_parameters()` has them.
        fan_in: inputs that are summed into one output unit; None without a weight.
        fan_out: outputs that one input unit feeds; None without a weight.
        source: "file:line" of the user's code that ran it.
        block: name of the innermost block around it, or None.
    """

    index: int
    name: str
    kind: Literal["module", "function", "input"]
    op: str
    path: str
    call: int
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: str
    parameters: tuple[str, ...] = ()
    fan_in: int | None = None
    fan_out: int | None = None
    source: str | None = None
    block: str | None = None


@dataclass(frozen=True, slots=True)
class LayerCall:
    """One executed layer with its live tensors: what a spectral rule or a quantity looks at.

    `args` and `kwargs` are as they were before the call, also for in-place layers; no tensor in them may
    be modified. Calling `function(*args, **kwargs)` again computes the same output. `constants` are the tensors
    among the arguments that carry no signal: they do not depend on the model's inputs, or gradients flow through the
    call but not through them; None where that is not known.
    """

    op: str
    module: nn.Module | None
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: Any
    constants: tuple[Tensor, ...] | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A region between a node and its post-dominator, such as a residual branch with its add.

    `entry` is the index of the node whose output enters the block, `exit` of the node that ends it,
    `nodes` the indices in between, `exit` included, `entry` not.
    """

    name: str
    kind: Literal["residual", "branch"]
    entry: int
    exit: int
    nodes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """What could not be analysed, and why."""

    layer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Run:
    """What is left of a run while its autograd graph lives: enough to go backward through it.

    Attributes:
        output: what the model returned.
        inputs: the floating-point input tensors, leaves that require grad.
        edges: layer index -> autograd edge of its main output (only where they were asked for).
    """

    output: Any
    inputs: tuple[Tensor, ...]
    edges: Mapping[int, Any]


@dataclass(frozen=True, slots=True)
class LayerGraph:
    """The layers of one real run in execution order, how data flows between them, and what was missed."""

    nodes: tuple[LayerNode, ...]
    digraph: nx.DiGraph  # node = index in `nodes`
    blocks: tuple[Block, ...]
    outputs: tuple[int, ...]  # nodes that produced the model's outputs, in the order in which it returns them
    fx: torch.fx.Graph  # one node a torch call
    constants: Mapping[str, Any]  # tensors behind those `get_attr` nodes of `fx` that are no parameters or buffers
    gaps: tuple[Gap, ...] = ()

    @property
    def ends(self) -> tuple[int, ...]:
        """The outputs that no layer goes on to read, as one reads a cache; all of them where every one is read."""
        return tuple(i for i in self.outputs if not self.digraph.out_degree(i)) or self.outputs

    how: str = "runtime tape"
