"""The largest singular value of every layer that is iterated on, again in float64: dense Gram matrices and ARPACK."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse.linalg import LinearOperator, svds
from torch import Tensor, nn

from gradscope.schema import LayerCall
from gradscope.spectra._attention_systems import attention_systems

_ACCURACY = 1e-4  # of ARPACK, on squared singular values

Apply = Callable[[Tensor], Tensor]


def reference_norm(call: LayerCall) -> float | None:
    """The value for linear layers, convolutions and attention; None for closed forms, which have tests of their own."""
    module = call.module
    if isinstance(module, nn.Conv2d):
        return _convolution(module, call.args[0].shape[2:])
    if module is not None and isinstance(getattr(module, "weight", None), Tensor) and module.weight.ndim == 2:
        return None if isinstance(module, nn.Embedding) else _gram(module.weight.detach())
    return _attention(call) if call.op == "scaled_dot_product_attention" else None


def _gram(matrix: Tensor) -> float:
    wide = matrix.double() if matrix.shape[0] <= matrix.shape[1] else matrix.double().mT
    return torch.linalg.eigvalsh(wide @ wide.mT)[-1].sqrt().item()


def _convolution(module: nn.Conv2d, size: torch.Size) -> float:
    weight, stride, padding = module.weight.detach().double(), module.stride, module.padding
    if tuple(module.kernel_size) <= tuple(stride) and padding in ((0, 0), 0):
        return _gram(weight.flatten(1))  # patches do not overlap
    assert isinstance(padding, tuple)
    image = torch.zeros(1, module.in_channels, *size, dtype=torch.float64)
    output = F.conv2d(image, weight, None, stride, padding)
    back = F.conv_transpose2d(output, weight, None, stride, padding)
    rest = [n - m for n, m in zip(size, back.shape[2:], strict=True)]
    return arpack(
        lambda v: F.conv2d(v, weight, None, stride, padding),
        lambda u: F.conv_transpose2d(u, weight, None, stride, padding, rest),
        image.shape,
        output.shape,
    )


def _attention(call: LayerCall) -> float:
    query, key, value = (t.detach().double() for t in call.args[:3])
    options = call.kwargs
    scale = options.get("scale") or query.shape[-1] ** -0.5
    heads = attention_systems(
        *(query, key, value),
        mask=options.get("attn_mask"),
        is_causal=options.get("is_causal", False),
        scale=scale,
    )
    found = []
    for i in range(len(heads.weights)):
        head = heads.keep(slice(i, i + 1))
        shapes = (1, sum(head.sizes)), (1, head.query.shape[1] * head.value.shape[2])
        found.append(arpack(head.matvec, head.rmatvec, *map(torch.Size, shapes)))
    return max(found)


def arpack(matvec: Apply, rmatvec: Apply, inputs: torch.Size, outputs: torch.Size) -> float:
    """Largest singular value by scipy's ARPACK in float64."""
    operator = LinearOperator(
        (outputs.numel(), inputs.numel()),
        matvec=lambda v: matvec(torch.from_numpy(v.copy()).view(inputs)).flatten().numpy(),
        rmatvec=lambda u: rmatvec(torch.from_numpy(u.copy()).view(outputs)).flatten().numpy(),
        dtype=np.float64,
    )
    return float(svds(operator, k=1, tol=_ACCURACY, ncv=30, return_singular_vectors=False, random_state=0)[0])
