"""Which modules are one layer, and which functional ops only rearrange."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils import parametrize

_TRANSPARENT = (
    nn.Sequential,
    nn.ModuleList,
    nn.ModuleDict,
    nn.ParameterList,
    nn.ParameterDict,
    nn.Transformer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
)
_MAX_PARAMETERS = 2  # weight and bias: a childless module with more of them holds more than one layer

_REARRANGING = frozenset(
    "view view_as reshape reshape_as flatten unflatten squeeze unsqueeze transpose permute movedim moveaxis swapaxes "
    "swapdims t T mT H mH adjoint contiguous clone to type type_as float double half bfloat16 cpu cuda requires_grad "
    "split split_with_sizes tensor_split chunk unbind narrow select getitem view_as_real view_as_complex real imag "
    "flip fliplr flipud roll rot90 diagonal alias as_strided pixel_shuffle pixel_unshuffle refine_names "
    "rename align_to hsplit vsplit dsplit ravel numpy_T get".split()
)


def is_leaf(module: nn.Module) -> bool:
    """Whether a call of this module is one layer.

    torch.nn's own modules are, containers excepted; so is a module of the user without children and with at
    most a weight and a bias, such as a hand-written norm or activation.
    """
    if isinstance(module, _TRANSPARENT):
        return False
    kind = type(module).__mro__[1] if parametrize.is_parametrized(module) else type(module)
    if kind.__module__.startswith(("torch.nn.modules", "torch.ao.nn")):
        return True
    has_children = any(True for _ in module.children()) and not parametrize.is_parametrized(module)
    return not has_children and sum(1 for _ in module.parameters(recurse=False)) <= _MAX_PARAMETERS


def is_rearranging(op: str, source: Tensor | None, output: Tensor | None) -> bool:
    """Whether an op only moves entries of its input, each at most once, so that its Jacobian has norm 1."""
    if op not in _REARRANGING or source is None or output is None or output.numel() > source.numel():
        return False
    if output.dtype != source.dtype and not (output.is_floating_point() or output.is_complex()):
        return False
    if op != "getitem":
        return True
    is_strided = output.layout == source.layout and not output.is_sparse
    return is_strided and output.untyped_storage().data_ptr() == source.untyped_storage().data_ptr()
