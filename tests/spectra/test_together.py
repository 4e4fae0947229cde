"""Weights of equal shape in one batch: the same numbers as one by one, and nothing left to solve."""

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from gradscope.spectra import Sweep, layer_spectrum, solve_together
from gradscope.spectra._batched import solve_each
from gradscope.spectra._lanczos import solve, spectral_norm
from gradscope.spectra._matrix import _Matrices
from gradscope.spectra._stopping import fixed
from tests.reference import call_of
from tests.spectra.checks import normal, sweep_of

CPU = ("cpu",)


def network(*, scale=1.0):
    layers = [nn.Linear(120, 130, bias=False) for _ in range(4)]
    for i, layer in enumerate(layers):
        layer.weight.data = scale * (i + 1) * normal(130, 120, seed=i)
    return nn.ModuleList(layers)


@pytest.mark.parametrize("steps", [4, 12, 30])
def test_a_batch_takes_the_steps_of_each(steps):
    matrices, starts = normal(5, 60, 40), normal(5, 40, seed=1)
    goal = fixed(steps, 0.05)
    together = solve_each(_Matrices(matrices), starts, goal)
    for matrix, start, found in zip(matrices, starts, together, strict=True):
        bidiagonal, is_settled = solve(matrix.mv, matrix.mT.mv, start, goal)
        alone = spectral_norm(bidiagonal, is_settled, probability=0.01, method="lanczos")
        assert found.low == pytest.approx(alone.low, rel=1e-5)
        assert found.high == pytest.approx(alone.high, rel=1e-4)


@pytest.mark.parametrize("options", [{}, {"is_certified": True}])
def test_the_pass_finds_the_same_numbers(options):
    model = network()
    sweep, plain = sweep_of(**options), sweep_of(**options)
    solve_together(model, sweep, devices=CPU)
    for layer in model:
        truth = torch.linalg.svdvals(layer.weight.double())[0].item()
        call = call_of(layer, normal(2, 120))
        ahead, alone = layer_spectrum(call, sweep), layer_spectrum(call, plain)
        for found in (ahead.spectral_norm, alone.spectral_norm):
            assert found.low <= truth * (1 + 1e-5) and truth <= found.high * (1 + 1e-5)
            assert found.value == pytest.approx(truth, rel=1e-3)
        assert ahead.rms_gain == alone.rms_gain


def test_nothing_is_left_to_solve(monkeypatch):
    model, sweep = network(), sweep_of()
    solve_together(model, sweep, devices=CPU)
    monkeypatch.setattr(Sweep, "start", lambda *_, **__: pytest.fail("an iteration was started"))
    for layer in model:
        assert layer_spectrum(call_of(layer, normal(2, 120)), sweep).gap is None


def test_transposed_weights_are_read_as_their_rule_reads_them(monkeypatch):
    model, sweep = nn.ModuleList([Conv1D(130, 120) for _ in range(3)]), sweep_of()
    solve_together(model, sweep, devices=CPU)
    monkeypatch.setattr(Sweep, "start", lambda *_, **__: pytest.fail("an iteration was started"))
    for layer in model:
        truth = torch.linalg.svdvals(layer.weight.double())[0].item()
        assert layer_spectrum(call_of(layer, normal(2, 120)), sweep).spectral_norm.value == pytest.approx(truth, 1e-3)


def test_weights_that_are_not_finite_are_left_to_the_pass():
    model, sweep = network(), sweep_of()
    model[1].weight.data[0, 0] = torch.nan
    solve_together(model, sweep, devices=CPU)
    statuses = [layer_spectrum(call_of(layer, normal(2, 120)), sweep).spectral_norm.status for layer in model]
    assert statuses == ["ok", "nonfinite", "ok", "ok"]


def test_a_cpu_solves_one_at_a_time():
    sweep = sweep_of()
    solve_together(network(), sweep)
    assert not sweep._solved
