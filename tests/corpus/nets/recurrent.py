"""Recurrent networks, with the choices that decide how long they remember."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CELLS = {"tanh": nn.RNN, "relu": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(nn.Module):
    """A recurrent network whose last hidden state, or every one, is read out linearly.

    Args:
        features: input features; the alphabet's size where `is_text`.
        outputs: classes.
        cell: a key of `CELLS`.
        hidden: state size.
        layers: stacked cells.
        is_text: inputs are tokens, and each position is answered.
    """

    def __init__(
        self, features: int, outputs: int, *, cell: str, hidden: int = 24, layers: int = 1, is_text: bool = False
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(features, hidden) if is_text else nn.Identity()
        size = hidden if is_text else features
        if cell == "relu":
            self.cell = nn.RNN(size, hidden, num_layers=layers, nonlinearity="relu", batch_first=True)
        else:
            self.cell = CELLS[cell](size, hidden, num_layers=layers, batch_first=True)
        self.head = nn.Linear(hidden, outputs)
        self.is_text = is_text

    def forward(self, x: Tensor) -> Tensor:  # (batch, time, features) or (batch, time)
        states, _ = self.cell(self.embed(x))  # (batch, time, hidden)
        return self.head(states if self.is_text else states[:, -1])


def _recurrent_weight(hidden: int, init: str) -> Tensor:
    kind, _, factor = init.partition("*")
    weight = {
        "orthogonal": lambda: nn.init.orthogonal_(torch.empty(hidden, hidden)),
        "identity": lambda: torch.eye(hidden),
        "normal": lambda: torch.randn(hidden, hidden) / hidden**0.5,
        "zero": lambda: torch.zeros(hidden, hidden),
    }[kind]()
    return float(factor or 1) * weight


@torch.no_grad()
def initialize(model: Recurrent, recurrent: str = "default", forget: float = 0.0) -> Recurrent:
    """Set the recurrent weights, and the bias of the gate that keeps the state.

    Args:
        model: changed in place.
        recurrent: "default", or "orthogonal", "identity", "normal" (variance 1/hidden), "zero", with a factor if
            wanted: "orthogonal*0.5". Gated cells get one such matrix a gate.
        forget: added to the forget bias of an LSTM or the update bias of a GRU: positive remembers.
    """
    cell, hidden = model.cell, model.cell.hidden_size
    for name, parameter in cell.named_parameters():
        if name.startswith("weight_hh") and recurrent != "default":
            gates = parameter.shape[0] // hidden
            parameter.copy_(torch.cat([_recurrent_weight(hidden, recurrent) for _ in range(gates)]))
            getattr(cell, name.replace("weight_hh", "bias_hh")).zero_()
            getattr(cell, name.replace("weight_hh", "bias_ih")).zero_()
    for name, parameter in cell.named_parameters():
        if name.startswith("bias_ih") and isinstance(cell, nn.LSTM | nn.GRU):
            parameter[hidden : 2 * hidden] += forget
    return model
