"""Layers as a real run records them: what carries signal is an input of the Jacobian, nothing else is."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradscope import capture
from gradscope.borrow import borrowed
from gradscope.pytree import map_tensors, tensors_in
from gradscope.schema import LayerCall
from gradscope.spectra import LayerSpectrum, layer_spectrum
from tests.reference import DenseSpectrum, dense_spectrum
from tests.spectra.checks import assert_estimate, normal, sweep_of
from tests.subjects import subject


@dataclass
class Watch:
    """Solves every layer, beside the dense twin in the arguments that autograd sees a path to an input from."""

    found: list[tuple[LayerCall, LayerSpectrum, DenseSpectrum]] = field(default_factory=list)

    def forward(self, layer: int, call: LayerCall) -> None:
        if call.op == "input":
            return
        result, signals = layer_spectrum(call, sweep_of()), []
        if call.op == "setitem" or not call.output.numel():  # nothing that autograd's jacobian could differentiate
            self.found.append((call, result, DenseSpectrum(torch.empty(0), 1)))
            return
        for tensor in tensors_in((call.args, call.kwargs)):
            if tensor.requires_grad and not any(tensor is s for s in signals):
                signals.append(tensor)

        def run(*values: Tensor) -> Any:
            def swap(leaf: Tensor) -> Tensor:
                if not leaf.is_floating_point():
                    return leaf
                return next((v for v, s in zip(values, signals, strict=True) if s is leaf), leaf.detach().double())

            args, kwargs = map_tensors((call.args, dict(call.kwargs)), swap)
            return call.function(*args, **kwargs)

        with torch.enable_grad():
            self.found.append((call, result, dense_spectrum(run, *signals)))

    def backward(self, layer: int, gradient: Tensor) -> None: ...


class Model(nn.Module):
    """Runs a function, and holds a table and a weight of parameters that want no gradient."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function
        self.register_buffer("table", normal(8, 6, seed=1))
        self.weight = nn.Parameter(normal(6, 6, seed=2), requires_grad=False)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


NORMALIZED = {
    "layer_norm": lambda m, x: F.layer_norm(x, (6,), torch.sin(x[0]), m.table[0]),
    "layer_norm shift": lambda m, x: F.layer_norm(x, (6,), m.table[0], torch.sin(x[0])),
    "rms_norm": lambda m, x: F.rms_norm(x, (6,), torch.sin(x[0])),
    "group_norm": lambda m, x: F.group_norm(x, 2, torch.sin(x[0])),
    "batch_norm": lambda m, x: F.batch_norm(x, None, None, torch.sin(x[0]), None, True),
    "batch_norm of torch": lambda m, x: torch.batch_norm(
        x, m.table[0], m.table[1], m.table[2], m.table[3].square(), False, 0.1, 1e-5, False
    ),
    "instance_norm": lambda m, x: F.instance_norm(x[None], weight=torch.sin(x[:, 0])),
    "instance_norm of torch": lambda m, x: torch.instance_norm(
        x[None], m.table[:4, 0], m.table[:4, 1], None, None, True, 0.1, 1e-5, False
    ),
}
COMPUTED = {
    "linear weight": lambda m, x: F.linear(x, torch.tanh(x)),
    "linear bias": lambda m, x: F.linear(x, m.weight, torch.tanh(x[0])),
    "convolution weight": lambda m, x: F.conv1d(x[None], torch.tanh(x[:, None, :3]).expand(4, 4, 3)),
    "convolution bias": lambda m, x: F.conv1d(x[None], m.table[:4, :4, None], torch.tanh(x[:, 0])),
    "convolution of a constant": lambda m, x: F.conv1d(m.table[None, :4], torch.tanh(x[None])),
    "transposed convolution weight": lambda m, x: F.conv_transpose1d(x[None], torch.tanh(x[:, None, :2])),
    "slopes": lambda m, x: F.prelu(x, torch.tanh(x[0])),
    "table": lambda m, x: F.embedding(torch.tensor([[2, 0, 2]]), x),
    "weights of a bag": lambda m, x: F.embedding_bag(
        torch.tensor([[1, 0], [2, 2]]), m.table, None, None, 2.0, False, "sum", False, x[:2, :2]
    ),
}
CONSTANT = {
    "buffer added": lambda m, x: x + m.table[:4],
    "buffer multiplied": lambda m, x: x * torch.cos(m.table[:4]),
    "buffer joined": lambda m, x: torch.cat((m.table, x)),
    "weight made of parameters": lambda m, x: F.linear(x, m.weight @ m.weight),
    "mask made on the way": lambda m, x: x + torch.zeros(6).masked_fill(torch.arange(6) > 2, -3.0),
    "a new tensor": lambda m, x: torch.full((6,), 2.0).sub(x),
    "parameter of the input's shape": lambda m, x: m.weight[:4].expand_as(x) * x,
}


