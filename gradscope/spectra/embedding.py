"""Sources: layers whose output does not vary smoothly with a floating-point input, so they have no Jacobian."""

from __future__ import annotations

from gradscope.schema import LayerCall
from gradscope.spectra._rules import data, rule
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum
from gradscope.spectra._sweep import Sweep


@rule("Embedding", "EmbeddingBag", "embedding", "embedding_bag", "one_hot")
def lookup(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """A table look-up by index; a computed table and per-sample weights of a bag are data and go the generic way."""
    return None if data(call) else SOURCE


@rule(
    *("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "randint_like", "bernoulli"),
    *("new_zeros", "new_ones", "new_full", "new_empty", "new_tensor", "multinomial", "normal"),
    *("argmax", "argmin", "argsort", "eq", "ne", "lt", "le", "gt", "ge", "isnan", "isinf", "isfinite", "bucketize"),
    *("searchsorted", "item", "tolist", "size", "dim", "numel", "count_nonzero", "any", "all", "unique"),
)
def no_derivative(call: LayerCall, sweep: Sweep) -> LayerSpectrum:
    """New tensors, indices and comparisons."""
    return SOURCE
