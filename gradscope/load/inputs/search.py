"""Find inputs that a model runs on: candidates from its own facts, repaired by its own error messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from torch import nn

from gradscope.config import Config
from gradscope.load.failure import failure, is_out_of_memory
from gradscope.load.inputs.configured import arguments_by_name, example_array, input_size
from gradscope.load.inputs.facts import Facts
from gradscope.load.inputs.layers import SIDES, families
from gradscope.load.inputs.repair import repairs
from gradscope.load.inputs.spec import Candidate
from gradscope.load.inputs.trial import SMALLEST_MAP, Outcome, Trial
from gradscope.schema import GradscopeError

ENOUGH = 0.9  # of the parameters reached: the rest is rarely a matter of the inputs (an unused head, a dropped path)
REPAIRS = 12  # trials of what error messages ask for, for one candidate
SAME_ERRORS = 3  # in a row: then the size is not what is wrong, and other sizes need no trial
TRIALS_AFTER_SUCCESS = 4  # real runs in search of inputs that reach more parameters


def found(model: nn.Module, rebuild: Callable[[], nn.Module], *, training: bool, seed: int) -> tuple[Candidate, Facts]:
    """The first candidate that runs and reaches every parameter, else the one that reaches most.

    Raises:
        GradscopeError: no candidate runs; the sentence tells what the likeliest raised.
    """
    facts = Facts(model)
    return searched(facts, Trial(facts, rebuild, training=training, seed=seed)), facts


class Runs(Protocol):
    """Runs candidates: what `Trial` does."""

    def fake(self, candidate: Candidate) -> Outcome:
        """What the model does with the shapes."""
        ...

    def real(self, candidate: Candidate) -> Outcome:
        """What it does with numbers."""
        ...


def searched(facts: Facts, trial: Runs) -> Candidate:
    """The first candidate that runs and reaches every parameter, else the one that reaches most.

    Raises:
        GradscopeError: no candidate runs; the sentence tells what the likeliest raised.
    """
    search = Search(facts, trial)
    search.run()
    if search.best is not None:
        return search.best[0]
    model = facts.model
    hint = "Give the inputs with --input 8,3,32,32 or an example_inputs() in the file."
    if not search.errors:
        raise GradscopeError(f"No example inputs were found for {type(model).__name__}. {hint}")
    # Where the forward pass ran, its inputs were right and the sentence says what is wrong behind it.
    error = next((e for e in search.errors if isinstance(e, GradscopeError)), search.errors[0])
    raise failure(f"Finding example inputs for {type(model).__name__}", error, hint=hint)


class Search:
    """One search: what was tried, what is left of the budget, and the best so far.

    Args:
        facts: of the model.
        trial: runs candidates.
    """

    def __init__(self, facts: Facts, trial: Runs) -> None:
        self.facts = facts
        self.trial = trial
        self.fake_trials = Config().input_fake_trials
        self.real_trials = Config().input_real_trials
        self.tried: set[str] = set()
        self.reserve: list[tuple[float, Candidate]] = []  # they run, but shrink images to these few pixels
        self.best: tuple[Candidate, Outcome] | None = None
        self.errors: list[BaseException] = []  # of real runs

    @property
    def is_over(self) -> bool:
        """Whether what was found is good enough, or nothing more may be tried."""
        is_enough = self.best is not None and self.best[1].coverage >= ENOUGH
        return is_enough or self.fake_trials <= 0 or self.real_trials <= 0

    def run(self) -> None:
        """Try the candidates of every source until one is as good as can be."""
        for family in (example_array, input_size, arguments_by_name):
            self._try_family(family(self.facts))
        for family in families(self.facts):
            self._try_family(family)
        for _, candidate in sorted(self.reserve, key=_rank):
            if self.best is None:
                self._judge(candidate, self.trial.real(candidate))

    def _try_family(self, family: Iterator[Candidate]) -> None:
        errors: list[str] = []
        for candidate in family:
            if self.is_over:
                return
            if repr(candidate.inputs) in self.tried:
                continue
            error = self._try_with_repairs(candidate)
            errors = [*errors, repr(error)] if error is not None and repr(error) in errors[-1:] else [repr(error)]
            if error is not None and len(errors) >= SAME_ERRORS:
                return

    def _try_with_repairs(self, candidate: Candidate) -> BaseException | None:
        """Try a candidate, and what its errors ask for; the error of the candidate itself."""
        queue, own_error = [candidate], None
        for number in range(1 + REPAIRS):
            if self.is_over or not queue:
                break
            current = queue.pop(0)
            error = self._try(current)
            if number == 0:
                own_error = error
            if error is not None:
                asked = [c for c in repairs(error, current, self.facts) if repr(c.inputs) not in self.tried]
                queue = asked + queue
        return own_error

    def _try(self, candidate: Candidate) -> BaseException | None:
        self.tried.add(repr(candidate.inputs))
        self.fake_trials -= 1
        shadow = self.trial.fake(candidate)
        if shadow.error is not None and not candidate.is_likely:
            self._watch_memory(shadow.error)
            return shadow.error
        if shadow.error is None and shadow.smallest_map < SMALLEST_MAP:
            self.reserve.append((shadow.smallest_map, candidate))
            return None
        outcome = self.trial.real(candidate)
        self._judge(candidate, outcome)
        return outcome.error

    def _watch_memory(self, error: BaseException) -> None:
        """Stop where memory runs out: whatever comes next would only wait for the same end."""
        if is_out_of_memory(error):
            self.errors.insert(0, error)
            self.real_trials = 0

    def _judge(self, candidate: Candidate, outcome: Outcome) -> None:
        self.real_trials -= 1
        if outcome.error is not None:
            self.errors.append(outcome.error)
            self._watch_memory(outcome.error)
        elif self.best is None or outcome.coverage > self.best[1].coverage:
            if self.best is None:
                self.real_trials = min(self.real_trials, TRIALS_AFTER_SUCCESS)
            self.best = candidate, outcome


def _rank(entry: tuple[float, Candidate]) -> tuple[bool, bool, float]:
    """Of what shrinks images to a few pixels: the most usual size that leaves more than one, then the most pixels."""
    pixels, candidate = entry
    side = candidate.main[1].shape[-1] if candidate.main is not None and candidate.main[1].shape else SIDES[0]
    is_usual = side in SIDES
    return not is_usual, pixels <= 1, SIDES.index(side) if is_usual else -pixels
