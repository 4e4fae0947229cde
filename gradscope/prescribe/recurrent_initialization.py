"""Recurrent initialization: hidden-to-hidden weights that neither grow nor shrink what they carry through time.

A recurrent layer multiplies by the same matrix at every step, so that any singular value but one is raised to the
length of the sequence. The hidden-to-hidden matrices (each gate's of an LSTM or GRU) become orthogonal, the
input-to-hidden ones Xavier, the biases zero, and the forget gate of an LSTM starts open with a bias of one.

Helps recurrent networks whose gradients vanish or explode over long sequences. A plain RNN cell with tanh still
forgets within tens of steps.

References:
    Saxe et al. 2014, arXiv 1312.6120; Le, Jaitly, Hinton 2015, arXiv 1504.00941; Jozefowicz et al. 2015 (forget bias).
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from gradscope.prescribe._remedy import SIGNAL_PROPAGATION, Case, Change, remedy
from gradscope.prescribe._text import condition, names, program

DRAWING = """\
for name, module in model.named_modules():
    if {condition}:
        for key, parameter in module.named_parameters():
            if key.startswith("weight_hh"):
                for gate in parameter.data.split(module.hidden_size):
                    torch.nn.init.orthogonal_(gate)
            elif key.startswith("weight"):
                torch.nn.init.xavier_uniform_(parameter)
            else:
                torch.nn.init.zeros_(parameter)"""

FORGET = """\
            if key.startswith("bias_ih") and isinstance(module, torch.nn.LSTM):
                parameter.data[module.hidden_size : 2 * module.hidden_size] = 1.0  # the forget gate"""


@remedy(resolves=SIGNAL_PROPAGATION, applicability="safe")
def recurrent_initialization(case: Case) -> Iterator[Change]:
    """One change: every RNN, GRU and LSTM without projection."""
    layers = {
        name: module
        for name, module in case.model.named_modules()
        if isinstance(module, nn.RNN | nn.GRU | nn.LSTM) and not module.proj_size
    }
    if layers:
        text = DRAWING.format(condition=condition(case.model, layers))
        has_gates = any(isinstance(module, nn.LSTM) for module in layers.values())
        yield Change(
            program(text, FORGET) if has_gates else program(text),
            tuple(layers),
            f"What {names(list(layers))} carries through time is neither stretched nor shrunk.",
        )
