"""fan_in and fan_out: how many terms a layer's sum over its weight has, forward and backward."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

Fans = tuple[int | None, int | None]

_TRANSPOSED = ("Conv1D", "matmul", "mm", "bmm", "addmm")  # the weight is (in, out), as in x @ weight
_LOOKUPS = (nn.Embedding, nn.EmbeddingBag)


def fans(weights: Iterable[Tensor], user: nn.Module | str) -> Fans:
    """fan_in and fan_out (Glorot & Bengio 2010) of the largest weight with two dimensions or more.

    Args:
        weights: the parameters of a layer.
        user: the layer: a module, or the name of a function.
    """
    matrices = [w for w in weights if not is_lazy(w) and w.ndim > 1]
    if not matrices or isinstance(user, _LOOKUPS) or user in ("embedding", "embedding_bag"):
        return None, None
    weight = max(matrices, key=Tensor.numel)
    name = user if isinstance(user, str) else type(user).__name__
    first, second, *window = weight.shape
    terms = 1
    for size in window:
        terms *= size
    groups = getattr(user, "groups", 1)
    if "transpose" in name.lower() or name in _TRANSPOSED:
        return first * terms // groups, second * terms
    return second * terms, first * terms // groups
