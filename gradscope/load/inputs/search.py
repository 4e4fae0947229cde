"""Find inputs that a model runs on: candidates from its own facts, repaired by its own error messages."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator
from typing import Any

from torch import nn

from gradscope.config import Config
from gradscope.load.failure import failure
from gradscope.load.inputs.facts import Facts
from gradscope.load.inputs.hugging_face import configured
from gradscope.load.inputs.layers import main_inputs
from gradscope.load.inputs.names import by_name
from gradscope.load.inputs.spec import Candidate, TensorSpec
from gradscope.load.inputs.trial import Outcome, Trial
from gradscope.schema import GradscopeError

# A source yields candidates and is sent what each of them raised, so that the next one can be better.
Source = Generator[Candidate, BaseException | None, None]


def found(model: nn.Module, copied: Callable[[], nn.Module], *, training: bool, seed: int) -> tuple[Candidate, Facts]:
    """The first candidate that runs and reaches every parameter, else the one that reaches most.

    Raises:
        GradscopeError: no candidate runs; the sentence tells what the likeliest raised.
    """
    facts = Facts(model)
    trial = Trial(facts, copied, training=training, seed=seed)
    best: tuple[Candidate, Outcome] | None = None
    first_error: BaseException | None = None
    for candidate, outcome in _outcomes(facts, trial):
        if outcome.error is not None:
            first_error = first_error or outcome.error
        elif best is None or outcome.rank > best[1].rank:
            best = candidate, outcome
        if best is not None and best[1].is_full:
            break
    if best is not None:
        return best[0], facts
    hint = "Give the inputs with --input 8,3,32,32 or an example_inputs() in the file."
    if first_error is None:
        raise GradscopeError(f"No example inputs were found for {type(model).__name__}. {hint}")
    raise failure(f"Finding example inputs for {type(model).__name__}", first_error, hint=hint)


def _outcomes(facts: Facts, trial: Trial) -> Iterator[tuple[Candidate, Outcome]]:
    """Every candidate worth a look with what came of it, within the budget of trials."""
    budget = Config()
    fake, real = budget.input_fake_trials, budget.input_real_trials
    tried: dict[str, Outcome] = {}
    for source in (declared, configured, layered):
        error: BaseException | None = None
        candidates = source(facts)
        while fake and real:
            try:
                candidate = candidates.send(error)
            except StopIteration:
                break
            key = repr((candidate.args, dict(candidate.kwargs)))
            if key not in tried:
                fake -= 1
                error = trial.fake(candidate)
                real -= error is None
                tried[key] = trial.real(candidate) if error is None else Outcome(error)
                yield candidate, tried[key]
            error = tried[key].error


def declared(facts: Facts) -> Source:
    """What the model carries for this purpose: Lightning's example array, timm's input size."""
    example = getattr(facts.model, "example_input_array", None)
    if example is not None:
        args = example if isinstance(example, tuple) else () if isinstance(example, dict) else (example,)
        yield Candidate("example_input_array", args, example if isinstance(example, dict) else {})
    for name in ("pretrained_cfg", "default_cfg"):
        size = (vars(facts.model).get(name) or {}).get("input_size")
        if size:
            yield Candidate(name, (TensorSpec(tuple(size)),))


def layered(facts: Facts) -> Source:
    """The main input from the first layers, the other required arguments by their names."""
    required = facts.required or [""]
    for words, spec in main_inputs(facts):
        for position in range(min(2, len(required))):
            fillings = [[spec] if i == position else _fillings(required[i], spec, facts) for i in range(len(required))]
            for args in itertools.islice(itertools.product(*fillings), 12):
                yield Candidate(words, args)


def _fillings(name: str, main: TensorSpec, facts: Facts) -> list[Any]:
    """What a further required argument may be: by its name, like the main input, a class or a number a sample."""
    named = by_name(name, facts)
    return [
        *([named] if named is not None else []),
        main,
        TensorSpec((), "ids", facts.embedding.num_embeddings if facts.embedding is not None else 2),
        TensorSpec(()),
    ]