def solved(function: Any) -> list[tuple[LayerCall, LayerSpectrum, DenseSpectrum]]:
    """Every layer of a run, its spectrum compared with the dense twin's."""
    watch, model = Watch(), Model(function)
    with borrowed(model, training=False, seed=0):
        capture.graph(subject(model, normal(4, 6)), watch)
    assert watch.found
    for call, result, twin in watch.found:
        assert result.gap is None, f"{call.op}: {result.gap}"
        if result.spectral_norm is None:
            assert twin.spectral_norm == 0, call.op
        elif call.op != "setitem":
            assert_estimate(result.spectral_norm, twin.spectral_norm)
    return watch.found


@pytest.mark.parametrize("case", {**NORMALIZED, **COMPUTED, **CONSTANT})
def test_what_carries_signal_is_an_input_and_nothing_else_is(case: str) -> None:
    solved({**NORMALIZED, **COMPUTED, **CONSTANT}[case])


def assigned(m: Model, x: Tensor) -> Tensor:
    y = x.sin()
    y[1:3, ::2] = torch.cos(x[0, :3])
    y[0] = 2.0
    return y * 2


STOPPED = {
    "straight through": lambda m, x: x + (x.round() - x).detach(),
    "without gradient": lambda m, x: x * torch.no_grad()(torch.sin)(x),
    "of the input's shape": lambda m, x: x + torch.ones_like(x),
    "one row for all": lambda m, x: m.table[:1].expand_as(x) + x,
}
SAME = {
    "einsum of one tensor": lambda m, x: torch.einsum("ij,ij->i", x, x),
    "einsum that repeats": lambda m, x: torch.einsum("ij,jk->ik", x[:, :1], torch.sin(x.T)),
    "accumulated": lambda m, x: x.index_put((torch.tensor([0, 0]),), torch.sin(x[:2]), accumulate=True),
}
EMPTY = {
    "linear": lambda m, x: F.linear(x[:0], m.weight),
    "scaling": lambda m, x: x[:0] * 2,
    "softmax": lambda m, x: x[:0].softmax(-1),
    "joined": lambda m, x: torch.cat((torch.sin(x[:0]), torch.sin(x))),
    "summed": lambda m, x: x[:0].sum(0),
    "normalized": lambda m, x: F.batch_norm(x[:0], m.table[0], m.table[1].square()),
}


@pytest.mark.parametrize("case", {**STOPPED, **SAME, **EMPTY})
def test_unusual_calls_match_dense(case: str) -> None:
    solved({**STOPPED, **SAME, **EMPTY}[case])


def test_what_is_written_into_a_tensor_is_a_layer() -> None:
    found = [(call, result) for call, result, _ in solved(assigned) if call.op == "setitem"]
    both, mask = found[0][1], found[1][1]
    assert both.spectral_norm.value == pytest.approx(2**0.5)  # a row that is written to two
    assert both.rms_gain.value == pytest.approx((24 / (24 + 3)) ** 0.5)
    assert mask.spectral_norm.value == 1 and mask.rms_gain.value == pytest.approx((18 / 24) ** 0.5)
