"""One tensor of a model: all that can change about it, and how it is put back."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.grad_mode import _unsafe_preserve_version_counter
from torch.nn.parameter import is_lazy


def storage_of(tensor: Tensor) -> int | None:
    """The identity of the memory behind a tensor; None for sparse, uninitialized and other tensors without one."""
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError, ValueError):
        return None


class TensorState:
    """What a tensor is now. Its gradient is taken away meanwhile, so that nothing accumulates into it.

    Args:
        name: of the tensor.
        tensor: the tensor.
        is_state: whether the model is expected to change it, as batch statistics.
    """

    def __init__(self, name: str, tensor: Tensor, *, is_state: bool) -> None:
        self.name = name
        self._tensor = tensor
        self._is_state = is_state
        self._class = type(tensor)
        self._attributes = dict(vars(tensor))
        self._requires_grad = tensor.requires_grad
        self._grad = tensor.grad if tensor.is_leaf else None
        self._hooks = dict(tensor._backward_hooks or {}) if tensor.is_leaf else {}
        self._copy: torch.UntypedStorage | Tensor | None = None
        self._is_lazy = is_lazy(tensor)
        self._alias = None if self._is_lazy else tensor.detach()  # shares the memory, and remembers where it is
        self._versions = None
        if not self._is_lazy and not tensor.is_inference():
            self._version = tensor._version
            self._versions = _unsafe_preserve_version_counter(tensor)
        if self._grad is not None:
            tensor.grad = None

    def keep(self) -> None:
        """Copy the content, which is about to be overwritten."""
        if self._copy is None and self._alias is not None:
            is_strided = storage_of(self._alias) is not None
            self._copy = self._alias.untyped_storage().clone() if is_strided else self._alias.clone()

    def restore(self) -> str | None:
        """Put everything back; a sentence if the model's own code changed what is not its state."""
        tensor = self._tensor
        if self._is_lazy:
            if type(tensor) is not self._class:  # it has been materialized
                tensor.data = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
            report = None
        else:
            report = self._put_content_back()
        if self._versions is not None:
            self._versions.__exit__()
        if type(tensor) is not self._class:
            tensor.__class__ = self._class
        if tensor.requires_grad != self._requires_grad:
            tensor.requires_grad_(self._requires_grad)
        if tensor.is_leaf and tensor.grad is not self._grad:
            tensor.grad = self._grad
        if tensor.is_leaf and (hooks := tensor._backward_hooks) is not None and hooks != self._hooks:
            hooks.clear()
            hooks.update(self._hooks)
        if vars(tensor) != self._attributes:
            vars(tensor).clear()
            vars(tensor).update(self._attributes)
        return report

    def _put_content_back(self) -> str | None:
        tensor, alias, copy = self._tensor, self._alias, self._copy
        assert alias is not None, "only a lazy tensor has none"
        is_moved = storage_of(tensor) != storage_of(alias) or _layout(tensor) != _layout(alias)
        is_written = self._versions is not None and tensor._version != self._version
        if is_moved:
            tensor.data = alias
        if isinstance(copy, torch.UntypedStorage):
            storage = alias.untyped_storage()
            is_written = not torch.equal(_bytes(storage), _bytes(copy))
            if is_written:
                if storage.nbytes() != copy.nbytes():
                    storage.resize_(copy.nbytes())
                storage.copy_(copy)
        elif copy is not None and is_written:
            alias.copy_(copy)
        elif copy is None and is_written and not is_moved:
            return f"{self.name}: the model's own code changed it, where torch does not see it, and it stays changed"
        if self._is_state or not (is_moved or is_written):
            return None
        return f"{self.name}: the model's own code changed it, and it has been put back"


def _bytes(storage: torch.UntypedStorage) -> Tensor:
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)  # pyright: ignore[reportArgumentType]


def _layout(tensor: Tensor) -> tuple[object, ...]:
    is_strided = tensor.layout == torch.strided
    return tensor.dtype, tensor.shape, (tensor.stride(), tensor.storage_offset()) if is_strided else tensor.layout
