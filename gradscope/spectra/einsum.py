"""Einstein sums: two operands without repeated labels are a batched matrix product, whatever the order of labels."""

from __future__ import annotations

import math

from torch import Tensor

from gradscope.schema import LayerCall
from gradscope.spectra._rules import data, is_constant, rule
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum
from gradscope.spectra._sweep import Sweep
from gradscope.spectra.matmul import product_spectrum


@rule("einsum")
def einsum(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """The product of A (batch, free of A, summed) and B (batch, summed, free of B); else the generic way."""
    if not data(call):
        return SOURCE
    equation, *operands = call.args
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = list(operands[0])
    if not isinstance(equation, str) or len(operands) != 2 or "." in equation or operands[0] is operands[1]:
        return None
    inputs, _, output = equation.replace(" ", "").partition("->")
    left, right = inputs.split(",")
    if "->" not in equation:
        output = "".join(sorted(label for label in left + right if (left + right).count(label) == 1))
    labels = {left, right, output}
    is_alone = any((c in left) + (c in right) + (c in output) < 2 for c in left + right)
    if is_alone or any(len(set(term)) < len(term) for term in labels):
        return None
    a, b = operands
    sizes, others = dict(zip(left, a.shape, strict=True)), dict(zip(right, b.shape, strict=True))
    if any(sizes[c] != others[c] for c in left if c in right):  # one that is 1 is repeated
        return None
    batch = [c for c in left if c in right and c in output]
    summed = [c for c in left if c in right and c not in output]
    rows, columns = [c for c in left if c not in right], [c for c in right if c not in left]
    return product_spectrum(
        _matrices(a, left, batch, rows, summed),
        _matrices(b, right, batch, summed, columns),
        not is_constant(call, a),
        not is_constant(call, b),
        sweep,
    )


def _matrices(operand: Tensor, labels: str, batch: list[str], rows: list[str], columns: list[str]) -> Tensor:
    """The operand as (batch, rows, columns)."""
    size = dict(zip(labels, operand.shape, strict=True))
    ordered = operand.permute([labels.index(c) for c in (*batch, *rows, *columns)])
    return ordered.reshape([math.prod(size[c] for c in group) for group in (batch, rows, columns)])
