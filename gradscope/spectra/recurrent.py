"""Recurrent layers: the whole sequence as one operator, and how much of an input reaches the last state."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from gradscope.pytree import map_tensors
from gradscope.schema import Estimate, LayerCall
from gradscope.spectra._batched import solve_each
from gradscope.spectra._generic import analyse
from gradscope.spectra._linearize import NotAnalysedError, Operator, linearize
from gradscope.spectra._matrix import real
from gradscope.spectra._replay import replay
from gradscope.spectra._rules import argument, rule
from gradscope.spectra._spectrum import LayerSpectrum
from gradscope.spectra._sweep import Sweep


@rule("RNN", "LSTM", "GRU")
def recurrent(call: LayerCall, sweep: Sweep) -> LayerSpectrum:
    """The output sequence with respect to the input sequence (and to a given first state).

    `quantities` tell the reach through time: "lag_1", "lag_2", "lag_4", ... up to the whole length are the spectral
    norms of ∂(last output) / ∂(input that many steps earlier), for the first sample.
    """
    result = analyse(call, sweep, select=lambda output: output[0])
    x = argument(call, 0, "input")
    if result.spectral_norm is None or not result.spectral_norm.is_known or not isinstance(x, Tensor):
        return result
    return replace(result, quantities={**result.quantities, **_reach(call, sweep)})


def _reach(call: LayerCall, sweep: Sweep) -> dict[str, Estimate]:
    """Spectral norms by lag, all lags in one batch of copies of the first sample."""
    module = call.module
    assert isinstance(module, nn.RNNBase)
    x = real(argument(call, 0, "input"))
    x = x[:, None] if x.ndim == 2 else x.transpose(0, 1) if module.batch_first else x  # (time, batch, features)
    length = len(x)
    lags = sorted({2**i for i in range(length.bit_length()) if 2**i < length} | {length - 1} - {0})
    if not lags:
        return {}
    copies = x[:, :1].repeat(1, len(lags), 1)
    last = module.hidden_size if module.proj_size == 0 else module.proj_size
    states = map_tensors(argument(call, 1, "hx"), lambda state: _first(state, len(lags)))
    single = replace(call, args=(copies, states), kwargs={})
    run = replay(single, [copies], attributes={"batch_first": False})
    try:
        operator = linearize(lambda z: run(z)[0][-1, :, :last], [copies], sweep.generator)
    except NotAnalysedError:  # the layer itself was analysed: only the reach stays unknown
        return {}
    systems = _Lags(
        operator, tuple(copies.shape), torch.tensor([length - 1 - lag for lag in lags]), torch.arange(len(lags))
    )
    start = sweep.start(len(lags), x.shape[2], like=x)
    estimates = solve_each(systems, start, sweep.goal(coarse=6, fine=16, early=4))
    return {f"lag_{lag}": estimate for lag, estimate in zip(lags, estimates, strict=True)}


def _first(state: Tensor, copies: int) -> Tensor:
    """The first sample's state, (layers, features) or (layers, batch, features), for as many copies of it."""
    return (state[:, None] if state.ndim == 2 else state[:, :1]).repeat(1, copies, 1)


@dataclass(frozen=True, slots=True)
class _Lags:
    """∂(last output of copy i) / ∂(its input at `times[i]`), for the copies `rows` of one sample.

    Attributes:
        operator: the Jacobian of all copies together.
        shape: of its input: (time, copies, features).
    """

    operator: Operator
    shape: tuple[int, ...]
    times: Tensor
    rows: Tensor

    def matvec(self, v: Tensor) -> Tensor:
        sequence = v.new_zeros(self.shape)
        sequence[self.times.to(v.device), self.rows.to(v.device)] = v
        return self.operator.matvec(sequence.flatten()).view(self.shape[1], -1)[self.rows.to(v.device)]

    def rmatvec(self, u: Tensor) -> Tensor:
        states = u.new_zeros(self.shape[1], u.shape[1])
        states[self.rows.to(u.device)] = u
        sequence = self.operator.rmatvec(states.flatten()).view(self.shape)
        return sequence[self.times.to(u.device), self.rows.to(u.device)]

    def keep(self, rows: Tensor) -> _Lags:
        rows = rows.cpu()
        return replace(self, times=self.times[rows], rows=self.rows[rows])
