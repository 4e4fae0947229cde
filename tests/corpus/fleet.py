"""Train many copies of one model at once: every learning rate, optimizer and seed is a row of the same matrices."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, replace_all_batch_norm_modules_, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from tests.corpus.losses import Loss, error

BETA, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Momentum of SGD and of Adam, Adam's second-moment decay and its denominator's floor: torch's defaults for Adam."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One run's optimizer: "sgd" (momentum 0.9) or "adam", at a constant learning rate."""

    optimizer: str
    learning_rate: float
    seed: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """The state of all runs. One row is one run; rows of SGD come before rows of Adam.

    Attributes:
        model: its structure is used, its values are not.
        shapes: of the parameters, by name.
        recipes: one a row.
        weights: all parameters of a run, flat (runs, parameters).
        momentum: average of gradients (runs, parameters); SGD's is a sum, ten times as large.
        variance: average of squared gradients (runs of Adam, parameters).
        steps: taken so far.
    """

    model: nn.Module
    shapes: dict[str, torch.Size]
    recipes: tuple[Recipe, ...]
    weights: Tensor
    momentum: Tensor
    variance: Tensor
    steps: int = 0

    @property
    def n_sgd(self) -> int:
        """How many rows belong to SGD."""
        return sum(recipe.optimizer == "sgd" for recipe in self.recipes)


class Unrolled(nn.Module):
    """A recurrent module as a loop over time with the same parameter names, which can be batched over models.

    Args:
        cell: a torch RNN, GRU or LSTM: batch first, one direction, no dropout, no projection.
    """

    def __init__(self, cell: nn.RNNBase) -> None:
        super().__init__()
        for name, parameter in cell.named_parameters():
            self.register_parameter(name, parameter)
        self.mode, self.layers, self.hidden = cell.mode, cell.num_layers, cell.hidden_size

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        for layer in range(self.layers):
            x = self._layer(
                x, *(getattr(self, f"{kind}_{side}_l{layer}") for kind in ("weight", "bias") for side in ("ih", "hh"))
            )
        return x, None

    def _layer(self, x: Tensor, w_in: Tensor, w_state: Tensor, b_in: Tensor, b_state: Tensor) -> Tensor:
        driven = F.linear(x, w_in, b_in)  # (batch, time, gates * hidden)
        state = memory = torch.zeros_like(driven[:, 0, : self.hidden])
        states = []
        for now in driven.unbind(1):
            recurrent = F.linear(state, w_state, b_state)
            if self.mode == "GRU":
                (r, z, n), (r_state, z_state, n_state) = now.chunk(3, -1), recurrent.chunk(3, -1)
                update = (z + z_state).sigmoid()
                new = (n + (r + r_state).sigmoid() * n_state).tanh()
                state = new + update * (state - new)
            elif self.mode == "LSTM":
                i, f, g, o = (now + recurrent).chunk(4, -1)
                memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
                state = o.sigmoid() * memory.tanh()
            else:
                state = (now + recurrent).relu() if self.mode == "RNN_RELU" else (now + recurrent).tanh()
            states.append(state)
        return torch.stack(states, 1)


def batchable(model: nn.Module) -> nn.Module:
    """A copy that computes what `model` computes in training mode and that vmap can batch.

    Batch norms stop tracking running statistics, which training never reads; recurrent modules are unrolled.
    """
    model = copy.deepcopy(model)
    replace_all_batch_norm_modules_(model)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.RNNBase):
                setattr(parent, name, Unrolled(child))
    return model.train()


def launch(models: dict[int, nn.Module], recipes: tuple[Recipe, ...]) -> Fleet:
    """The fleet before its first step.

    Args:
        models: the initialised model of each seed: same structure, so that recipes are compared from equal starts.
        recipes: in any order.
    """
    recipes = tuple(sorted(recipes, key=lambda recipe: recipe.optimizer != "sgd"))
    model = batchable(next(iter(models.values())))
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    starts = {
        seed: torch.cat([parameter.detach().flatten() for parameter in batchable(member).parameters()])
        for seed, member in models.items()
    }
    weights = torch.stack([starts[recipe.seed] for recipe in recipes])
    variance = torch.zeros_like(weights[sum(recipe.optimizer == "sgd" for recipe in recipes) :])
    return Fleet(model, shapes, recipes, weights, torch.zeros_like(weights), variance)


def step(fleet: Fleet, loss: Loss, inputs: Tensor, targets: Tensor) -> tuple[Fleet, Tensor, Tensor]:
    """One optimizer step of every run.

    Args:
        fleet: its matrices are changed in place; use the returned one.
        loss: of one run.
        inputs: (runs, batch, ...).
        targets: (runs, batch, ...).

    Returns:
        The fleet, and the loss and the task error of every run before the step, each (runs,).
    """

    def run(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        outputs = functional_call(fleet.model, parameters, (x,))
        return loss(outputs, y), error(outputs.detach(), y)

    pieces = fleet.weights.split([shape.numel() for shape in fleet.shapes.values()], dim=1)
    leaves = {
        name: piece.view(-1, *shape).detach().requires_grad_()
        for (name, shape), piece in zip(fleet.shapes.items(), pieces, strict=True)
    }
    with sdpa_kernel(SDPBackend.MATH):  # the one that vmap can batch
        losses, errors = vmap(run, randomness="different")(leaves, inputs, targets)
    gradients = torch.autograd.grad(losses.sum(), list(leaves.values()), allow_unused=True, materialize_grads=True)
    return _update(fleet, torch.cat([g.reshape(len(g), -1) for g in gradients], 1)), losses.detach(), errors


def _update(fleet: Fleet, gradient: Tensor) -> Fleet:
    n, t = fleet.n_sgd, fleet.steps + 1
    rate = torch.tensor([[recipe.learning_rate] for recipe in fleet.recipes]).to(gradient)
    fleet.momentum.mul_(BETA).add_(gradient, alpha=1 - BETA)
    fleet.variance.mul_(BETA2).addcmul_(gradient[n:], gradient[n:], value=1 - BETA2)
    fleet.weights[:n].addcmul_(fleet.momentum[:n], rate[:n], value=-1 / (1 - BETA))
    scale = (fleet.variance / (1 - BETA2**t)).sqrt_().add_(EPSILON)
    fleet.weights[n:].addcdiv_(fleet.momentum[n:] * rate[n:], scale, value=-1 / (1 - BETA**t))
    return replace(fleet, steps=t)


def keep(fleet: Fleet, rows: list[int]) -> Fleet:
    """The fleet with only these rows, in ascending order."""
    n = fleet.n_sgd
    adam = [row - n for row in rows if row >= n]
    return replace(
        fleet,
        recipes=tuple(fleet.recipes[row] for row in rows),
        weights=fleet.weights[rows],
        momentum=fleet.momentum[rows],
        variance=fleet.variance[adam],
    )
