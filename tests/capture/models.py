"""Small models, one for each thing that a model can do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint


class Model(nn.Module):
    """Parts, and a function of them: the forward pass."""

    def __init__(self, run: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(self, *args, **kwargs)


class Case(NamedTuple):
    build: Callable[[], nn.Module]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def linear() -> nn.Linear:
    return nn.Linear(6, 6)


def block() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.GELU())


X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
SEQUENCE = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))
CASES: dict[str, Case] = {}


def case(**parts: Callable[[], Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declares a forward pass and the parts that it runs, each built afresh."""

    def declare(run: Callable[..., Any]) -> Callable[..., Any]:
        inputs = SEQUENCE if "sequence" in run.__annotations__.values() else X
        CASES[run.__name__] = Case(lambda: Model(run, **{k: make() for k, make in parts.items()}), (inputs,), {})
        return run

    return declare


# --- writing in place --------------------------------------------------------------------------------


@case(a=linear)
def relu_in_place(self, x):
    return F.relu_(self.a(x)) * 2


@case(a=linear, act=lambda: nn.ReLU(inplace=True))
def module_in_place(self, x):
    y = self.a(x)
    y += x
    return self.act(y)


@case(a=linear)
def setitem(self, x):
    y = torch.zeros(4, 6)
    y[:, :3] = self.a(x)[:, :3]
    y[:, 3:] += x[:, 3:]
    return y


@case(a=linear)
def write_through_a_view(self, x):
    h = self.a(x)
    h.view(-1)[:6].mul_(3)
    return h + 1


@case(a=linear)
def write_through_the_base(self, x):
    h = self.a(x)
    view = h[:, :3]
    h.mul_(2)
    return view.sum(1)


@case(a=linear)
def out_argument(self, x):
    with torch.no_grad():
        y = torch.empty(4, 6)
        torch.mul(x, 2, out=y)
    return self.a(x) + y


@case(a=linear, cache=lambda: torch.ones(4, 6))
def write_to_an_attribute(self, x):
    self.cache[:2] = self.a(x)[:2].detach()
    return self.a(x) + self.cache


# --- parameters on their way -------------------------------------------------------------------------


@case(a=linear, b=linear)
def factorized_weight(self, x):
    return F.linear(x, self.a.weight * self.b.weight) + self.a.bias.exp()


@case(embedding=lambda: nn.Embedding(7, 6))
def tied_weights(self, x):
    ids = torch.arange(4)
    return F.linear(self.embedding(ids) + x, self.embedding.weight)


@case(a=linear, token=lambda: nn.Parameter(torch.ones(1, 6)))
def class_token(self, x):
    return self.a(torch.cat([self.token.expand(2, -1), x]))


@case(a=linear, scale=lambda: nn.Parameter(torch.ones(3)))
def parameter_as_output(self, x):
    return self.a(x), self.scale.exp()


@case(a=linear)
def shared_module(self, x):
    return self.a(self.a(x).tanh())


# --- what goes in and out ----------------------------------------------------------------------------


@dataclass
class Output:
    first: Tensor
    rest: list[Tensor]


@case(a=linear, b=linear)
def dataclass_output(self, x):
    return Output(self.a(x), [self.b(x)])


@case(a=linear, b=linear)
def nested_output(self, x):
    return {"a": self.a(x), "more": (x * 2, [self.b(x)])}


@case(a=linear)
def input_as_output(self, x):
    return x, self.a(x)


@case(a=linear, i=nn.Identity)
def identity(self, x):
    return self.i(x) + self.a(x)


# --- control flow ------------------------------------------------------------------------------------


@case(a=linear, b=linear)
def data_dependent_branch(self, x):
    return self.a(x) if x.sum() > 1e6 else self.b(x)


@case(a=linear)
def data_dependent_loop(self, x):
    while x.norm() > 1:
        x = self.a(x) * 0.5
    return x


@case(a=linear)
def slice_by_a_tensor(self, x):
    return self.a(x)[:, : (x > 0).sum().clamp(2, 4)]


@case(a=linear)
def recursion(self, x):
    def down(y, depth):
        return y if depth == 0 else down(self.a(y).relu(), depth - 1) + y

    return down(x, 3)


@case(a=linear)
def forward_called_directly(self, x):
    return self.a.forward(x)


@case(parts=lambda: nn.ModuleList([linear(), linear(), linear()]))
def mixture_of_experts(self, x):
    y = torch.zeros_like(x)
    choice = x.argmax(1) % 3
    for i, part in enumerate(self.parts):
        rows = torch.where(choice == i)[0]
        y = y.index_add(0, rows, part(x[rows]))
    return y


