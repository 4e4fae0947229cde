"""Sources: layers whose output does not vary smoothly with a floating-point input, so they have no Jacobian."""

from __future__ import annotations

from gradscope.schema import LayerCall
from gradscope.spectra._rules import rule
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum
from gradscope.spectra._sweep import Sweep


@rule("Embedding", "EmbeddingBag", "embedding", "embedding_bag", "one_hot")
def lookup(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """A table look-up by index; per-sample weights of a bag are data and go the generic way."""
    weights = call.kwargs.get("per_sample_weights")
    return SOURCE if weights is None else None


@rule(
    *("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "randint_like", "bernoulli"),
    *("new_zeros", "new_ones", "new_full", "new_empty", "new_tensor", "multinomial", "normal"),
    *("argmax", "argmin", "argsort", "eq", "ne", "lt", "le", "gt", "ge", "isnan", "isinf", "isfinite", "bucketize"),
    *("searchsorted", "item", "tolist", "size", "dim", "numel", "count_nonzero", "any", "all", "unique"),
)
def no_derivative(call: LayerCall, sweep: Sweep) -> LayerSpectrum:
    """New tensors, indices and comparisons."""
    return SOURCE
