"""A function's Jacobian as an operator: forward mode, double backward or finite differences, checked by its adjoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gradscope.spectra._lanczos import Matvec
from gradscope.spectra._sweep import tensors

_AGREEMENT = 1e-3  # relative gap between ⟨u, J v⟩ and ⟨Jᵀu, v⟩ past which two derivatives are not of one function


class NotAnalysedError(Exception):
    """No consistent derivative was found; the message says what was tried."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A Jacobian that can be applied to flat real vectors.

    Attributes:
        matvec: v -> J v.
        rmatvec: u -> Jᵀ u.
        rows: entries of the output; `columns`: of the input.
        method: how J v is computed.
    """

    matvec: Matvec
    rmatvec: Matvec
    rows: int
    columns: int
    method: str


Function = Callable[..., Any]


def linearize(
    function: Function, inputs: Sequence[Tensor], generator: torch.Generator, *, is_differentiated: bool = False
) -> Operator:
    """The Jacobian of all floating-point outputs in all `inputs`, complex ones as pairs of reals.

    Args:
        function: of as many tensors as there are inputs; it must repeat its random numbers by itself.
        inputs: where the Jacobian is taken.
        generator: of the vectors that check the adjoint.
        is_differentiated: whether finite differences are left out.

    Raises:
        NotAnalysedError: there is no derivative, or its two directions disagree.
    """
    pack = Packing(inputs)
    leaves = [t.detach().clone().requires_grad_() for t in inputs]
    with torch.enable_grad():
        outputs = differentiable(function(*leaves))
        if not outputs:
            raise NotAnalysedError("its output does not depend on its input through autograd")
        flat = Packing(outputs)
        output = flat.pack(outputs)

    def rmatvec(u: Tensor) -> Tensor:
        gradients = torch.autograd.grad(output, leaves, u, retain_graph=True, allow_unused=True, materialize_grads=True)
        return pack.pack(gradients)

    tried: list[str] = []
    methods = {"jvp": _forward_mode, "double backward": _double_backward, "finite difference": _difference}
    for method, build in list(methods.items())[: 2 if is_differentiated else 3]:
        try:
            matvec = build(function, leaves, output, pack, flat)
            operator = Operator(matvec, rmatvec, flat.size, pack.size, method)
            gap = _adjoint_gap(operator, output, generator)
        except (RuntimeError, NotImplementedError, TypeError) as error:
            tried.append(f"{method}: {str(error).splitlines()[0][:120] if str(error) else type(error).__name__}")
            continue
        if gap <= _AGREEMENT:
            return operator
        tried.append(f"{method}: differs from the backward pass by {gap:.1e}")
    raise NotAnalysedError("; ".join(tried))


def differentiable(output: Any) -> list[Tensor]:
    """The tensors of an output that carry a gradient."""
    return [t for t in tensors(output) if t.requires_grad and (t.is_floating_point() or t.is_complex())]


class Packing:
    """Several tensors as one flat real vector, or as one for every sample of their first dimension.

    Args:
        like: tensors of the shapes that are packed.
        samples: rows of the packed matrix; None for a vector.
    """

    def __init__(self, like: Sequence[Tensor], samples: int | None = None) -> None:
        self.shapes = [t.shape for t in like]
        self.is_complex = [t.is_complex() for t in like]
        self.lead = () if samples is None else (samples,)
        self.sizes = [t.numel() * (2 if t.is_complex() else 1) // (samples or 1) for t in like]
        self.size = sum(self.sizes)

    def pack(self, values: Sequence[Tensor]) -> Tensor:
        """Concatenate; a complex tensor becomes its real and imaginary parts."""
        real = [torch.view_as_real(v.resolve_conj()) if v.is_complex() else v for v in values]
        flat = [v.reshape(*self.lead, -1) for v in real]
        return flat[0] if len(flat) == 1 else torch.cat(flat, -1)

    def unpack(self, vector: Tensor) -> list[Tensor]:
        """The inverse of `pack`."""
        parts = vector.split(self.sizes, -1)
        return [
            torch.view_as_complex(p.reshape(*s, 2).contiguous()) if c else p.reshape(s)
            for p, s, c in zip(parts, self.shapes, self.is_complex, strict=True)
        ]


def _forward_mode(function: Function, leaves: list[Tensor], output: Tensor, pack: Packing, flat: Packing) -> Matvec:
    primals = [t.detach() for t in leaves]
    is_carried = _carried(function, leaves)

    def matvec(v: Tensor) -> Tensor:
        with torch.no_grad(), forward_ad.dual_level():
            duals = [forward_ad.make_dual(p, t) for p, t in zip(primals, pack.unpack(v), strict=True)]
            outputs = [o for o, keep in zip(tensors(function(*duals)), is_carried, strict=True) if keep]
            tangents = [forward_ad.unpack_dual(o) for o in outputs]
            parts = [torch.zeros_like(d.primal) if d.tangent is None else d.tangent for d in tangents]
            return flat.pack(parts)

    return matvec


def _carried(function: Function, leaves: list[Tensor]) -> list[bool]:
    """Which output tensors carry a gradient."""
    with torch.enable_grad():
        return [t.requires_grad for t in tensors(function(*leaves))]


def _double_backward(function: Function, leaves: list[Tensor], output: Tensor, pack: Packing, flat: Packing) -> Matvec:
    with torch.enable_grad():
        cotangent = torch.zeros_like(output, requires_grad=True)
        gradients = torch.autograd.grad(
            output, leaves, cotangent, create_graph=True, allow_unused=True, materialize_grads=True
        )
        gradient = pack.pack(gradients)
    if not gradient.requires_grad:
        raise NotImplementedError("the backward pass has no derivative")

    def matvec(v: Tensor) -> Tensor:
        return torch.autograd.grad(gradient, cotangent, v, retain_graph=True, materialize_grads=True)[0]

    return matvec


def _difference(function: Function, leaves: list[Tensor], output: Tensor, pack: Packing, flat: Packing) -> Matvec:
    point = pack.pack([t.detach() for t in leaves])
    is_carried = _carried(function, leaves)
    step = (
        math.sqrt(torch.finfo(point.dtype).eps)
        if point.dtype == torch.float64
        else torch.finfo(point.dtype).eps ** (1 / 3)
    )
    step *= max(1.0, torch.linalg.vector_norm(point).item() / math.sqrt(max(1, pack.size)))

    def value(at: Tensor) -> Tensor:
        with torch.no_grad():
            outputs = tensors(function(*pack.unpack(at)))
            return flat.pack([o for o, keep in zip(outputs, is_carried, strict=True) if keep])

    def matvec(v: Tensor) -> Tensor:
        size = torch.linalg.vector_norm(v).item() / math.sqrt(max(1, pack.size))
        h = step / size if size else 1.0
        return (value(point + h * v) - value(point - h * v)) / (2 * h)

    return matvec


def _adjoint_gap(operator: Operator, output: Tensor, generator: torch.Generator) -> float:
    """|⟨u, J v⟩ - ⟨Jᵀu, v⟩| relative to |J v| and |Jᵀu| at random u and v."""
    v = torch.randn(operator.columns, generator=generator, dtype=output.dtype).to(output.device)
    u = torch.randn(operator.rows, generator=generator, dtype=output.dtype).to(output.device)
    image, back = operator.matvec(v), operator.rmatvec(u)
    gap = (torch.dot(u, image) - torch.dot(back, v)).abs().item()
    scale = max(torch.linalg.vector_norm(image).item(), torch.linalg.vector_norm(back).item())
    return gap / scale if scale > 0 else gap
