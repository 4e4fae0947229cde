"""Training many runs at once is the same as training each by itself with torch's own modules and optimizers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.corpus.fleet import Recipe, batchable, keep, launch, step
from tests.corpus.losses import LOSSES
from tests.corpus.nets import attention, conv, mlp, recurrent

MODELS = {
    "mlp": (lambda: mlp.residual(6, 3, depth=2, width=8, norm="batch", last="rezero"), (6,)),
    "conv": (lambda: conv.residual(3, depth=1, norm="batch2d", kind="depthwise"), (1, 8, 8)),
    "transformer": (lambda: attention.TokenNetwork(5, 3, depth=1), (8, 5)),
    "lstm": (lambda: recurrent.Recurrent(5, 3, cell="lstm", hidden=8, layers=2), (7, 5)),
}


def alone(model: nn.Module, recipe: Recipe, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The weights after training with torch.optim."""
    kind = {
        "sgd": lambda p: torch.optim.SGD(p, recipe.learning_rate, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, recipe.learning_rate),
    }
    optimizer = kind[recipe.optimizer](model.parameters())
    for x, y in zip(inputs, targets, strict=True):
        optimizer.zero_grad()
        LOSSES["cross-entropy"](model(x), y).backward()
        optimizer.step()
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("name", MODELS)
def test_a_fleet_of_runs_ends_where_each_run_ends_alone(name: str) -> None:
    make, shape = MODELS[name]
    recipes = tuple(Recipe(o, lr, s) for o in ("adam", "sgd") for lr in (0.01, 0.03) for s in (0, 1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        models = {seed: make().double() for seed in (0, 1)}
        inputs = torch.randn(5, 12, *shape, dtype=torch.double)
        targets = torch.randint(3, (5, 12))
    fleet = launch(models, recipes)
    for x, y in zip(inputs, targets, strict=True):
        rows = len(fleet.recipes)
        fleet, _, _ = step(fleet, LOSSES["cross-entropy"], x.expand(rows, *x.shape), y.expand(rows, *y.shape))
        fleet = keep(fleet, list(range(len(fleet.recipes)))) if fleet.steps != 3 else keep(fleet, [0, 3, 4, 7])
    for recipe, weights in zip(fleet.recipes, fleet.weights, strict=True):
        model = make().double()
        model.load_state_dict(models[recipe.seed].state_dict())
        expected = alone(model, recipe, inputs, targets)
        # Adam divides by the root of tiny second moments, which magnifies the rounding of exact zeros' neighbours.
        torch.testing.assert_close(weights, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("cell", recurrent.CELLS)
def test_an_unrolled_cell_computes_what_torchs_own_does(cell: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = recurrent.Recurrent(5, 3, cell=cell, hidden=8, layers=2).double()
        x = torch.randn(4, 9, 5, dtype=torch.double)
    torch.testing.assert_close(batchable(model)(x), model(x), rtol=1e-12, atol=1e-12)
