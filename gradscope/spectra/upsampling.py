"""Upsampling: nearest, linear and cubic interpolation act along every dimension by itself."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gradscope.schema import LayerCall
from gradscope.spectra._rules import argument, data, rule
from gradscope.spectra._separable import separable
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum
from gradscope.spectra._sweep import Sweep


@rule("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d", "interpolate", "upsample")
def upsampling(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """One interpolation matrix along each spatial dimension."""
    if not data(call):
        return SOURCE
    names = ("scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias")
    if call.module is not None:
        options = {name: getattr(call.module, name, None) for name in names}
    else:
        options = {name: argument(call, 2 + i, name) for i, name in enumerate(names)}
    x: Tensor = argument(call, 0, "input")
    factors = options["scale_factor"]
    uses_factor = factors is not None and not options["recompute_scale_factor"]
    matrices = []
    for i, (n, m) in enumerate(zip(x.shape[2:], call.output.shape[2:], strict=True)):
        factor = factors[i] if isinstance(factors, tuple | list) else factors
        target = {"scale_factor": (factor, 1.0)} if uses_factor else {"size": (m, 2)}
        matrices.append(_matrix(n, target, options))
    return separable(matrices, x.numel())


def _matrix(n: int, target: dict, options: dict) -> Tensor:
    """Interpolation of n basis images of shape (n, 2) along their first dimension: (outputs, n)."""
    mode = options["mode"] or "nearest"
    mode = {"linear": "bilinear", "trilinear": "bilinear"}.get(mode, mode)
    basis = torch.eye(n, dtype=torch.float64)[:, None, :, None].repeat(1, 1, 1, 2)  # one column trips antialiasing
    images = F.interpolate(
        basis, **target, mode=mode, align_corners=options["align_corners"], antialias=bool(options["antialias"])
    )
    return images[:, 0, :, 0].mT
