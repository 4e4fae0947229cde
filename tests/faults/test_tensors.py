"""Parameters of every kind, and what goes wrong in the backward pass."""

from __future__ import annotations

import pytest
import torch

from tests.faults.faulty import HEAD, check_sentence, load, net

BROKEN = {
    "NaN": ("with torch.no_grad(): self.a.weight[1, 2] = float('nan')", r"a.weight \(8, 4\) holds 1 value that"),
    "infinite": ("nn.init.constant_(self.b.bias, float('inf'))", r"b.bias \(3,\) holds 3 values that"),
    "half overflow": ("self.a.weight.data *= 1e30; self.half()", "a.weight .* NaN or infinite"),
    "meta": ("self.a = nn.Linear(4, 8, device='meta')", "a.weight .*meta device.*on the CPU"),
    "all meta": ("self.to('meta')", "meta device"),
    "sparse": ("self.s = nn.Parameter(torch.eye(3).to_sparse())", "s .* is sparse"),
    "all frozen": ("self.requires_grad_(False)", "no trainable parameter: requires_grad is False on all 4"),
    "quantized": (
        "self.q = torch.ao.nn.quantized.dynamic.Linear(4, 3)",
        "is quantized, and quantized weights have no gradient",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.filterwarnings("ignore")
def test_parameters_that_cannot_be_analysed(name, tmp_path):
    init, says = BROKEN[name]
    check_sentence(net(init), says, tmp_path)


def test_no_parameters(tmp_path):
    check_sentence(HEAD + "model = nn.ReLU()\n", "has no parameters, so there is nothing to train", tmp_path)


def test_parameters_that_raise(tmp_path):
    text = net() + "    def named_parameters(self, *a, **k): raise RuntimeError('hidden')\n"
    check_sentence(text, "Reading the parameters .*RuntimeError: hidden", tmp_path)


SOUND = {
    "zeros": "for p in self.parameters(): nn.init.zeros_(p)",
    "half": "self.half()",
    "bfloat16": "self.bfloat16()",
    "double": "self.double()",
    "huge": "self.a.weight.data *= 1e18",
    "mixed types": "self.register_buffer('n', torch.arange(3))",
    "partly frozen": "self.a.requires_grad_(False)",
    "not contiguous": "self.a.weight.data = torch.randn(4, 8).t()",
    "expanded": "self.a.bias.data = torch.zeros(1).expand(8)",
    "scalar parameter": "self.s = nn.Parameter(torch.tensor(1.0))",
    "empty parameter": "self.s = nn.Parameter(torch.empty(0))",
    "parameter list": "self.p = nn.ParameterList([nn.Parameter(torch.ones(2))])",
    "lazy": "self.a = nn.LazyLinear(8)",
    "None parameter": "self.register_parameter('none', None)",
    "gradient there already": "self.a.weight.grad = torch.ones(8, 4)",
}


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.filterwarnings("ignore")
def test_unusual_but_sound_parameters(name, tmp_path):
    subject = load(net(SOUND[name]), tmp_path)
    floating = subject.args[0].dtype
    assert floating == subject.model.b.weight.dtype
    assert subject.rebuild is not None
    again, original = subject.rebuild().state_dict(), subject.model.state_dict()
    assert all(torch.equal(again[key], original[key]) for key in original)


def test_complex_parameters(tmp_path):
    text = HEAD + "model = nn.Linear(4, 3, dtype=torch.complex64)\n"
    subject = load(text, tmp_path, inputs=torch.randn(5, 4, dtype=torch.complex64))
    loss = subject.loss(subject.model(*subject.args), subject.targets)
    assert loss.isfinite() and not loss.is_complex()


BACKWARD = {
    "in place on what is needed": "y = self.a(x).exp()\ny += 1\nreturn self.b(y)",
    "hook that raises": "y = self.a(x)\ny.register_hook(lambda g: 1 / 0)\nreturn self.b(y)",
    "own function that raises": "class Bad(torch.autograd.Function):\n"
    "            @staticmethod\n            def forward(ctx, t): return t * 1\n"
    "            @staticmethod\n            def backward(ctx, g): raise RuntimeError('no way back')\n"
    "        return self.b(Bad.apply(self.a(x)))",
}


@pytest.mark.parametrize("name", BACKWARD)
def test_a_backward_pass_that_fails_while_inputs_are_searched_for(name, tmp_path):
    check_sentence(net(forward=BACKWARD[name]), "The backward pass failed", tmp_path)
