"""Gradient clipping: a gradient longer than one is shortened to one, in its own direction.

It does not make a model any healthier: it keeps single steps from destroying it while training finds a flatter
region. With a threshold of one, what most training scripts use, it acts on nearly every step of a model whose
gradients explode and turns the learning rate into a step length.

Helps where the loss or the gradient starts orders of magnitude too large and the learning rate is not to blame; it
rarely rescues a learning rate that is too large.

References:
    Pascanu, Mikolov, Bengio 2013, arXiv 1211.5063, section 3.2; Zhang et al. 2020, arXiv 1905.11881.
"""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.prescribe._remedy import EXPLOSION, Case, Change, remedy
from gradscope.prescribe._text import program

CLIPPING = """\
def clip(optimizer, args, kwargs):
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)

optimizer.register_step_pre_hook(clip)  # or that line between loss.backward() and optimizer.step()"""


@remedy(resolves=EXPLOSION, applicability="safe")
def gradient_clipping(case: Case) -> Iterator[Change]:
    """One change, to the training loop."""
    yield Change(program(CLIPPING), (), "No step is longer than the learning rate times one, whatever the gradient is.")
