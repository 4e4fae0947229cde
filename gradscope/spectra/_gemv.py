"""Half steps of a matrix in a CPU's memory, each one call of BLAS: its vectors keep the length that the next scales."""

from __future__ import annotations

from scipy.linalg import get_blas_funcs
from torch import Tensor


class OfMatrix:
    """Golub-Kahan half steps of a real matrix, which is not copied where its rows or columns are contiguous.

    Args:
        matrix: (rows, columns), on the CPU, without history.
        start: independent normal entries, (columns,), of the same dtype.
    """

    def __init__(self, matrix: Tensor, start: Tensor) -> None:
        self.rows, self.columns = matrix.shape
        is_transposed = matrix.mT.is_contiguous()
        stored = matrix.mT if is_transposed else matrix.contiguous()
        self._matrix = stored.numpy().T  # columns contiguous, as Fortran has it: Jᵀ, or J where it is transposed
        self._along, self._back = int(not is_transposed), int(is_transposed)
        self._gemv, self._nrm2 = get_blas_funcs(("gemv", "nrm2"), dtype=self._matrix.dtype)
        self._u, self._v = start.new_zeros(self.rows).numpy(), start.numpy().copy()
        self._alpha, self._beta = 0.0, float(self._nrm2(self._v))

    def along(self) -> float:
        last = -self._beta / self._alpha if self._alpha else 0.0
        self._u = self._gemv(
            1 / self._beta, self._matrix, self._v, beta=last, y=self._u, overwrite_y=1, trans=self._along
        )
        self._alpha = float(self._nrm2(self._u))
        return self._alpha

    def back(self) -> float:
        last = -self._alpha / self._beta
        self._v = self._gemv(
            1 / self._alpha, self._matrix, self._u, beta=last, y=self._v, overwrite_y=1, trans=self._back
        )
        self._beta = float(self._nrm2(self._v))
        return self._beta
