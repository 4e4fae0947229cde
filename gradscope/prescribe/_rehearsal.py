"""Settings of the training loop, tuned on the model that will be trained: untouched, or with the best remedy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from gradscope.prescribe import _ladder
from gradscope.prescribe._contest import Arena, Entrant, Tune
from gradscope.prescribe._ladder import Ladder, climb
from gradscope.prescribe._training import Hooks, Method, Setting, final

CLOSE = 0.1
"""Share of a loss by which trainings differ that are equally good."""


@dataclass(frozen=True)
class Rehearsal:
    """A model with the optimizer that served it best.

    Attributes:
        arena: where it is trained.
        entrant: the model, and what is done to its optimizer.
        method: the optimizer.
        dtype: of the model's parameters, e.g. "float32".
        device: type of the device that they are on.
        gain: share of the loss that a setting must save.
    """

    arena: Arena
    entrant: Entrant
    method: Method
    dtype: str
    device: str
    gain: float

    @cached_property
    def ladder(self) -> Ladder:
        """Learning rates tried from low to high on the first seed."""
        return climb(lambda rate: self.losses(rate, steps=_ladder.STEPS), self.base, self.method.first_rate)

    @cached_property
    def base(self) -> list[float]:
        """Losses of the untrained model on a few batches."""
        return self.losses(0.0, steps=_ladder.BASE)

    @property
    def start(self) -> float:
        """The first loss."""
        return self.base[0]

    @property
    def is_affordable(self) -> bool:
        """Whether there is time for more than what every recipe needs."""
        return not self.arena.plan.is_cut

    def losses(
        self,
        rate: float,
        *,
        steps: int = 0,
        seed: int | None = None,
        hooks: Hooks | None = None,
        tune: Tune | None = None,
    ) -> list[float]:
        """The losses of one training, on the first seed unless told otherwise."""
        seed = self.arena.first_seed if seed is None else seed
        entrant = self.entrant if tune is None else self.entrant.with_tune(tune)
        return self.arena.train(entrant, Setting(self.method, rate), seed, steps=steps, hooks=hooks)


def as_good_as(curve: list[float]) -> float:
    """The largest final loss that counts as good as this training: 10 % more, and 1 % of what it started from."""
    return final(curve) + CLOSE * abs(final(curve)) + CLOSE**2 * abs(curve[0])
