"""What a model returned: its tensors by name, the one a loss is put on, and whether it looks like logits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from gradscope.schema import GradscopeError

Meaning = Literal["loss", "logits", "probabilities", "log-probabilities", "features"]

ROW_SUM_TOLERANCE = 1e-3  # rounding of a softmax row in float16

# Backward nodes that rearrange or average what a linear head computed, and leave logits logits.
_TRANSPARENT = (
    "View", "UnsafeView", "Reshape", "ReshapeAlias", "Squeeze", "Unsqueeze", "Slice", "Select", "Clone", "Alias",
    "ToCopy", "Mean", "Add", "Div", "Mul", "AvgPool2D", "MkldnnAdaptiveAvgPool2D", "AdaptiveAvgPool2D",
)  # fmt: skip
_TRANSPOSING = ("Permute", "Transpose", "T", "Movedim")
_LINEAR = ("Addmm", "Mm", "Bmm", "Baddbmm", "MkldnnLinear", "Linear")
_CONVOLUTION = ("Convolution", "MkldnnConvolution", "ConvolutionOverrideable")


@dataclass(frozen=True, slots=True)
class Head:
    """The tensor of an output that the loss is put on.

    Attributes:
        name: where it lies in the output, e.g. ".logits"; empty if the output is the tensor.
        tensor: the tensor.
        meaning: what its values are.
        class_dimension: the dimension of the classes, where it has one.
    """

    name: str
    tensor: Tensor
    meaning: Meaning
    class_dimension: int | None = None


def named_tensors(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested dicts, dataclasses, tuples and lists, with the expression that reaches it."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        # Hugging Face's outputs are mappings whose keys are attributes, too.
        is_record = dataclasses.is_dataclass(value)
        for key, item in value.items():
            yield from named_tensors(item, f"{name}.{key}" if is_record else f"{name}[{key!r}]")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from named_tensors(getattr(value, field.name), f"{name}.{field.name}")
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for key in value._fields:  # pyright: ignore[reportAttributeAccessIssue]
            yield from named_tensors(getattr(value, key), f"{name}.{key}")
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from named_tensors(item, f"{name}[{index}]")


def main_tensor(output: Any) -> tuple[str, Tensor]:
    """Name and tensor of the output that a loss is put on: the logits, else the first that has a gradient.

    Raises:
        GradscopeError: the output has no floating-point tensor, or none that is attached to the graph.
    """
    tensors = list(named_tensors(output))
    if not tensors:
        raise GradscopeError(f"The model returned {_kind(output)}, and no tensor; return the tensor that is trained.")
    floating = [(n, t) for n, t in tensors if t.is_floating_point() or t.is_complex()]
    if not floating:
        kinds = ", ".join(sorted({str(t.dtype).removeprefix("torch.") for _, t in tensors}))
        raise GradscopeError(f"The model returned only {kinds} tensors, which have no gradient; return its scores.")
    attached = [(n, t) for n, t in floating if t.requires_grad and t.numel()]
    if not attached and all(t.numel() == 0 for _, t in floating):
        raise GradscopeError(f"The model returned an empty tensor of shape {tuple(floating[0][1].shape)}.")
    if not attached:
        raise GradscopeError(
            "The output is detached from the parameters (detach(), no_grad() or NumPy on the way), so no gradient "
            "can reach them."
        )
    wide = [(n, t) for n, t in attached if t.dim()] or attached
    for is_match in (lambda n: _key(n) == "logits", lambda n: _key(n).endswith("logits")):
        for name, tensor in wide:
            if is_match(name):
                return name, tensor
    return wide[0]


def head(output: Any, inputs: tuple[Tensor, ...]) -> Head:
    """Pick the tensor of `output` to train and say what it means.

    Logits are what comes unactivated out of a linear layer or convolution, with at least two classes, and does
    not have the shape of an input (an autoencoder or a denoiser returns what it was given).
    """
    losses = [(n, t) for n, t in named_tensors(output) if "loss" in _key(n) and t.dim() == 0 and t.requires_grad]
    whole = [(n, t) for n, t in losses if _key(n) == "loss"]
    if losses and not whole and len(losses) == len(list(named_tensors(output))):
        return Head("", torch.stack([t for _, t in losses]).sum(), "loss")  # a detector returns nothing else
    name, tensor = whole[0] if whole else main_tensor(output)
    if tensor.dim() == 0:
        return Head(name, tensor, "loss" if tensor.is_floating_point() else "features")
    if tensor.dim() < 2 or tensor.is_complex():
        return Head(name, tensor, "features")
    for dimension in dict.fromkeys((tensor.dim() - 1, 1)):
        meaning = _normalized(tensor.detach(), dimension)
        if meaning and tensor.shape[dimension] > 1:
            return Head(name, tensor, meaning, dimension)
    if any(tensor.shape == x.shape for x in inputs if x.is_floating_point()):
        return Head(name, tensor, "features")
    dimension = _logit_dimension(tensor, is_named=_key(name).endswith("logits"))
    if dimension is not None and tensor.shape[dimension] > 1:
        return Head(name, tensor, "logits", dimension)
    return Head(name, tensor, "features")


def _normalized(tensor: Tensor, dimension: int) -> Meaning | None:
    def sums_to_one(probabilities: Tensor) -> bool:
        return bool(((probabilities.sum(dimension) - 1).abs() < ROW_SUM_TOLERANCE).all())

    values = tensor.float()
    if bool((values >= 0).all()) and sums_to_one(values):
        return "probabilities"
    if bool((values <= 0).all()) and sums_to_one(values.exp()):
        return "log-probabilities"
    return None


def _logit_dimension(tensor: Tensor, *, is_named: bool) -> int | None:
    """Where the classes are, told by the operation that made the tensor; None if an activation did."""
    node, is_transposed = tensor.grad_fn, False
    while node is not None:
        op = type(node).__name__.rstrip("0123456789").removesuffix("Backward")
        if op in _LINEAR:
            return 1 if is_transposed else tensor.dim() - 1
        if op in _CONVOLUTION:
            return tensor.dim() - 1 if is_transposed else 1
        if op in _TRANSPOSING:
            is_transposed = not is_transposed
        elif op not in _TRANSPARENT and not op.startswith("Upsample"):
            break
        parents = [p for p, _ in node.next_functions if p is not None and "AccumulateGrad" not in type(p).__name__]
        node = parents[0] if len(parents) == 1 else None  # two branches are a sum or product, no head
    return tensor.dim() - 1 if is_named and tensor.dim() <= 3 else None


def _key(name: str) -> str:
    """The last part of an output's name: ".logits" and "['logits']" are both logits."""
    return name.replace("]", "").replace("'", "").replace("[", ".").rpartition(".")[2]


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def differentiable(output: Any) -> list[Tensor]:
    """Every tensor of an output through which a gradient could flow."""
    return [t for _, t in named_tensors(output) if t.requires_grad and torch.is_floating_point(t)]
