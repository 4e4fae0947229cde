"""Any linear operator whose vectors are a tensor or several: a block of the network, or the whole of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gradscope.schema import Estimate
from gradscope.spectra import _lanczos
from gradscope.spectra._batched import solve_largest
from gradscope.spectra._bidiagonal import Bidiagonal
from gradscope.spectra._density import log_density
from gradscope.spectra._linearize import Packing
from gradscope.spectra._spectrum import LayerSpectrum, spectrum
from gradscope.spectra._steps import TwoSided
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
    samples: int | None = None,
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
        samples: length of the first dimension of all vectors, where J is known to be one operator for each of them:
            every product then is a step of as many runs, and each of these is ahead of the one run of them all.
    """
    goal = _goal(tolerance, probability, is_certified, iterations)
    return _solve(matvec, rmatvec, start, goal, samples, is_fixed=iterations is not None)[0]


def operator_spectrum(
    matvec: Apply,
    rmatvec: Apply,
    start: Vector,
    *,
    tolerance: float,
    probability: float,
    is_certified: bool = False,
    iterations: int | None = None,
    samples: int | None = None,
    columns: int | None = None,
    probes: Sequence[Vector] = (),
) -> LayerSpectrum:
    """`operator_norm` with what the same run yields: rms gain, stable rank, and "log_spread" of the singular values.

    The adjoint has the same singular values, and a run that starts on the smaller side is ahead: `matvec` and
    `rmatvec` may be swapped; `columns` then are the entries of J's own input. Further start vectors as `probes` make
    the gain and the spread more accurate, each for as many steps as the first run took.
    """
    goal = _goal(tolerance, probability, is_certified, iterations)
    norm, runs = _solve(matvec, rmatvec, start, goal, samples, is_fixed=iterations is not None)
    again = fixed(max(len(run) for run in runs), probability)
    probed = [runs, *(_solve(matvec, rmatvec, probe, again, samples, is_fixed=True)[1] for probe in probes)]
    rows = columns or sum(part.numel() for part in parts(start))
    gain = _lanczos.rms_gain(
        [run for probe in probed for run in probe],
        columns=rows // (samples or 1),
        ceiling=norm.high,
        method="hutchinson",
    )
    density, found = log_density(probed), spectrum(norm, gain, rows)
    if density is None:
        return found
    return replace(found, quantities={**found.quantities, "log_spread": density.spread})


def _solve(
    matvec: Apply, rmatvec: Apply, start: Vector, goal: Goal, samples: int | None, *, is_fixed: bool
) -> tuple[Estimate, list[Bidiagonal]]:
    """The spectral norm, and the run or those of all samples."""
    packed = Packed(matvec, rmatvec, start, samples)
    vector = packed.inputs.pack(parts(start))
    with torch.no_grad():
        if samples is not None:
            norm, runs = solve_largest(TwoSided(packed, vector), vector, goal)
            return (replace(norm, status="ok") if is_fixed and norm.status == "not-converged" else norm), runs
        run, is_settled = _lanczos.solve(packed.matvec, packed.rmatvec, vector, goal)
    norm = _lanczos.spectral_norm(run, is_settled or is_fixed, probability=goal.probability, method="lanczos")
    return norm, [run]


class Packed:
    """An operator on vectors of any shape as one on flat vectors, or as one system for every sample."""

    def __init__(self, matvec: Apply, rmatvec: Apply, start: Vector, samples: int | None) -> None:
        self.inputs = Packing(parts(start), samples)
        self._apply, self._apply_adjoint = matvec, rmatvec
        self._samples, self._is_tuple = samples, not isinstance(start, Tensor)
        self._outputs: tuple[Packing, bool] | None = None

    def matvec(self, v: Tensor) -> Tensor:
        applied = self._apply(_vector(self.inputs.unpack(v), self._is_tuple))
        image = parts(applied)
        if self._outputs is None:
            self._outputs = Packing(image, self._samples), not isinstance(applied, Tensor)
        return self._outputs[0].pack(image)

    def rmatvec(self, u: Tensor) -> Tensor:
        assert self._outputs is not None, "J is applied before its adjoint"
        packing, is_tuple = self._outputs
        return self.inputs.pack(parts(self._apply_adjoint(_vector(packing.unpack(u), is_tuple))))

    def keep(self, rows: Tensor) -> _Some:
        """Only these samples."""
        assert self._samples is not None, "one run is never cut"
        return _Some(self, self._samples, rows)


@dataclass(frozen=True, slots=True)
class _Some:
    """Some samples of an operator that always is applied to all: zeros stand for the others."""

    all: Packed
    samples: int
    rows: Tensor

    def matvec(self, v: Tensor) -> Tensor:
        return self.all.matvec(self._among_all(v))[self.rows]

    def rmatvec(self, u: Tensor) -> Tensor:
        return self.all.rmatvec(self._among_all(u))[self.rows]

    def keep(self, rows: Tensor) -> _Some:
        return replace(self, rows=self.rows[rows])

    def _among_all(self, vectors: Tensor) -> Tensor:
        return vectors.new_zeros(self.samples, vectors.shape[1]).index_copy_(0, self.rows, vectors)


def _goal(tolerance: float, probability: float, is_certified: bool, iterations: int | None) -> Goal:
    if iterations is not None:
        return fixed(iterations, probability)
    goal = Goal(tolerance, probability, is_certified, first=16, early=4)
    return goal if goal.is_coarse else replace(goal, first=28)


def parts(vector: Vector) -> tuple[Tensor, ...]:
    return (vector,) if isinstance(vector, Tensor) else tuple(vector)


def _vector(parts: list[Tensor], is_tuple: bool) -> Vector:
    return tuple(parts) if is_tuple else parts[0]
