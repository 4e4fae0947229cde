"""An end to the patience with trials."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Patience:
    """Wall time that trials may take. The plan counts steps and fits; this ends it on a machine that is too busy.

    Attributes:
        seconds: from the moment it is made.
    """

    seconds: float
    _start: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        """Whether that time has passed."""
        return time.monotonic() - self._start > self.seconds

    @property
    def words(self) -> str:
        """Why something was left out."""
        return f"not tried: other trials have taken {self.seconds:.0f} s already; a larger --timeout allows more"
