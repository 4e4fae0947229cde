"""The way for layers without a rule: find their structure, else iterate on the derivatives autograd gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gradscope.schema import Estimate, LayerCall
from gradscope.spectra import _lanczos
from gradscope.spectra._linearize import NotAnalysedError, Operator, linearize
from gradscope.spectra._replay import is_repeated, replay, widened
from gradscope.spectra._rules import data
from gradscope.spectra._spectrum import (
    SOURCE,
    LayerSpectrum,
    are_defined,
    are_finite,
    drawn_anew,
    gap,
    nonfinite,
    spectrum,
)
from gradscope.spectra._sweep import Sweep, tensors

_WAYS = (  # precision, and whether autograd has to give both derivatives; differences need the digits of double
    (torch.float32, True),
    (torch.float64, False),
    (torch.float32, False),
)
_DENSE = 32  # up to this smaller side the whole Jacobian costs less than an iteration


def analyse(call: LayerCall, sweep: Sweep, select: Callable[[Any], Any] = lambda output: output) -> LayerSpectrum:
    """The spectrum of any call, jointly in all its data inputs.

    Args:
        call: the layer.
        sweep: the pass.
        select: takes the part of the output that counts.
    """
    inputs = data(call)
    if not inputs or not any(t.is_floating_point() or t.is_complex() for t in tensors(select(call.output))):
        return SOURCE
    if not are_defined(inputs):
        return nonfinite("generic")
    try:
        operator, point = linearized(call, inputs, sweep, select)
    except NotAnalysedError as error:
        return gap(f"No derivative of {call.op} was found: {error}.") if _depends(call, inputs, sweep) else SOURCE
    found = operator_spectrum(operator, point, sweep)
    return found if is_repeated(call, replay(call, inputs)(*map(widened, inputs))) else drawn_anew(found)


def _depends(call: LayerCall, inputs: Sequence[Tensor], sweep: Sweep) -> bool:
    """Whether other values of its inputs give another output; some layers only want to know a shape or a dtype."""
    function, point = replay(call, inputs), [widened(t) for t in inputs]
    noise = [torch.randn(t.shape, generator=sweep.generator, dtype=t.dtype).to(t.device) for t in point]
    before, after = function(*point), function(*(t + more for t, more in zip(point, noise, strict=True)))
    return not all(torch.equal(a, b) for a, b in zip(tensors(before), tensors(after), strict=True))


def linearized(
    call: LayerCall, inputs: Sequence[Tensor], sweep: Sweep, select: Callable[[Any], Any] = lambda output: output
) -> tuple[Operator, list[Tensor]]:
    """The Jacobian of a call, in the first way that has one, and the point it is taken at.

    Raises:
        NotAnalysedError: no way has one; why the last has none.
    """
    reasons = []
    for dtype, is_differentiated in _WAYS:
        function, point = replay(call, inputs, dtype=dtype), [widened(t, dtype) for t in inputs]
        try:
            operator = linearize(
                lambda *x, f=function: select(f(*x)), point, sweep.generator, is_differentiated=is_differentiated
            )
        except NotAnalysedError as error:
            reasons.append(str(error))
            continue
        except RuntimeError as error:
            if dtype != torch.float64:
                raise
            reasons.append(f"in double precision: {error}")  # the layer holds what does not mix with it
            continue
        return operator, point
    raise NotAnalysedError(reasons[-1])


def operator_spectrum(operator: Operator, inputs: Sequence[Tensor], sweep: Sweep) -> LayerSpectrum:
    """Dense if it is small, by Lanczos otherwise."""
    kind = operator.method if len(inputs) == 1 else f"{operator.method}, jointly in {len(inputs)} inputs"
    if min(operator.rows, operator.columns) <= _DENSE:
        return _dense(operator, inputs[0], f"dense ({kind})")
    goal = sweep.goal(coarse=16, fine=28, early=4)
    sides = (
        (operator.matvec, operator.rmatvec)
        if operator.columns <= operator.rows
        else (operator.rmatvec, operator.matvec)
    )
    start = sweep.start(min(operator.rows, operator.columns), like=inputs[0])
    bidiagonal, is_settled = _lanczos.solve(*sides, start, goal)
    norm = _lanczos.spectral_norm(bidiagonal, is_settled, probability=goal.probability, method=f"lanczos ({kind})")
    gain = _lanczos.rms_gain([bidiagonal], columns=operator.columns, ceiling=norm.high, method=f"hutchinson ({kind})")
    return spectrum(norm, gain, operator.columns)


def _dense(operator: Operator, like: Tensor, method: str) -> LayerSpectrum:
    dtype = torch.float64 if like.dtype in (torch.float64, torch.complex128) else torch.float32
    is_wide = operator.rows <= operator.columns
    apply, side = (operator.rmatvec, operator.rows) if is_wide else (operator.matvec, operator.columns)
    basis = torch.eye(side, dtype=dtype, device=like.device)
    jacobian = torch.stack([apply(row) for row in basis]).double()
    if not are_finite([jacobian]):
        return nonfinite(method)
    values = torch.linalg.svdvals(jacobian)
    gain = math.sqrt(values.square().sum().item() / operator.columns)
    return spectrum(Estimate.exact(values[0].item(), method), Estimate.exact(gain, method), operator.columns)
