"""How a quantity is declared: a function of one tensor of one layer, in a file that has its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from gradscope.registry import Registry

Of = Literal["activation", "gradient"]


@dataclass(frozen=True, slots=True)
class Observation:
    """One tensor of one layer: its output, or the gradient that arrives there.

    `tensor` is detached, in float32 or float64, never empty; `batch` is the number of samples of the run
    (0 if unknown).
    """

    op: str
    tensor: Tensor
    batch: int


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number per layer. `compute` returns a 0-d tensor on the layer's device, or None: not applicable."""

    name: str
    of: Of
    compute: Callable[[Observation], Tensor | None]


QUANTITIES: Registry[Quantity] = Registry("gradscope.measure")


def quantity(*, of: Of) -> Callable[[Callable[[Observation], Tensor | None]], Callable[[Observation], Tensor | None]]:
    """Declare a quantity; it gets the name of the function."""

    def declare(compute: Callable[[Observation], Tensor | None]) -> Callable[[Observation], Tensor | None]:
        QUANTITIES.add(compute.__name__, Quantity(compute.__name__, of, compute))
        return compute

    return declare
