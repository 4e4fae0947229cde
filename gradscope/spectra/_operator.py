"""Any linear operator whose vectors are a tensor or several: a block of the network, or the whole of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gradscope.schema import Estimate
from gradscope.spectra import _lanczos
from gradscope.spectra._bidiagonal import Bidiagonal
from gradscope.spectra._density import log_density
from gradscope.spectra._linearize import Packing
from gradscope.spectra._spectrum import LayerSpectrum, spectrum
from gradscope.spectra._stopping import Goal, fixed

Vector = Tensor | tuple[Tensor, ...]
Apply = Callable[[Vector], Vector]


def operator_norm(
    matvec: Apply,
    rmatvec: Apply,
    start: Vector,
    *,
    tolerance: float,
    probability: float,
    is_certified: bool = False,
    iterations: int | None = None,
) -> Estimate:
    """Largest singular value of any linear operator, by Golub-Kahan-Lanczos.

    Args:
        matvec: v -> J v.
        rmatvec: u -> Jᵀ u.
        start: independent normal entries, in the shape of J's input; vectors are tensors or tuples of tensors.
        tolerance: relative error that is allowed.
        probability: chance that `high` fails.
        is_certified: iterate until high / low - 1 <= tolerance.
        iterations: exactly this many steps (fewer when the space is exhausted), whatever the error.
    """
    goal = _goal(tolerance, probability, is_certified, iterations)
    bidiagonal, is_settled = bidiagonalize(matvec, rmatvec, start, goal)
    is_settled |= iterations is not None
    return _lanczos.spectral_norm(bidiagonal, is_settled, probability=probability, method="lanczos")


def operator_spectrum(
    matvec: Apply,
    rmatvec: Apply,
    start: Vector,
    *,
    tolerance: float,
    probability: float,
    is_certified: bool = False,
    iterations: int | None = None,
    columns: int | None = None,
    probes: Sequence[Vector] = (),
) -> LayerSpectrum:
    """`operator_norm` with what the same run yields: rms gain, stable rank, and "log_spread" of the singular values.

    The adjoint has the same singular values, and a run that starts on the smaller side is ahead: `matvec` and
    `rmatvec` may be swapped; `columns` then are the entries of J's own input. Further start vectors as `probes` make
    the gain and the spread more accurate, each for as many steps as the first run took.
    """
    goal = _goal(tolerance, probability, is_certified, iterations)
    bidiagonal, is_settled = bidiagonalize(matvec, rmatvec, start, goal)
    is_settled |= iterations is not None
    norm = _lanczos.spectral_norm(bidiagonal, is_settled, probability=probability, method="lanczos")
    again = fixed(len(bidiagonal))
    runs = [bidiagonal, *(bidiagonalize(matvec, rmatvec, probe, again)[0] for probe in probes)]
    columns = columns or bidiagonal.columns
    gain = _lanczos.rms_gain(runs, columns=columns, ceiling=norm.high, method="hutchinson")
    density, found = log_density(runs), spectrum(norm, gain, columns)
    if density is None:
        return found
    return replace(found, quantities={**found.quantities, "log_spread": density.spread})


def bidiagonalize(matvec: Apply, rmatvec: Apply, start: Vector, goal: Goal) -> tuple[Bidiagonal, bool]:
    """Run until the goal, on flat vectors; return the bidiagonal matrix and whether the goal was reached."""
    inputs, outputs = Packing(_parts(start)), None

    def flat_matvec(v: Tensor) -> Tensor:
        nonlocal outputs
        applied = matvec(_like(start, inputs.unpack(v)))
        image = _parts(applied)
        outputs = outputs or (Packing(image), not isinstance(applied, Tensor))
        return outputs[0].pack(image)

    def flat_rmatvec(u: Tensor) -> Tensor:
        assert outputs is not None, "J is applied before its adjoint"
        packing, is_tuple = outputs
        parts = packing.unpack(u)
        return inputs.pack(_parts(rmatvec(tuple(parts) if is_tuple else parts[0])))

    with torch.no_grad():
        return _lanczos.solve(flat_matvec, flat_rmatvec, inputs.pack(_parts(start)), goal)


def _goal(tolerance: float, probability: float, is_certified: bool, iterations: int | None) -> Goal:
    if iterations is not None:
        return fixed(iterations, probability)
    goal = Goal(tolerance, probability, is_certified, first=16, early=4)
    return goal if goal.is_coarse else replace(goal, first=28)


def _parts(vector: Vector) -> tuple[Tensor, ...]:
    return (vector,) if isinstance(vector, Tensor) else tuple(vector)


def _like(start: Vector, parts: list[Tensor]) -> Vector:
    return parts[0] if isinstance(start, Tensor) else tuple(parts)