# --- autograd ----------------------------------------------------------------------------------------


class Triple(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient * 3


class Rerun(torch.autograd.Function):
    """Runs a module without its graph, and again in the backward pass, as reversible networks do."""

    @staticmethod
    def forward(ctx, x, module):
        ctx.module = module
        ctx.save_for_backward(x)
        return module(x)

    @staticmethod
    def backward(ctx, gradient):  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            torch.autograd.backward(ctx.module(x), gradient)
        return x.grad, None


@case(a=linear)
def custom_function(self, x):
    return Triple.apply(self.a(x)) + 1


@case(a=linear, m=linear, b=linear)
def custom_function_that_runs_a_module(self, x):
    return self.b(Rerun.apply(self.a(x), self.m))


@case(a=linear)
def gradient_inside_forward(self, x):
    (slope,) = torch.autograd.grad(self.a(x).tanh().sum(), x, create_graph=True)
    return slope * x


@case(a=block)
def checkpointed(self, x):
    return checkpoint(self.a, x, use_reentrant=False)


@case(a=block)
def checkpointed_reentrant(self, x):
    return checkpoint(self.a, x, use_reentrant=True)


@case(a=linear, b=linear)
def no_grad_part(self, x):
    with torch.no_grad():
        h = self.a(x)
    return self.b(h) + x


@case(a=linear)
def autocast(self, x):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return self.a(x) @ self.a.weight


@case(a=linear)
def gradient_asked_of_an_input(self, x):
    x = x[:, :]
    x.requires_grad = True
    return self.a(x)


# --- out of sight ------------------------------------------------------------------------------------


@case(a=linear)
def vmapped(self, x):
    return torch.vmap(lambda row: self.a.weight @ row)(x) + 1


@torch.jit.script
def scripted(x: Tensor, w: Tensor) -> Tensor:
    return torch.relu(x @ w)


@case(a=linear, b=linear)
def scripted_function(self, x):
    return self.b(scripted(x, self.a.weight))


@case(a=linear, s=lambda: torch.jit.script(nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6))), b=linear)
def scripted_module(self, x):
    return self.b(self.s(self.a(x)))


@case(a=linear, b=linear)
def thread(self, x):
    found = []
    worker = threading.Thread(target=lambda: found.append(self.a(x).relu()))
    worker.start()
    worker.join()
    return self.b(found[0])


@case(a=lambda: torch.compile(nn.Sequential(nn.Linear(6, 6), nn.ReLU())))
def compiled(self, x):
    return self.a(x)


@case(a=lambda: nn.DataParallel(nn.Sequential(nn.Linear(6, 6), nn.ReLU())))
def data_parallel(self, x):
    return self.a(x)


# --- torch's own -------------------------------------------------------------------------------------


@case(a=lambda: nn.MultiheadAttention(8, 2, batch_first=True, dropout=0.1))
def attention(self, x: sequence):  # noqa: F821 # pyright: ignore[reportUndefinedVariable]
    return self.a(x, x, x)


@case(a=lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2))
def transformer_encoder(self, x: sequence):  # noqa: F821 # pyright: ignore[reportUndefinedVariable]
    return self.a(x)


@case(a=lambda: nn.LSTM(8, 4, 2, dropout=0.1))
def lstm(self, x: sequence):  # noqa: F821 # pyright: ignore[reportUndefinedVariable]
    return self.a(x)


@case(a=lambda: nn.GRU(8, 4, batch_first=True))
def packed_gru(self, x: sequence):  # noqa: F821 # pyright: ignore[reportUndefinedVariable]
    packed, _ = self.a(pack_padded_sequence(x, torch.tensor([5, 3]), batch_first=True))
    return pad_packed_sequence(packed, batch_first=True)[0]


@case(a=lambda: nn.Sequential(nn.Conv1d(5, 4, 3), nn.BatchNorm1d(4), nn.ReLU(inplace=True)))
def batch_norm(self, x: sequence):  # noqa: F821 # pyright: ignore[reportUndefinedVariable]
    return self.a(x)


@case(a=lambda: parametrizations.spectral_norm(linear()), b=lambda: parametrizations.weight_norm(linear()))
def parametrized(self, x):
    return self.b(self.a(x))


@case(a=lambda: torch.nn.utils.spectral_norm(linear()))
def hooked_spectral_norm(self, x):
    return self.a(x)
