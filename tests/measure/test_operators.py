"""Jacobians of whole networks, where samples meet and where they do not."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradscope import capture
from gradscope.borrow import borrowed
from gradscope.config import Config
from gradscope.measure._jacobian_operator import DisagreementError, JacobianOperator
from gradscope.measure._jacobians import recorded
from gradscope.measure._operators import ends, network_spectrum, separate_samples
from gradscope.measure._trace import Trace
from gradscope.schema import Estimate
from gradscope.spectra import operator_norm
from tests.reference import dense_jacobian
from tests.subjects import random, subject


class Shifted(nn.Module):
    """Every sample hears from the one before it; the first hears from none."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.5 * torch.cat((torch.zeros_like(x[:1]), x[:-1]))


class Half(torch.autograd.Function):
    """The identity with half its derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        return grad_outputs[0] / 2

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return tangents[0].clone()


class Halved(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Half.apply(x)  # type: ignore[return-value]


def norm_of(model: nn.Module, x: Tensor, samples: int | None, *, training: bool) -> tuple[int | None, Estimate]:
    examined, trace = subject(model, x, training=training), Trace()
    with borrowed(model, training=training, seed=0):
        try:
            with trace:
                graph, run = capture.graph(examined, trace, keep_edges=True)
            found = separate_samples(graph, run, trace, len(x), 0)
            config = Config(network_iterations=40, network_iterations_most=40)
            return found, network_spectrum(graph, run, trace, config, 0, samples)["jacobian_spectral_norm"]
        finally:
            trace.release()


def network() -> nn.Sequential:
    torch.nn.init.normal_((first := nn.Linear(6, 8)).weight, generator=torch.Generator().manual_seed(1))
    return nn.Sequential(first, nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 5))


def test_samples_that_do_not_meet_are_found_and_give_the_same_norm() -> None:
    model, x = network(), random(3, 6)
    truth = torch.linalg.matrix_norm(dense_jacobian(model.double().eval(), x), 2).item()
    model.float()
    found, norm = norm_of(model, x, 3, training=False)
    assert found == 3
    assert norm.value == pytest.approx(truth, rel=1e-4)


def test_samples_that_meet_in_batch_statistics_are_not_taken_for_separate_samples() -> None:
    assert norm_of(network(), random(3, 6), None, training=True)[0] is None


def test_a_leak_in_one_direction_is_noticed_by_the_products() -> None:
    model, x = nn.Sequential(nn.Linear(6, 6), Shifted()), random(3, 6)
    truth = torch.linalg.matrix_norm(dense_jacobian(model.double().eval(), x), 2).item()
    model.float()
    found, norm = norm_of(model, x, 3, training=False)
    assert found == 3, "the first sample alone cannot tell"
    assert norm.value == pytest.approx(truth, rel=1e-4)


class Strict(nn.Module):
    """Reads the memory of a convolution's output in the order of its channels."""

    def __init__(self, read: str) -> None:
        super().__init__()
        self.conv, self.read = nn.Conv2d(2, 3, 3), read

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.read == "view":
            return x.view(len(x), -1)
        if self.read == "as_strided":
            return x.as_strided((len(x), x[0].numel()), (x[0].numel(), 1))
        return x.flatten(1)


@pytest.mark.parametrize("read", ["view", "as_strided", "flatten"])
def test_a_model_that_asks_for_its_memory_is_run_as_it_is_given(read: str) -> None:
    model, x = Strict(read), random(2, 2, 6, 5)
    examined, trace = subject(model, x, training=False), Trace()
    with borrowed(model, training=False, seed=0):
        try:
            graph, run = recorded(examined, capture.graph, trace)
            norm = network_spectrum(graph, run, trace, Config(network_iterations=40), 0)["jacobian_spectral_norm"]
        finally:
            trace.release()
    truth = torch.linalg.matrix_norm(dense_jacobian(model.double(), x), 2).item()
    assert norm.value == pytest.approx(truth, rel=1e-4)


@pytest.mark.parametrize("outputs", [6, 8, 40])
def test_replay_and_run_are_held_against_each_other_where_they_can_be_told_apart(outputs: int) -> None:
    model, x = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, outputs)), random(3, 8)
    trace = Trace()
    with borrowed(model, training=False, seed=0):
        graph, run = recorded(subject(model, x, training=False), capture.graph, trace)
    found = ends(graph, run)
    assert found is not None
    truth = torch.linalg.matrix_norm(dense_jacobian(deepcopy(model).double(), x), 2).item()
    for seed in range(20):
        operator = replace(JacobianOperator.between(run, trace, *found), replay=trace.replay(*found))
        start = operator.start(torch.Generator().manual_seed(seed))
        norm = operator_norm(*operator.sides, start, tolerance=1e-3, probability=1e-2)
        assert norm.value == pytest.approx(truth, rel=1e-3)
        assert operator._unchecked == 0


def test_a_wrong_adjoint_of_the_replay_is_noticed() -> None:
    model, x = nn.Sequential(nn.Linear(8, 8), Halved()), random(3, 8)
    trace = Trace()
    with borrowed(model, training=False, seed=0):
        graph, run = recorded(subject(model, x, training=False), capture.graph, trace)
    found = ends(graph, run)
    assert found is not None
    operator = replace(JacobianOperator.between(run, trace, *found), replay=trace.replay(*found))
    with pytest.raises(DisagreementError):
        operator_norm(*operator.sides, operator.start(torch.Generator()), tolerance=1e-3, probability=1e-2)


class Kept(nn.Module):
    """Returns what it reads on, as a cache is, before what it computes of it; the winners too, if they are wanted."""

    def __init__(self, *, has_winners: bool) -> None:
        super().__init__()
        self.first, self.last, self.has_winners = nn.Linear(5, 7), nn.Linear(7, 3), has_winners

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        kept = self.first(x)
        result = self.last(kept)
        return (kept, result, result.argmax(-1)) if self.has_winners else (kept, result)


@pytest.mark.parametrize("has_winners", [False, True])
def test_the_main_output_is_the_first_that_is_not_read_on(has_winners: bool) -> None:
    trace = Trace()
    with borrowed(model := Kept(has_winners=has_winners), training=False, seed=0):
        graph, run = recorded(subject(model, random(3, 5), training=False), capture.graph, trace)
    found = ends(graph, run)
    assert found is not None
    assert graph.nodes[found[1]].name == "last"
