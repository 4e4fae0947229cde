"""Zero output layer: the model starts by predicting nothing, with the loss that knowing nothing costs.

The weight and bias of the last layer become zero. The first loss is then exactly that of an uninformed model, the
last layer learns in the first step, and all others from the second step on.

Helps where only the scale of the output is wrong: the first steps of training are no longer spent on shrinking it.

References:
    Zhang, Dauphin, Ma 2019, Fixup, arXiv 1901.09321; Yang et al. 2022, arXiv 2203.03466, appendix D.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.prescribe._drawing import loop, without_bias
from gradscope.prescribe._remedy import Case, Change, remedy
from gradscope.prescribe._text import names, program


@remedy(resolves=("GS501",), applicability="safe")
def zero_output_layer(case: Case) -> Iterator[Change]:
    """One change: every layer that nothing but the output follows."""
    layers = [layer for layer in case.weights if layer.follower.kind == "end"]
    if layers:
        lines = ["torch.nn.init.zeros_(module.weight)", *without_bias(layers)]
        touched = tuple(layer.name for layer in layers)
        yield Change(
            program(loop(case, layers, lines)), touched, f"{names(touched)} starts at zero, the loss where it should."
        )
