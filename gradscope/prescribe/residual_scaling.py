"""Residual scaling: each of L branches starts 1 / sqrt(L) as loud, so that their sum keeps its scale.

A residual stream adds the branches' variances. With unit branches it doubles at every block where each branch sees
the whole stream; with the last weight of every branch multiplied by 1 / sqrt(L) the whole network grows it by no
more than e. Nothing but the initial weights changes.

Helps residual networks without norms whose activations, loss or gradients explode.

References:
    Hayou et al. 2021, Stable ResNet, arXiv 2010.12859; Radford et al. 2019 (GPT-2), section 2.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.prescribe._remedy import EXPLOSION, Case, Change, remedy
from gradscope.prescribe._text import condition, program

SCALING = """\
for name, module in model.named_modules():
    if {condition}:
        for parameter in module.parameters():
            parameter.data *= {scale}"""


@remedy(resolves=EXPLOSION, applicability="safe")
def residual_scaling(case: Case) -> Iterator[Change]:
    """One change, where there are at least two branches: the last weight and bias of each."""
    lasts = tuple(dict.fromkeys(branch.last for branch in case.branches))
    if len(lasts) > 1:
        scale = f"{len(lasts) ** -0.5:.4g}"
        yield Change(
            program(SCALING.format(condition=condition(case.model, lasts), scale=scale)),
            lasts,
            f"{len(lasts)} residual branches add up; each starts at 1 / sqrt({len(lasts)}) of its size.",
        )
