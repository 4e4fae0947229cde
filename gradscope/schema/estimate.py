"""Numbers: no bare float crosses a stage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "nonfinite", "not-converged", "not-applicable"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, the interval it lies in, and how it was got. No bare float crosses a stage.

    Attributes:
        value: the best estimate.
        low: lower end of the interval; equals `value` where the number is exact.
        high: upper end of the interval; `inf` where nothing bounds it.
        method: how it was computed, e.g. "exact", "lanczos", "measured", "mean-field".
        n: how many samples, iterations or elements stand behind it.
        status: "ok", or why the number must not be compared with a threshold.
    """

    value: float
    low: float
    high: float
    method: str
    n: int = 1
    status: Status = "ok"

    @classmethod
    def exact(cls, value: float, method: str = "exact", n: int = 1) -> Estimate:
        """A number without uncertainty for this input; NaN and infinity get the status `nonfinite`."""
        status: Status = "ok" if math.isfinite(value) else "nonfinite"
        return cls(value, value, value, method, n, status)

    @classmethod
    def unknown(cls, method: str, status: Status = "not-applicable") -> Estimate:
        """No number: `status` says why."""
        return cls(math.nan, -math.inf, math.inf, method, 0, status)

    @property
    def is_known(self) -> bool:
        """Whether there is a number that may be compared."""
        return self.status == "ok"

    def is_above(self, threshold: float) -> bool:
        """Whether the whole interval lies above `threshold`; never true of an unknown."""
        return self.is_known and self.low > threshold

    def is_below(self, threshold: float) -> bool:
        """Whether the whole interval lies below `threshold`; never true of an unknown."""
        return self.is_known and self.high < threshold

    def __str__(self) -> str:
        if not self.is_known:
            return self.status
        if self.low == self.high:
            return f"{self.value:.3g}"
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A limit a diagnostic compares with: its value, its unit and where the number comes from."""

    value: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class Moments:
    """Statistics of one tensor of a layer, over all its elements: activation or gradient."""

    mean: Estimate
    variance: Estimate
    second_moment: Estimate
    absolute_maximum: Estimate
    zero_fraction: Estimate
    nonfinite_fraction: Estimate
