"""The number format that training survives: bfloat16 or float16 autocast, tried against full precision.

float16 has 5 exponent bits: gradients below 6e-8 vanish and values above 65504 overflow, which a loss scale shifts
but does not widen. It is tried with the loss scales that automatic scalers settle at, the largest first. bfloat16 has
the range of float32 and eight times less precision than float16; it needs no scale.

A format is recommended if a rehearsal with it ends within 10 % of the loss of full precision.

References:
    Micikevicius et al. 2018, arXiv 1710.03740; Kalamkar et al. 2019, arXiv 1905.12322.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from gradscope.prescribe._rehearsal import Rehearsal, as_good_as
from gradscope.prescribe._remedy import advice
from gradscope.prescribe._training import Hooks, final

LOSS_SCALES = (2**16, 2**12, 2**8, 1)


@advice
def precision(rehearsal: Rehearsal) -> dict[str, Any]:
    """Which formats train like float32, the loss scale that float16 needs, and the losses reached."""
    rate = rehearsal.ladder.recommended
    if rate is None or not rehearsal.is_affordable or rehearsal.dtype != "float32":
        return {}
    full = rehearsal.losses(rate)
    allowed = as_good_as(full)
    found: dict[str, Any] = {"loss_float32": final(full), "loss_bfloat16": _reached(rehearsal, rate, torch.bfloat16)}
    for scale in LOSS_SCALES:
        found["loss_float16"] = _reached(rehearsal, rate, torch.float16, scale)
        if found["loss_float16"] is None:
            break
        if found["loss_float16"] <= allowed:
            found["loss_scale"] = scale
            break
    reached = {name: found[f"loss_{name}"] for name in ("bfloat16", "float16")}
    formats = [name for name, loss in reached.items() if loss is not None and loss <= allowed]
    lacking = [name for name, loss in reached.items() if loss is None]
    note = {"note": f"this device cannot run every layer in {' and '.join(lacking)}"} if lacking else {}
    known = {key: value for key, value in found.items() if value is not None}
    return {"autocast": ", ".join(formats) or "none", **known, **note}


def _reached(rehearsal: Rehearsal, rate: float, dtype: torch.dtype, scale: float = 1.0) -> float | None:
    """The final loss; None where a layer has no kernel for the format on this device."""
    try:
        return final(rehearsal.losses(rate, hooks=autocast(rehearsal.device, dtype, scale)))
    except RuntimeError:  # what torch raises for a missing kernel; NotImplementedError is one, too
        return None


def autocast(device: str, dtype: torch.dtype, scale: float = 1.0) -> Hooks:
    """A training whose matrix products run in `dtype` and whose loss is multiplied by `scale` on its way back."""

    def unscale(model: nn.Module, step: int) -> None:
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad /= scale

    return Hooks(unscale, lambda step: scale, lambda: torch.autocast(device, dtype))
