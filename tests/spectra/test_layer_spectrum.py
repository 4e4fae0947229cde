"""What holds for every layer: nothing of the user's changes, odd inputs have outcomes, failures are gaps."""

import copy
import math
import random
from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from gradscope.schema import LayerCall
from gradscope.spectra import layer_spectrum
from tests.reference import call_of, dense_spectrum
from tests.spectra.checks import assert_dense, normal, sweep_of


class Counting(nn.Module):
    """A layer with a buffer that counts, noise and a hand-written formula."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        self.seen += 1
        return (x + 0 * torch.rand_like(x)).sin().cumsum(0) * random.uniform(1, 1)


LAYERS = [
    (Counting(), (normal(6, 9),)),
    (nn.BatchNorm1d(5), (normal(8, 5),)),
    (nn.LSTM(4, 3), (normal(5, 2, 4),)),
    (nn.MultiheadAttention(4, 2), (normal(5, 2, 4),) * 3),
    (nn.Conv2d(2, 3, 3), (normal(1, 2, 8, 8),)),
    (nn.SiLU(inplace=True), (normal(4, 5),)),
    (nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1), (normal(5, 2, 4),)),
    (F.dropout, (normal(6, 6),)),
]


@pytest.mark.parametrize(("layer", "args"), LAYERS, ids=lambda v: type(v).__name__)
def test_nothing_of_the_user_changes(layer, args):
    call = call_of(layer, *args)
    module = call.module or nn.Identity()
    fired = []
    hooks = [m.register_forward_hook(lambda *_: fired.append(1)) for m in module.modules()]
    state = {name: (t.clone(), t._version) for name, t in module.state_dict(keep_vars=True).items()}
    attributes = {key: value for key, value in vars(module).items() if isinstance(value, int | bool)}
    versions = [t._version for t in args]
    generators = torch.get_rng_state(), random.getstate()
    layer_spectrum(call, sweep_of(1e-2))
    assert not fired
    assert all(
        torch.equal(t, state[n][0]) and t._version == state[n][1] for n, t in module.state_dict(keep_vars=True).items()
    )
    assert attributes == {key: value for key, value in vars(module).items() if isinstance(value, int | bool)}
    assert versions == [t._version for t in args] and all(p.grad is None for p in module.parameters())
    assert torch.equal(generators[0], torch.get_rng_state()) and generators[1] == random.getstate()
    for hook in hooks:
        hook.remove()


class Seen(TorchFunctionMode):
    """Counts torch calls."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(("layer", "args"), LAYERS, ids=lambda v: type(v).__name__)
def test_nothing_is_traced_and_autocast_is_left(layer, args):
    call, plain = call_of(layer, *args), layer_spectrum(call_of(layer, *args), sweep_of(1e-2))
    with Seen() as seen, torch.autocast("cpu", torch.bfloat16):
        result = layer_spectrum(call, sweep_of(1e-2))
    assert seen.count == 0
    assert result.gap is None and result.spectral_norm.value == pytest.approx(plain.spectral_norm.value, rel=0.05)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize(
    "layer",
    [
        nn.ReLU(),
        nn.GELU(),
        nn.LayerNorm(8),
        nn.BatchNorm1d(8),
        nn.Softmax(-1),
        nn.MaxPool1d(2),
        nn.LSTM(8, 3),
        nn.GLU(),
        Counting(),
    ],
)
def test_input_that_is_not_finite_has_no_number(layer, bad):
    x = normal(4, 8)
    x[1, 2] = bad
    result = layer_spectrum(call_of(layer, x), sweep_of(1e-2))
    assert result.gap is None and result.spectral_norm.status == result.rms_gain.status == "nonfinite"


@pytest.mark.parametrize("layer", [nn.Linear(8, 8), nn.Linear(120, 120), nn.Conv1d(8, 8, 3, padding=1)])
def test_weight_that_is_not_finite_has_no_number(layer):
    with torch.no_grad():
        layer.weight[0, 0] = math.nan
    x = normal(2, layer.weight.shape[1], 10) if layer.weight.ndim == 3 else normal(2, layer.weight.shape[1])
    assert layer_spectrum(call_of(layer, x), sweep_of(1e-2)).spectral_norm.status == "nonfinite"


class Angles(nn.Module):
    """Looks at the shape of what it is given, as a rotary embedding does."""

    @torch.no_grad()
    def forward(self, x):
        return torch.outer(torch.arange(x.shape[0], dtype=x.dtype), torch.ones(3)).cos()


def test_a_layer_that_looks_only_at_a_shape_is_a_source():
    result = layer_spectrum(call_of(Angles(), normal(5, 2)), sweep_of(1e-2))
    assert result.gap is None and result.spectral_norm is None


class Broken(nn.Module):
    """Runs once, then raises."""

    ran = False

    def forward(self, x):
        if self.ran:
            raise KeyError("only once")
        self.ran = True
        return x.cumsum(0)


@dataclass
class Pair:
    """What some layers take and return."""

    first: torch.Tensor
    second: torch.Tensor


class Objects(nn.Module):
    """Takes one object and returns another."""

    def forward(self, pair):
        return Pair(pair.first * pair.second.sin(), pair.first.cumsum(-1))


def test_tensors_in_objects_are_inputs_and_outputs():
    x, y = normal(3, 4), normal(3, 4, seed=1)
    twin = dense_spectrum(lambda a, b: (a * b.sin(), a.cumsum(-1)), x, y)
    assert_dense(Objects(), Pair(x, y), twin=twin)


