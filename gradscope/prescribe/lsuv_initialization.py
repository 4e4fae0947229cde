"""LSUV initialization: orthogonal weights, each layer rescaled until its real output has unit variance.

It needs no formula for what happens between the layers: one forward pass on a batch of your data measures the
standard deviation of every layer's output and divides weight and output by it, in the order in which layers run.
Biases become zero.

Helps where theory does not reach: unusual activations, pooling, joins, inputs with a scale of their own. The result
depends on the batch, so use a typical one.

References:
    Mishkin, Matas 2016, All you need is a good init, arXiv 1511.06422, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.prescribe._drawing import drawable, loop, without_bias
from gradscope.prescribe._remedy import SIGNAL_PROPAGATION, Case, Change, remedy
from gradscope.prescribe._text import program

UNIT_VARIANCE = """\
def unit_variance(module, args, output):
    scale = output.std().clamp_min(1e-8)
    module.weight.data /= scale
    return output / scale
"""

PASS = """\
with torch.no_grad():
    {call}  # a batch of your training inputs
for hook in hooks:
    hook.remove()"""


@remedy(resolves=SIGNAL_PROPAGATION, applicability="safe")
def lsuv_initialization(case: Case) -> Iterator[Change]:
    """One change: all weights that no norm follows, measured on `inputs`."""
    layers = drawable(case)
    if layers:
        lines = [
            "torch.nn.init.orthogonal_(module.weight)",
            *without_bias(layers),
            "hooks.append(module.register_forward_hook(unit_variance))",
        ]
        yield Change(
            program(UNIT_VARIANCE, "hooks = []", loop(case, layers, lines), PASS.format(call=case.call)),
            tuple(layer.name for layer in layers),
            "Orthogonal weights, rescaled on real data until every layer's output has unit variance.",
        )
