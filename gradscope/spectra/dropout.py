"""Random masks, held as they fell in this run: the derivative is read off the output."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gradscope.schema import Estimate, LayerCall
from gradscope.spectra._counting import nonzeros
from gradscope.spectra._rules import argument, data, rule
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum, are_finite, exact, nonfinite, spectrum
from gradscope.spectra._sweep import Sweep
from gradscope.spectra.elementwise import elementwise

_METHOD = "exact (mask of this run)"


@rule(
    *("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "dropout", "dropout1d", "dropout2d", "dropout3d"),
    *("feature_dropout",),
)
def dropout(call: LayerCall, sweep: Sweep) -> LayerSpectrum:
    """J = diag(mask / (1 - p)); where the input is 0 the mask cannot be seen, so the gain is taken elsewhere."""
    if not data(call):
        return SOURCE
    x, y = argument(call, 0, "input"), call.output
    p = _probability(call)
    if p == 0.0:
        return exact(1.0, 1.0, x.numel())
    if not are_finite([x]):
        return nonfinite()
    n, scale = x.numel(), 1 / (1 - p) if p < 1 else 0.0
    seen, kept = int(nonzeros(x)), int(nonzeros(y))
    norm = Estimate(scale, scale if kept else 0.0, scale, _METHOD) if kept or seen < n else Estimate.exact(0.0, _METHOD)
    share, least, most = kept / max(1, seen), kept / n, (kept + n - seen) / n
    gain = Estimate(scale * math.sqrt(share), scale * math.sqrt(least), scale * math.sqrt(most), _METHOD, n)
    return spectrum(norm, gain, n)


@rule("RReLU", "rrelu")
def random_rectifier(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """RReLU: 1 for positive inputs, the drawn slope output / input for negative ones; unseen at 0, in eval the mean."""
    if not data(call):
        return SOURCE
    x: Tensor = argument(call, 0, "input").float()
    if not are_finite([x]):
        return nonfinite()
    lower, upper, is_random = _slopes(call)
    if not is_random:
        return elementwise(call, sweep)
    slope = torch.where(x == 0, (lower + upper) / 2, call.output.float() / x)
    if bool(x.all()):
        return exact(slope.abs().max().item(), slope.square().mean().sqrt().item(), x.numel(), _METHOD)
    ends = [torch.where(x == 0, end, slope) for end in (lower, upper)]
    norms = sorted(end.abs().max().item() for end in ends)
    gains = sorted(end.square().mean().sqrt().item() for end in ends)
    norm = Estimate(slope.abs().max().item(), norms[0], norms[1], _METHOD)
    return spectrum(norm, Estimate(slope.square().mean().sqrt().item(), gains[0], gains[1], _METHOD), x.numel())


def _slopes(call: LayerCall) -> tuple[float, float, bool]:
    """Ends of the interval that slopes are drawn from, and whether they are."""
    if call.module is not None:
        return float(call.module.lower), float(call.module.upper), call.module.training  # type: ignore[arg-type]
    ends = [float(argument(call, 1 + i, name, x)) for i, (name, x) in enumerate((("lower", 1 / 8), ("upper", 1 / 3)))]
    return ends[0], ends[1], bool(argument(call, 3, "training", False))


def _probability(call: LayerCall) -> float:
    """Of dropping an entry in this call; 0 outside training."""
    if call.module is not None:
        return float(call.module.p) if call.module.training else 0.0  # type: ignore[arg-type]
    is_training = argument(call, 2, "training", argument(call, 2, "train", True))
    return float(argument(call, 1, "p", 0.5)) if is_training else 0.0
