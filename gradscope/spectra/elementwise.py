"""Elementwise functions of one or several tensors: the Jacobian is made of diagonals, the derivatives at the input."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gradscope.schema import Estimate, LayerCall
from gradscope.spectra._counting import nonzeros
from gradscope.spectra._lanczos import norm
from gradscope.spectra._replay import replay, widened
from gradscope.spectra._rows import largest, updated_value
from gradscope.spectra._rules import argument, data, is_alone, name_of, rule
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum, are_defined, are_finite, exact, nonfinite, spectrum
from gradscope.spectra._sweep import Sweep, tensors

MODULES = (
    *("CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid", "Mish"),
    *("SELU", "SiLU", "Softplus", "Softshrink", "Softsign", "Tanhshrink", "Threshold"),
)
TRANSFORMERS = (
    *("GELUActivation", "NewGELUActivation", "FastGELUActivation", "QuickGELUActivation", "ClippedGELUActivation"),
    *(
        "AccurateGELUActivation",
        "GELUTanh",
        "PytorchGELUTanh",
        "SiLUActivation",
        "SqrtSoftplusActivation",
        "MishActivation",
        "LinearActivation",
        "LaplaceActivation",
    ),
    *("ReLUSquaredActivation", "XIELUActivation"),
)
FUNCTIONS = (
    *("celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish"),
    *("selu", "silu", "softplus", "softshrink", "softsign", "tanhshrink", "threshold"),
    *(
        "exp",
        "expm1",
        "exp2",
        "log",
        "log1p",
        "log2",
        "log10",
        "sqrt",
        "rsqrt",
        "square",
        "reciprocal",
        "abs",
        "absolute",
    ),
    *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "sinc", "erf", "erfc"),
    *("pow", "rpow", "ipow", "clamp", "clip", "clamp_min", "clamp_max", "nan_to_num", "logit", "lgamma"),
    *("digamma", "float_power", "maximum", "minimum", "fmax", "fmin", "atan2", "hypot", "where", "lerp", "logaddexp"),
    *("addcmul", "addcdiv", "remainder", "fmod", "rdiv", "rtruediv", "xlogy", "masked_fill", "round", "floor"),
    *("ceil", "trunc", "fix"),
    *("sign", "sgn", "heaviside", "floordiv", "floor_divide", "frac", "deg2rad", "rad2deg", "copysign", "erfinv"),
)

_CANCELLED = 0.05  # derivatives below this are differences in which float32 has lost digits
_PIECE = 2**18  # entries that are differentiated at a time: memory that is used again instead of fresh pages


@rule("ReLU", "ReLU6", "relu", "relu6")
def rectifier(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """ReLU and ReLU6: the derivative is 1 where the unit is active, else 0."""
    (x,) = data(call) or (None,)
    if x is None:
        return SOURCE
    y = call.output
    if not are_finite([y]):
        return nonfinite()
    is_capped = call.op == "ReLU6" or name_of(call) == "relu6"
    active = int(nonzeros(y * (6 - y) if is_capped else y))
    return exact(float(active > 0), math.sqrt(active / max(1, y.numel())), y.numel())


@rule("Tanh", "Sigmoid", "tanh", "sigmoid", "expit")
def saturating(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """tanh and the logistic function: their derivatives 1 - y² and y (1 - y) are read off the output."""
    y = call.output
    if not data(call):
        return SOURCE
    if not isinstance(y, Tensor) or y.is_complex() or not y.numel():
        return None
    if y.dtype in (torch.float16, torch.bfloat16):
        return elementwise(call, sweep)
    is_tanh = "tanh" in call.op.lower()
    slope = torch.addcmul(torch.ones_like(y), y, y, value=-1) if is_tanh else torch.addcmul(y, y, y, value=-1)
    if not are_finite([slope]):
        return nonfinite()
    steepest = slope.max().item()
    if steepest < _CANCELLED:
        return elementwise(call, sweep)
    return exact(steepest, torch.linalg.vector_norm(slope).item() / math.sqrt(y.numel()), y.numel())


@rule("PReLU", "prelu")
def parametric_rectifier(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """PReLU: elementwise, unless its slopes are computed from the input."""
    return elementwise(call, sweep) if is_alone(call, argument(call, 0, "input")) else None


@rule(*MODULES, *FUNCTIONS, *TRANSFORMERS)
def elementwise(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """The diagonals by one backward pass of the sum of the output, with broadcast inputs written out.

    Minus infinity is an input like others (a mask), as long as the derivative there is finite.
    """
    inputs = data(call)
    if not isinstance(call.output, Tensor) or call.output.is_complex() or any(t.is_complex() for t in inputs):
        return None
    if not inputs:
        return SOURCE
    if not are_defined(inputs):
        return nonfinite()
    diagonals = _diagonals(call, inputs, torch.float32)
    if diagonals[0].dtype == torch.float32 and _largest_length(diagonals) < _CANCELLED:
        diagonals = _diagonals(call, inputs, torch.float64)
    return diagonal_spectrum(diagonals, [t.shape for t in inputs], sweep)


def _diagonals(call: LayerCall, inputs: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """The derivative in every input, each in the shape of the output and at least of this precision."""
    leaves = [widened(t, dtype).detach().expand(call.output.shape) for t in inputs]
    if leaves[0].numel() <= _PIECE or not _is_of_one_tensor(call):
        return _derivatives(replay(call, inputs, dtype=dtype), leaves)
    entries = leaves[0].reshape(-1)
    found, function = torch.empty_like(entries), replay(call, inputs, dtype=dtype)
    for piece, result in zip(entries.split(_PIECE), found.split(_PIECE), strict=True):
        result.copy_(_derivatives(function, [piece])[0])
    return [found.view(call.output.shape)]


def _is_of_one_tensor(call: LayerCall) -> bool:
    """Whether a function reads its input and no other tensor, so that a part of its entries is enough for a call."""
    states = () if call.module is None else (*call.module.parameters(), *call.module.buffers())
    return not states and sum(1 for _ in tensors((call.args, dict(call.kwargs)))) == 1


def _derivatives(function: Callable[..., Tensor], values: Sequence[Tensor]) -> list[Tensor]:
    with torch.enable_grad():
        leaves = [t.detach().requires_grad_() for t in values]
        output = function(*leaves)
        ones = torch.ones_like(output)  # written out: kernels are slow on expanded ones
        gradients = (
            torch.autograd.grad(output, leaves, ones, allow_unused=True)
            if output.requires_grad
            else [None] * len(leaves)
        )
    return [torch.zeros_like(t) if g is None else g for g, t in zip(gradients, leaves, strict=True)]


def diagonal_spectrum(diagonals: Sequence[Tensor], shapes: Sequence[torch.Size], sweep: Sweep) -> LayerSpectrum | None:
    """The spectrum of J = [D₁E₁, D₂E₂, ...]: diagonal matrices, after broadcasting E of inputs of these shapes.

    Args:
        diagonals: derivatives, each in the shape of the output.
        shapes: of the inputs; more than one broadcast input goes the generic way.
        sweep: the pass.
    """
    columns = sum(math.prod(shape) for shape in shapes)
    method = "exact" if len(shapes) == 1 else f"exact (jointly in {len(shapes)} inputs)"
    gain = Estimate.exact(math.hypot(*(norm(d) for d in diagonals)) / math.sqrt(max(1, columns)), method)
    output = diagonals[0].shape
    full = [d for d, shape in zip(diagonals, shapes, strict=True) if math.prod(shape) == d.numel()]
    broadcast = [(d, s) for d, s in zip(diagonals, shapes, strict=True) if math.prod(s) != d.numel()]
    if not broadcast:
        return spectrum(Estimate.exact(_largest_length(full), method), gain, columns)
    if len(broadcast) > 1:
        return None
    (vector, shape), diagonal = broadcast[0], sum((d.square() for d in full), start=torch.zeros_like(diagonals[0]))
    groups = _groups(diagonal, shape, output), _groups(vector, shape, output)
    found = _diagonal_plus_outer(*groups, sweep)
    return spectrum(Estimate(found.value, found.low, found.high, method, found.n, found.status), gain, columns)


def _largest_length(diagonals: Sequence[Tensor]) -> float:
    if diagonals[0].numel() == 0:
        return 0.0
    if len(diagonals) == 1:
        low, high = torch.aminmax(diagonals[0])
        return torch.maximum(-low, high).item()
    scale = max(d.abs().max().item() for d in diagonals)
    if scale == 0 or not math.isfinite(scale):
        return scale
    squares = ((d / scale).square() for d in diagonals)  # these do not leave float32
    return scale * math.sqrt(sum(squares, start=torch.zeros_like(diagonals[0])).max().item())


def _groups(tensor: Tensor, shape: torch.Size, output: torch.Size) -> Tensor:
    """Rows of the entries of an output-shaped tensor that read the same entry of an input of `shape`."""
    shape = torch.Size([1] * (len(output) - len(shape)) + list(shape))
    shared = [i for i, (n, m) in enumerate(zip(shape, output, strict=True)) if n != m]
    own = [i for i in range(len(output)) if i not in shared]
    return tensor.permute(*own, *shared).reshape(math.prod(output[i] for i in own), -1)


def _diagonal_plus_outer(diagonal: Tensor, vector: Tensor, sweep: Sweep) -> Estimate:
    """√ of the largest eigenvalue of diag(d) + z zᵀ over all rows; bounded by Weyl and by a Rayleigh quotient."""
    squares = vector.square()
    length = squares.sum(1)
    rayleigh = length + (diagonal * squares).sum(1) / length.clamp_min(1e-30)
    low = torch.maximum(rayleigh, (diagonal + squares).amax(1))
    high = diagonal.amax(1) + length
    value = largest(
        low, high, lambda rows: updated_value(diagonal[rows], vector[rows, :, None], 1), tolerance=sweep.tolerance / 10
    )
    if not value.is_known:
        return value
    return Estimate(math.sqrt(value.value), math.sqrt(value.low), math.sqrt(value.high), value.method, value.n)