class Scripted(nn.Module):
    """A formula that torch compiles."""

    def forward(self, x):
        return torch.tanh(x) * x.sum(-1, keepdim=True)


@pytest.mark.parametrize("compiled", [torch.jit.script, lambda m: torch.jit.trace(m, normal(3, 4))])
def test_a_scripted_module_goes_the_generic_way(compiled):
    x, layer = normal(3, 4), Scripted()
    found = layer_spectrum(replace(call_of(layer, x), module=compiled(layer)), sweep_of())
    assert found.spectral_norm.value == pytest.approx(dense_spectrum(layer, x).spectral_norm, rel=1e-5)


class Opaque(nn.Module):
    """Leaves autograd."""

    def forward(self, x):
        return torch.from_numpy(x.detach().numpy() ** 2)


class Wrong(torch.autograd.Function):
    """A backward pass of another function, which cannot be differentiated again."""

    @staticmethod
    def forward(ctx, x):
        return x.cumsum(0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return 3 * g.roll(1, 0)


@pytest.mark.parametrize(("layer", "word"), [(Broken(), "only once"), (Opaque(), "autograd"), (Wrong.apply, "differs")])
def test_what_cannot_be_analysed_is_a_gap_with_a_reason(layer, word):
    x = normal(7, 7)
    call = LayerCall("custom", layer if isinstance(layer, nn.Module) else None, layer, (x,), {}, layer(x))
    result = layer_spectrum(call, sweep_of(1e-2))
    assert result.spectral_norm is None and word in result.gap


class OnlyBackward(torch.autograd.Function):
    """A right backward pass that cannot be differentiated again, and no forward mode."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.tanh().cumsum(0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g.flip(0).cumsum(0).flip(0) * (1 - x.tanh() ** 2)


def sampled(x):
    """No forward mode: torch has none for this kernel."""
    grid = torch.stack(torch.meshgrid(torch.linspace(-1, 1, 7), torch.linspace(-1, 1, 6), indexing="ij"), -1)
    return F.grid_sample(x, grid.to(x.dtype)[None], align_corners=False)


@pytest.mark.parametrize(
    ("function", "twin", "shape", "way"),
    [
        (lambda x: x.cumsum(0).sin(), None, (8, 8), "jvp"),
        (sampled, None, (1, 1, 7, 7), "double backward"),
        (OnlyBackward.apply, lambda x: x.tanh().cumsum(0), (7, 7), "finite difference"),
    ],
)
def test_the_generic_way_takes_the_first_derivative_that_works(function, twin, shape, way):
    x = normal(*shape)
    call = LayerCall("unknown", None, function, (x,), {}, function(x))
    found = layer_spectrum(call, sweep_of())
    assert way in found.spectral_norm.method
    truth = dense_spectrum(twin or function, x).spectral_norm
    assert found.spectral_norm.value == pytest.approx(truth, rel=1e-3)


class Straight(torch.autograd.Function):
    """Rounds, and passes the gradient straight through."""

    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, g):
        return 2 * g


def test_a_custom_gradient_counts_as_the_backward_pass_has_it():
    x = normal(6, 7)
    call = LayerCall("Straight", None, Straight.apply, (x,), {}, Straight.apply(x))
    assert layer_spectrum(call, sweep_of()).spectral_norm.value == pytest.approx(2)


@pytest.mark.parametrize("function", [torch.fft.rfft, torch.fft.fft, torch.view_as_complex])
def test_complex_outputs_are_pairs_of_reals(function):
    x = normal(6, 2)
    call = call_of(function, x)
    result = layer_spectrum(call, sweep_of())
    expected = {"rfft": 2**0.5, "fft": 2**0.5, "view_as_complex": 1}[function.__name__.removeprefix("fft_")]
    assert result.spectral_norm.value == pytest.approx(expected, rel=1e-3)


def test_spectral_normalization_keeps_the_weight_that_was_used():
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(30, 20))
    call = call_of(layer, torch.eye(30))
    used = (call.output - layer.bias).T.detach()
    before = layer.parametrizations.weight[0]._u.clone()
    norm = layer_spectrum(call, sweep_of()).spectral_norm
    assert norm.value == pytest.approx(torch.linalg.svdvals(used.double())[0].item(), rel=1e-4)
    assert torch.equal(before, layer.parametrizations.weight[0]._u)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    "layer", [nn.GELU(), nn.LayerNorm(8), nn.Softmax(-1), nn.Conv1d(4, 5, 3), nn.MultiheadAttention(8, 2), Counting()]
)
def test_half_precision_models_are_analysed_in_float32(layer, dtype):
    x = normal(4, 3, 8)[:, :, :8] if not isinstance(layer, nn.Conv1d) else normal(2, 4, 8)
    args = (x,) * 3 if isinstance(layer, nn.MultiheadAttention) else (x,)
    full = layer_spectrum(call_of(layer, *args), sweep_of()).spectral_norm
    half_args = (x.to(dtype),) * len(args)
    half = layer_spectrum(call_of(copy.deepcopy(layer).to(dtype), *half_args), sweep_of())
    assert half.gap is None and half.spectral_norm.value == pytest.approx(full.value, rel=0.05)


def test_zero_jacobian_is_zero():
    assert_dense(torch.round, normal(4, 5))
    assert_dense(nn.ReLU(), -normal(4, 5).abs())


def test_a_user_class_with_a_known_name_is_not_trusted():
    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.eye(4))

        def forward(self, x):
            return 3 * x @ self.weight

    assert_dense(Linear(), normal(2, 4))
