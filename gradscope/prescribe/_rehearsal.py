"""Settings of the training loop, tuned on the model that will be trained: untouched, or with the best remedy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from gradscope.prescribe import _ladder
from gradscope.prescribe._contest import Arena, Entrant
from gradscope.prescribe._ladder import Ladder, climb
from gradscope.prescribe._training import Hooks, Method, Setting


@dataclass(frozen=True)
class Rehearsal:
    """A model with the optimizer that served it best.

    Attributes:
        arena: where it is trained.
        entrant: the model, and what is done to its optimizer.
        method: the optimizer.
    """

    arena: Arena
    entrant: Entrant
    method: Method

    @cached_property
    def ladder(self) -> Ladder:
        """Learning rates tried from low to high on the first seed."""
        base = self.losses(0.0, steps=_ladder.BASE)
        return climb(lambda rate: self.losses(rate, steps=_ladder.STEPS), base, self.method.first_rate)

    def losses(self, rate: float, *, steps: int = 0, hooks: Hooks | None = None) -> list[float]:
        """The losses of one training on the first seed."""
        return self.arena.train(
            self.entrant, Setting(self.method, rate), self.arena.first_seed, steps=steps, hooks=hooks
        )
