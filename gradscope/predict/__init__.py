"""Profile from theory alone: the model on the meta device, moment tables through its forward and back."""

from __future__ import annotations

from gradscope.predict._compare import compared
from gradscope.predict._continuation import NotPeriodic
from gradscope.predict._deep import Deep, deep
from gradscope.predict._inputs import Signal
from gradscope.predict._loss import Loss
from gradscope.predict._plan import Plan, plan, twin
from gradscope.predict._run import Forward, TooSlow, forward, loss_of, measured_loss, profile

__all__ = [
    "Deep", "Forward", "Loss", "NotPeriodic", "Plan", "Signal", "TooSlow", "compared", "deep", "forward", "loss_of",
    "measured_loss", "plan", "profile", "twin",
]  # fmt: skip
