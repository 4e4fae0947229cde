"""Badly scaled real data are standardized on their way in; good or invented data are left alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gradscope.prescribe._remedy import Case
from tests.prescribe.cases import case, changes, cured

X = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))
BAD = {"offset": X + 10, "large": 100 * X, "small": X / 100, "one column": X * torch.tensor([1e3, *[1.0] * 7])}


def with_data(x: Tensor, model: nn.Module | None = None) -> Case:
    model = model or nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    return case(model, x[:4], batches=lambda seed: [(x, None)])


@pytest.mark.parametrize("name", BAD)
def test_the_first_layer_sees_standardized_columns(name: str) -> None:
    done = cured("input-standardization", with_data(BAD[name]))
    seen: list[Tensor] = []
    done[0].register_forward_hook(lambda module, args, output: seen.append(args[0]))
    done(BAD[name])
    if name == "one column":  # the others are small beside it and are not blown up to its size
        assert float(seen[0].std(0)[0]) == pytest.approx(1.0, rel=0.01)
        assert float(seen[0].std(0).max()) < 1.01
    else:
        assert torch.allclose(seen[0].mean(0), torch.zeros(8), atol=1e-4)
        assert torch.allclose(seen[0].std(0), torch.ones(8), atol=0.01)


def test_images_are_standardized_as_a_whole() -> None:
    images = 128 + 40 * torch.randn(32, 3, 8, 8)
    done = cured("input-standardization", with_data(images, nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten())))
    seen: list[Tensor] = []
    done[0].register_forward_hook(lambda module, args, output: seen.append(args[0]))
    done(images)
    assert float(seen[0].mean()) == pytest.approx(0, abs=1e-4)
    assert float(seen[0].std()) == pytest.approx(1, rel=1e-4)


def test_good_data_are_left_alone() -> None:
    assert changes("input-standardization", with_data(X)) == []


def test_invented_inputs_are_left_alone() -> None:
    assert changes("input-standardization", case(nn.Linear(8, 2), 100 * X)) == []


def test_tokens_and_several_inputs_are_left_alone() -> None:
    tokens = torch.randint(1000, (4, 8))
    model = nn.Sequential(nn.Embedding(1000, 4), nn.Flatten(), nn.Linear(32, 2))
    assert changes("input-standardization", with_data(tokens, model)) == []
    assert changes("input-standardization", case(nn.Bilinear(8, 8, 2), X, X, batches=lambda s: [((X, X), None)])) == []
