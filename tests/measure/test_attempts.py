"""Trial steps against a plain training loop, and what they must not touch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradscope.learning import has_diverged, has_learned
from gradscope.measure import attempts
from gradscope.measure._losses import constant_loss, perfect_loss
from gradscope.schema import Attempt, Subject
from tests.subjects import classifier, random, subject

X = random(16, 64)
Y = torch.arange(16) % 10


def batches(seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs that show the answer through some noise."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        labels = torch.randint(10, (16,), generator=generator)
        yield torch.randn(16, 64, generator=generator) + 3 * torch.eye(10, 64)[labels], labels


def of(model: nn.Module, *, is_real: bool = True) -> Subject:
    return subject(model, X, loss=F.cross_entropy, targets=Y, batches=batches if is_real else None)


def tried(model: nn.Module, *, is_real: bool = True, **recipe: object) -> tuple[Attempt, ...]:
    found, gaps = attempts(of(model, is_real=is_real), steps=40, **recipe)  # pyright: ignore[reportArgumentType]
    assert not gaps
    return found


def test_the_losses_are_those_of_a_plain_loop() -> None:
    model = classifier(1, nn.Tanh, width=16)
    (attempt,) = tried(model, optimizer="sgd", learning_rate=0.1)

    twin = classifier(1, nn.Tanh, width=16)
    optimizer = torch.optim.SGD(twin.parameters(), 0.1, momentum=0.9)
    for (x, y), loss in zip(batches(0), attempt.losses, strict=False):
        value = F.cross_entropy(twin(x), y)
        assert loss == pytest.approx(value.item(), rel=1e-5)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert len(attempt.losses) == attempt.asked == 40


def test_the_mismatched_loss_is_the_mean_over_other_samples() -> None:
    model = classifier(1, nn.Tanh, width=16)
    (attempt,) = tried(model, is_real=False, optimizer="adam", learning_rate=1e-3)
    with torch.no_grad():
        output = model(X)
        others = [F.cross_entropy(output, Y.roll(shift)).item() for shift in range(1, 16)]

    assert attempt.mismatched[0] == pytest.approx(sum(others) / 15, rel=0.05)
    assert attempt.errors[0] == pytest.approx((output.argmax(1) != Y).double().mean().item())


@pytest.mark.parametrize("is_real", [True, False])
def test_a_sound_model_learns_and_one_that_ignores_its_input_does_not(is_real: bool) -> None:
    class Deaf(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = classifier(1, nn.ReLU)

        def forward(self, x: Tensor) -> Tensor:
            return self.body(0 * x)

    assert any(map(has_learned, tried(classifier(1, nn.ReLU), is_real=is_real)))
    assert not any(map(has_learned, tried(Deaf(), is_real=is_real)))


@pytest.mark.parametrize("factor", [1.0, 1e4])
@pytest.mark.parametrize(("optimizer", "rate"), [(None, None), ("sgd", None), ("adam", 1e-3), (None, 1e-2)])
def test_no_more_steps_are_taken_than_allowed_and_only_with_what_was_asked(
    factor: float, optimizer: str | None, rate: float | None
) -> None:
    class Counted(nn.Module):
        runs = 0

        def __init__(self) -> None:
            super().__init__()
            self.body = classifier(2, nn.ReLU)

        def forward(self, x: Tensor) -> Tensor:
            Counted.runs += 1
            return self.body(factor * x)

    found = tried(Counted(), optimizer=optimizer, learning_rate=rate)

    assert Counted.runs <= sum(attempt.asked for attempt in found) <= 40
    assert optimizer is None or {attempt.optimizer for attempt in found} == {optimizer}
    assert rate is None or {attempt.learning_rate for attempt in found} == {rate}


def test_where_it_diverges_a_lower_learning_rate_is_tried() -> None:
    loud = subject(nn.Linear(64, 3), 100 * X, loss=F.mse_loss, targets=random(16, 3))
    (first, second), _ = attempts(loud, steps=40, optimizer="sgd")

    assert has_diverged(first)
    assert second.learning_rate == first.learning_rate / 10
    assert first.asked + second.asked == 40


def test_a_diverging_attempt_ends_early() -> None:
    model = nn.Linear(64, 10)
    (attempt,) = tried(model, optimizer="sgd", learning_rate=1e30)

    assert has_diverged(attempt)
    assert len(attempt.losses) < attempt.asked


def test_the_model_its_gradients_and_the_random_state_are_untouched() -> None:
    model = nn.Sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 10))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    tried(model)

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_model_that_cannot_be_trained_is_a_gap_with_a_reason() -> None:
    class Broken(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            if len(input) == 16 and self.training:
                raise RuntimeError("no training today")
            return super().forward(input)

    found, (gap,) = attempts(of(Broken(64, 10)), steps=4)

    assert found == ()
    assert "no training today" in gap.reason


def test_without_targets_to_exchange_nothing_is_known_of_knowledge() -> None:
    found, _ = attempts(subject(nn.Linear(64, 3), X), steps=10)

    assert found and not found[0].mismatched and not found[0].errors
    assert not has_learned(found[0])


def test_the_best_constant_answer_costs_the_entropy_or_the_variance() -> None:
    output = torch.zeros(16, 10)
    labels = of(nn.Linear(64, 10), is_real=False)
    shares = Y.bincount() / 16
    values = subject(nn.Linear(64, 3), X, loss=F.mse_loss, targets=random(16, 3))

    assert constant_loss(labels, output).value == pytest.approx(-(shares * shares.log()).sum().item(), rel=1e-3)
    assert constant_loss(values, torch.zeros(16, 3)).value == pytest.approx(
        values.targets.var(0, unbiased=False).mean().item(), rel=1e-4
    )


def test_a_loss_that_falls_without_end_has_no_least_constant_answer() -> None:
    flipped = subject(nn.Linear(64, 10), X, loss=lambda y, t: -F.cross_entropy(y, t), targets=Y)

    assert constant_loss(flipped, torch.zeros(16, 10)).status == "nonfinite"


def test_the_right_answer_costs_nothing_where_the_loss_asks_for_it() -> None:
    assert perfect_loss(of(nn.Linear(64, 10)), torch.zeros(16, 10)).value < 1e-3
    assert perfect_loss(subject(nn.Linear(64, 3), X, loss=F.mse_loss, targets=X), X).value == 0
    assert not perfect_loss(subject(nn.Linear(64, 3), X), X).is_known
