"""Zero residual branches: every branch starts as nothing, and the network as a shallow one that surely trains.

The last weight and bias of each residual branch become zero, so that every block starts as the identity. Depth is
switched on by training: the zero weights get a gradient in the first step, the weights before them from the second.

Helps residual networks without norms at any depth, and badly scaled transformers.

References:
    Zhang, Dauphin, Ma 2019, Fixup, arXiv 1901.09321, section 3; Bachlechner et al. 2021, ReZero, arXiv 2003.04887.
"""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.prescribe._remedy import EXPLOSION, Case, Change, remedy
from gradscope.prescribe._text import condition, program

ZEROING = """\
for name, module in model.named_modules():
    if {condition}:
        for parameter in module.parameters():
            torch.nn.init.zeros_(parameter)"""


@remedy(resolves=EXPLOSION, applicability="safe")
def zero_residual_branches(case: Case) -> Iterator[Change]:
    """One change: the last weight and bias of each branch."""
    lasts = tuple(dict.fromkeys(branch.last for branch in case.branches))
    if lasts:
        yield Change(
            program(ZEROING.format(condition=condition(case.model, lasts))),
            lasts,
            f"{len(lasts)} residual branches start at zero, so that the network starts as its skip connections.",
        )
