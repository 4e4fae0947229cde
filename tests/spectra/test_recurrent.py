import copy

import pytest
import torch
from torch import nn

from gradscope.spectra import layer_spectrum
from tests.reference import call_of, dense_jacobian, dense_spectrum
from tests.spectra.checks import assert_dense, assert_estimate, drawn, normal, sweep_of

SHAPES = [(1, 1, 2), (4, 2, 3), (7, 1, 2), (2, 3, 4), (6, 2, 2)]


def first_output(layer):
    layer = copy.deepcopy(layer).double()
    return lambda *x: layer(*x)[0]


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("shape", SHAPES)
def test_recurrent_layer_matches_dense(cell, shape):
    layer, x = drawn(cell(shape[2], 5)), normal(*shape)
    assert_dense(layer, x, twin=dense_spectrum(first_output(layer), x))


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
def test_deep_bidirectional_layer_matches_dense(cell):
    layer, x = drawn(cell(3, 4, num_layers=2, bidirectional=True, batch_first=True)), normal(2, 5, 3)
    assert_dense(layer, x, twin=dense_spectrum(first_output(layer), x))


def test_first_state_is_an_input_too():
    layer, x, h = drawn(nn.GRU(3, 4)), normal(5, 2, 3), normal(1, 2, 4, seed=1)
    assert_dense(layer, x, h, twin=dense_spectrum(first_output(layer), x, h))


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.GRUCell])
@pytest.mark.parametrize("batch", [1, 2, 3, 5, 9])
def test_cell_matches_dense(cell, batch):
    assert_dense(drawn(cell(3, 4)), normal(batch, 3), normal(batch, 4, seed=1))


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 9])
def test_lstm_cell_matches_dense(batch):
    layer, x, h, c = drawn(nn.LSTMCell(3, 4)), normal(batch, 3), normal(batch, 4, seed=1), normal(batch, 4, seed=2)
    twin = copy.deepcopy(layer).double()
    assert_dense(layer, x, (h, c), twin=dense_spectrum(lambda x, h, c: twin(x, (h, c)), x, h, c))


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("batch_first", [True, False])
def test_reach_through_time_matches_dense(cell, batch_first):
    layer, length = drawn(cell(3, 5, batch_first=batch_first)), 9
    x = normal(2, length, 3) if batch_first else normal(length, 2, 3)
    quantities = layer_spectrum(call_of(layer, x), sweep_of()).quantities
    assert {name for name in quantities if name.startswith("lag_")} == {"lag_1", "lag_2", "lag_4", "lag_8"}
    sample = x[:1] if batch_first else x[:, :1]
    function = first_output(layer)
    jacobian = dense_jacobian(lambda z: function(z)[:, -1] if batch_first else function(z)[-1], sample)
    for lag in (1, 2, 4, 8):
        at = 3 * (length - 1 - lag)
        truth = torch.linalg.svdvals(jacobian[:, at : at + 3])[0].item()
        assert_estimate(quantities[f"lag_{lag}"], truth)


def test_a_contracting_recurrence_forgets_at_its_rate():
    layer = nn.RNN(4, 4, nonlinearity="relu")
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(torch.eye(4) * (0.5 if "hh" in name else 1) if parameter.ndim == 2 else torch.zeros(4))
    quantities = layer_spectrum(call_of(layer, normal(17, 1, 4).abs()), sweep_of()).quantities
    for lag in (1, 4, 16):
        assert quantities[f"lag_{lag}"].value == pytest.approx(0.5**lag, rel=1e-4)


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
def test_reach_starts_from_the_given_state(cell):
    layer, x, h, c = drawn(cell(3, 5)), normal(6, 2, 3), 2 * normal(1, 2, 5, seed=1), normal(1, 2, 5, seed=2)
    state = (h, c) if cell is nn.LSTM else h
    found = layer_spectrum(call_of(layer, x, state), sweep_of()).quantities
    first = tuple(t[:, :1].double() for t in state) if cell is nn.LSTM else h[:, :1].double()
    twin = copy.deepcopy(layer).double()
    jacobian = dense_jacobian(lambda z: twin(z, first)[0][-1], x[:, :1])
    for lag in (1, 4):
        at = 3 * (5 - lag)
        assert_estimate(found[f"lag_{lag}"], torch.linalg.svdvals(jacobian[:, at : at + 3])[0].item())
