"""The noise scale is right where it is known, and is not given where it cannot be told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from gradscope.prescribe._training import ADAM
from gradscope.prescribe.accumulation import BATCHES, Noise, accumulation, gradients, noise
from tests.prescribe.test_learning_rate import rehearsal


def drawn(signal: float, deviation: float, size: int = 500, seed: int = 0):
    """Gradients of a known mean (all entries `signal`) and standard deviation."""

    def draw() -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        for _ in range(BATCHES):
            yield signal + deviation * torch.randn(size, dtype=torch.float64, generator=generator)

    return draw


@pytest.mark.parametrize(("signal", "deviation"), [(1.0, 0.5), (1.0, 2.0), (0.3, 1.0)])
def test_signal_and_noise_are_found(signal: float, deviation: float) -> None:
    found = noise(drawn(signal, deviation))
    print(found)
    assert found.is_certain
    assert found.noise == pytest.approx(500 * deviation**2, rel=0.1)
    assert abs(found.signal - 500 * signal**2) < 3 * found.error


def test_the_estimate_is_unbiased_and_its_error_is_honest() -> None:
    found = [noise(drawn(0.2, 1.0, size=50, seed=seed)) for seed in range(200)]
    signals = torch.tensor([one.signal for one in found])
    errors = torch.tensor([one.error for one in found])
    assert abs(float(signals.mean()) - 50 * 0.04) < 3 * float(signals.std()) / 200**0.5
    assert float(errors.square().mean().sqrt()) == pytest.approx(float(signals.std()), rel=0.25)


def test_pure_noise_is_never_certain_of_a_scale() -> None:
    uncertain = [not noise(drawn(0.0, 1.0, seed=seed)).is_certain for seed in range(50)]
    assert sum(uncertain) >= 45


def test_it_equals_the_definition_with_all_gradients_at_hand() -> None:
    stack = torch.stack(list(drawn(0.5, 1.0)()))
    mean = stack.mean(0)
    spread = (stack - mean).square().sum() / (BATCHES - 1)
    found = noise(drawn(0.5, 1.0))
    assert found.noise == pytest.approx(float(spread))
    assert found.signal == pytest.approx(float(mean @ mean - spread / BATCHES))
    assert Noise(2.0, 0.1, 8.0).scale == 4.0


def test_gradients_are_those_of_the_batches() -> None:
    one = rehearsal(nn.Linear(64, 10), ADAM)
    model = nn.Linear(64, 10)
    (batch,) = one.arena.batches(0)[:1]
    (found,) = gradients(model, [batch], one.arena.task.loss, seed=0)
    one.arena.task.loss(model(*batch.args), batch.targets).backward()
    assert torch.allclose(found.float(), torch.cat([p.grad.flatten() for p in model.parameters()]))


def test_a_real_model_gets_a_number_or_a_bound() -> None:
    found = accumulation(rehearsal(nn.Linear(64, 10), ADAM))
    print(found)
    assert found["batch_size"] == 64
    assert ("batches_worth_averaging" in found) == ("gradient_noise_scale" in found)
    assert ("gradient_noise_scale_at_least" in found) != ("gradient_noise_scale" in found)
