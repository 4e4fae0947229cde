"""Profile from theory alone: the model on the meta device, moment tables through its forward and back."""

from __future__ import annotations

from gradscope.predict._compare import compared
from gradscope.predict._deep import Sketch
from gradscope.predict._inputs import Signal
from gradscope.predict._loss import Loss
from gradscope.predict._plan import Plan, plan, twin
from gradscope.predict._run import Forward, TooSlow, forward, loss_of, measured_loss, profile

__all__ = [
    "Forward", "Loss", "Plan", "Signal", "Sketch", "TooSlow", "compared", "forward", "loss_of", "measured_loss",
    "plan", "profile", "twin",
]  # fmt: skip
