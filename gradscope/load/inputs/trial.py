"""Try inputs on copies of a model: a fake run for the shapes, then a real one for the gradients."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.parameter import is_lazy

from gradscope.borrow import borrowed, seeded
from gradscope.load.failure import USER_ERRORS, failure
from gradscope.load.inputs.facts import Facts
from gradscope.load.inputs.spec import Candidate
from gradscope.load.output import differentiable, main_tensor
from gradscope.load.streams import stream
from gradscope.raised import message_of
from gradscope.schema import GradscopeError

SMALLEST_MAP = 4  # pixels a side of a feature map, below which a convolution sees mostly padding

FILLING = 0.02  # standard deviation: that of a small initialization

# What a fake run cannot do although the real one may: look at numbers, leave torch.
_UNFAKEABLE = (
    "DataDependentOutputException", "DynamicOutputShapeException", "UnsupportedFakeTensorException",
    "UnsupportedOperatorException", "UnsupportedMutationAliasingException", "GuardOnDataDependentSymNode",
)  # fmt: skip
_UNFAKEABLE_WORDS = ("fake", "meta tensor", "meta device", "data-dependent", "data_ptr", "numpy", "storage")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a candidate.

    Attributes:
        error: what it raised; None if the model ran.
        coverage: share of the trainable parameter tensors that got a gradient other than zero.
        smallest_map: pixels a side of the smallest feature map that a convolution of kernel > 1 made.
    """

    error: BaseException | None = None
    coverage: float = 0.0
    smallest_map: float = math.inf


class Trial:
    """Runs candidates on copies of one model, so that the model itself stays as it is.

    Args:
        facts: of the model.
        rebuild: builds the model once more, where copying fails.
        training: mode of the runs.
        seed: of the drawn numbers and of dropout.
    """

    def __init__(self, facts: Facts, rebuild: Callable[[], nn.Module], *, training: bool, seed: int) -> None:
        self.facts = facts
        self.rebuild = rebuild
        self.training = training
        self.seed = seed
        self.fake_mode = FakeTensorMode(allow_non_fake_inputs=True)

    def fake(self, candidate: Candidate) -> Outcome:
        """What the model does with tensors without data; no error if it runs, or if only a real run can tell."""
        if self.facts.has_lazy_layers:
            return Outcome()
        try:
            model = self._fake_model()
        except USER_ERRORS:  # not every model can be copied, and a real run will do
            return Outcome()
        try:
            with _quiet(), seeded(self.seed), torch.no_grad(), self.fake_mode, feature_maps(model) as sides:
                self._call(model, candidate)
        except USER_ERRORS as error:
            return Outcome(None if _is_unfakeable(error) else error)
        return Outcome(smallest_map=min(sides, default=math.inf))

    def real(self, candidate: Candidate) -> Outcome:
        """Run forward and backward and see which parameters the gradient reaches."""
        try:
            with seeded(self.seed), torch.enable_grad(), self._model() as model, feature_maps(model) as sides:
                output = self._call(model, candidate)
                main_tensor(output)  # it says what is wrong with an output that has no gradient
                _backward(differentiable(output))
                trainable = [p for p in model.parameters() if p.requires_grad]
                reached = [p for p in trainable if p.grad is not None and _is_nonzero(p.grad)]
        except USER_ERRORS as error:
            return Outcome(error)
        return Outcome(None, len(reached) / max(1, len(trainable)), min(sides, default=math.inf))

    def _call(self, model: nn.Module, candidate: Candidate) -> Any:
        generator = stream(self.seed, "inputs")
        inputs = candidate.draw(generator, self.facts.dtype, self.facts.device)
        args, kwargs = self.facts.call(inputs)
        with torch.compiler.set_stance("force_eager"):
            return model(*args, **kwargs)

    @contextmanager
    def _model(self) -> Iterator[nn.Module]:
        """A copy of the model, else one built anew, else the model itself, borrowed."""
        try:
            model = copy.deepcopy(self.facts.model)
        except USER_ERRORS:  # a lock or a non-leaf tensor on the way
            try:
                model = self.rebuild()
            except GradscopeError:
                with borrowed(self.facts.model, training=self.training, seed=self.seed):
                    yield self.facts.model
                return
        _fill_zeros(model)
        yield model.train(self.training)

    def _fake_model(self) -> nn.Module:
        """A copy whose parameters and buffers are fake: it costs no memory, and nothing of it can leak back."""
        model = self.facts.model
        memo = {id(t): self.fake_mode.from_tensor(t) for t in (*model.parameters(), *model.buffers())}
        return copy.deepcopy(model, memo).train(self.training)


def _is_unfakeable(error: BaseException) -> bool:
    text = message_of(error).lower()
    return type(error).__name__ in _UNFAKEABLE or any(word in text for word in _UNFAKEABLE_WORDS)


def _backward(outputs: list[Tensor]) -> None:
    """Send a random gradient into every output, so that nothing cancels."""
    generator = stream(0, "trial")
    gradients = [torch.randn(t.shape, generator=generator).to(t) for t in outputs]
    try:
        torch.autograd.backward(outputs, gradients)
    except USER_ERRORS as error:
        raise failure("The backward pass", error) from error


def _fill_zeros(model: nn.Module) -> None:
    """Give parameters that start at zero a small random value.

    A residual branch with a zero scale passes no gradient whatever its inputs are, and here the inputs are judged.
    """
    generator = stream(0, "trial")
    with torch.no_grad():
        for parameter in model.parameters():
            if not is_lazy(parameter) and not bool(parameter.any()):
                parameter += FILLING * torch.randn(parameter.shape, generator=generator).to(parameter)


def _is_nonzero(gradient: Tensor) -> bool:
    gradient = gradient.coalesce().values() if gradient.is_sparse else gradient
    return bool(gradient.any())


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's log of every operation that refuses a shape: here a refusal is an answer."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was_disabled


@contextmanager
def feature_maps(model: nn.Module) -> Iterator[list[float]]:
    """Smaller side of every feature map that a two-dimensional convolution of kernel > 1 makes."""
    sides: list[float] = []

    def record(_: nn.Module, __: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4:
            sides.append(min(output.shape[-2:]))

    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d) and max(m.kernel_size) > 1]
    handles = [m.register_forward_hook(record) for m in convolutions]
    try:
        yield sides
    finally:
        for handle in handles:
            handle.remove()
