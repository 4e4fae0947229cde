"""What every parameter is for, read off the graph: its role, its fan, and what follows the layer that uses it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from gradscope.measure._gain import forward_gain
from gradscope.schema import LayerGraph, LayerNode, ParameterRole, Use

_SUMS = {"linear", "bilinear", "matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "multi_head_attention_forward"} | {
    f"conv{transposed}{n}d" for n in (1, 2, 3) for transposed in ("", "_transpose")
}
_IN_OUT = ("matmul", "mm", "bmm", "addmm", "baddbmm", "Conv1D")  # x @ weight: units are columns
_LOOKUPS = ("embedding", "embedding_bag", "Embedding", "EmbeddingBag")
_PASSING = ("identity", "dropout", "droppath", "drop_path", "cat", "to", "clone", "contiguous", "getitem", "expand")
_POOLING = ("pool", "upsample", "interpolate")
_SCALING = ("mul", "div", "imul", "__imul__", "mul_", "div_", "layerscale")
_MERGES = ("add", "sub", "Add", "add_", "iadd", "__iadd__")
_ROUTES = ("topk", "argmax", "histc", "bincount", "one_hot", "scatter", "scatter_")
_HOPS = 12  # layers to look ahead: what follows lies right behind


def uses(graph: LayerGraph, model: nn.Module, silent: Collection[int]) -> dict[str, Use]:
    """Name of a parameter -> its use, for those that some layer uses.

    Args:
        graph: of a run.
        model: that ran.
        silent: indices of the layers whose output was exactly zero.
    """
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters())
    vocabularies = {
        parameters[name].shape[0] for node in graph.nodes if node.op in _LOOKUPS for name in node.parameters
    }
    found: dict[str, Use] = {}
    for node in graph.nodes:
        module = modules.get(node.path) if node.kind == "module" else None
        for name in node.parameters:
            role = _role(graph, node, module, name, parameters, vocabularies)
            is_tied = name in found and {role, found[name].role} == {"unembedding", "embedding"}
            if name not in found or is_tied:
                follower = _follower(graph, node)
                fan_in, fan_out = _fans(node, module, parameters[name]) if role in SUMMING else (None, None)
                found[name] = Use(
                    role="tied" if is_tied else role,
                    layer=node.name,
                    fan_in=fan_in,
                    fan_out=fan_out,
                    follower=follower,
                    gain=None if role == "norm" else forward_gain(follower),
                    is_fed_zero=bool(node.inputs) and all(i in silent for i in node.inputs),
                )
    return found


def _fans(node: LayerNode, module: nn.Module | None, weight: Tensor) -> tuple[int | None, int | None]:
    """Of one weight of a layer that may have several; None of stacks of matrices, whose layout is not known."""
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return weight.shape[-1], weight.shape[0]
    return (node.fan_in, node.fan_out) if weight.ndim == 2 or "conv" in node.op.lower() else (None, None)


SUMMING = ("matrix", "residual", "head", "unembedding", "tied", "router", "recurrent")


def unit_dimension(use: Use | None, weight: Tensor, owner: nn.Module | None) -> int | None:
    """The dimension of a weight whose slices are its units; None where it has none.

    Weights of three dimensions and more that are no filters hold several matrices: their layout is not known.
    """
    if use is None or weight.ndim < 2 or (use.role not in SUMMING and use.role != "embedding"):
        return None
    if isinstance(owner, _ConvNd):
        return 1 if isinstance(owner, _ConvTransposeNd) and owner.groups == 1 else 0
    if weight.ndim > 2:
        return None
    is_in_out = type(owner).__name__ in _IN_OUT or use.layer.rpartition(".")[2].rpartition("_")[0] in _IN_OUT
    return 1 if is_in_out else 0


def _role(
    graph: LayerGraph,
    node: LayerNode,
    module: nn.Module | None,
    name: str,
    parameters: Mapping[str, Tensor],
    vocabularies: Collection[int],
) -> ParameterRole:
    last, parameter = name.rpartition(".")[2], parameters[name]
    if node.op in _LOOKUPS:
        return "embedding"
    if _is_normalization(node, module):
        return "bias" if "bias" in last or last == "beta" else "norm"
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return "bias" if "bias" in last else "recurrent" if "weight_hh" in last else "matrix"
    if not is_sum(node, module):
        return "bias" if "bias" in last and parameter.ndim == 1 else "other"
    if parameter.ndim < 2:
        return "bias" if "bias" in last else "other"
    if isinstance(module, nn.MultiheadAttention):
        return "residual" if "out_proj" in name and _ends_branch(graph, node) else "matrix"
    if parameter.numel() < max(parameters[other].numel() for other in node.parameters):
        return "other"  # the lengths of a weight that is kept as lengths and directions
    if _is_router(graph, node, module):
        return "router"
    if _ends_branch(graph, node):
        return "residual"
    if _follower(graph, node) == "output":
        return "unembedding" if node.shape and node.shape[-1] in vocabularies else "head"
    return "matrix"


def is_sum(node: LayerNode, module: nn.Module | None) -> bool:
    """Whether a layer's outputs are sums over its weight times its inputs; of a user's own leaf its name tells."""
    if module is None:
        return node.op in _SUMS
    if isinstance(module, nn.Linear | nn.Bilinear | _ConvNd | nn.MultiheadAttention):
        return True
    return any(word in node.op.lower() for word in ("linear", "conv", "dense", "router"))


def _is_normalization(node: LayerNode, module: nn.Module | None) -> bool:
    op = node.op.lower()
    return isinstance(module, _NormBase) or ("norm" in op and "weight_norm" not in op and "spectral" not in op)


def _is_router(graph: LayerGraph, node: LayerNode, module: nn.Module | None) -> bool:
    """Whether what a layer computes chooses among experts."""
    if module is not None and "router" in node.op.lower():
        return True
    is_choice = node.op in ("Linear", "linear") and len(node.shape) > 1
    return is_choice and any(behind.op in _ROUTES for behind in _behind(graph, node, _is_choosing))


def _is_choosing(node: LayerNode) -> bool:
    return node.op.lower() in ("softmax", "sigmoid", "topk") or _is_passing(node)


def _ends_branch(graph: LayerGraph, node: LayerNode) -> bool:
    """Whether nothing but scaling lies between a layer and the add that ends its residual branch."""
    exits = {b.exit for b in graph.blocks if b.kind == "residual" and node.index in b.nodes}
    return any(
        n.index in exits and n.op in _MERGES for n in _behind(graph, node, lambda n: _is_passing(n) or _is_scaling(n))
    )


def _follower(graph: LayerGraph, node: LayerNode) -> str:
    """The first thing behind a layer that is more than a rearrangement, in lower case; "output" if there is none."""
    for behind in _behind(graph, node, _is_passing):
        if not _is_passing(behind):
            return "norm" if _is_normalization(behind, None) else behind.op.lower()
    return "output"


def _is_passing(node: LayerNode) -> bool:
    op = node.op.lower()
    is_bias_add = node.op in _MERGES and len(node.inputs) == 1
    return is_bias_add or op in _PASSING or "dropout" in op or any(word in op for word in _POOLING)


def _is_scaling(node: LayerNode) -> bool:
    return node.op.lower() in _SCALING and len(node.inputs) == 1


def _behind(graph: LayerGraph, node: LayerNode, is_passed: Callable[[LayerNode], bool]) -> Iterator[LayerNode]:
    """The layers that follow, nearest first, looking through those that `is_passed` accepts."""
    seen, queue = {node.index}, sorted(graph.digraph.successors(node.index))
    for _ in range(_HOPS):
        if not queue:
            return
        index = queue.pop(0)
        if index in seen:
            continue
        seen.add(index)
        yield graph.nodes[index]
        if is_passed(graph.nodes[index]):
            queue += sorted(graph.digraph.successors(index))
