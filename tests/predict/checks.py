"""The slow twin of a prediction: build the model many times, run it, and average what every module gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gradscope import predict

BITS = 0.1  # |log2(predicted / measured)| that a second moment may be off: 7 %


def predicted(build: Callable[[], nn.Module], inputs: Sequence[Tensor]) -> dict[str, float]:
    """Second moment of every layer's output, by theory."""
    profile = predict.profile(predict.forward(predict.plan(build), tuple(inputs)))
    return {x.name: x.activation.second_moment.value for x in profile.layers if x.activation}


def measured(build: Callable[[], nn.Module], inputs: Sequence[Tensor], draws: int = 40) -> dict[str, float]:
    """The same, averaged over initializations."""
    sums: dict[str, float] = {}
    with torch.random.fork_rng(), torch.no_grad():
        for seed in range(draws):
            torch.manual_seed(seed)
            model = build()
            for name, module in model.named_modules():
                if not list(module.children()):

                    def note(_: nn.Module, __: object, output: Tensor, name: str = name) -> None:
                        sums[name] = sums.get(name, 0.0) + output.square().mean().item() / draws

                    module.register_forward_hook(note)
            model(*inputs)
    return sums


def measured_gradients(build: Callable[[], nn.Module], inputs: Sequence[Tensor], draws: int = 20) -> dict[str, float]:
    """Second moment of the gradient of <r, y>, r ~ N(0, 1), at every module's output, averaged over initializations."""
    sums: dict[str, float] = {}
    with torch.random.fork_rng():
        for seed in range(draws):
            torch.manual_seed(seed)
            model = build()
            for name, module in model.named_modules():

                def note(_: nn.Module, __: object, output: Tensor, name: str = name) -> None:
                    def add(gradient: Tensor) -> None:
                        sums[name] = sums.get(name, 0.0) + gradient.square().mean().item() / draws

                    output.register_hook(add)

                module.register_forward_hook(note)
            output = model(*inputs)
            (output * torch.randn_like(output)).sum().backward()
    return sums


def agree(build: Callable[[], nn.Module], *inputs: Tensor, bits: float = BITS) -> None:
    """Assert that theory and the average of many draws give every module's second moment alike."""
    theory, truth = predicted(build, inputs), measured(build, inputs)
    errors = {name: abs(math.log2(theory[name] / truth[name])) for name in truth}
    print({name: (theory[name], truth[name], round(errors[name], 3)) for name in truth})

    assert errors and max(errors.values()) < bits


class Between(nn.Module):
    """A linear layer, a function of its output, and a layer that shows what became of it."""

    def __init__(self, function: Callable[[Tensor], Tensor], first: nn.Module | None = None) -> None:
        super().__init__()
        self.first = first if first is not None else nn.Linear(64, 64)
        self.function = function
        self.show = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.show(self.function(self.first(x)))
