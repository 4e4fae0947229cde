"""The cheapest way to see every layer of a model: one forward pass without gradients, each call handed over at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gradscope.capture._leaf import is_leaf, is_rearranging
from gradscope.capture._naming import function_name
from gradscope.pytree import main_tensor, tensors_in
from gradscope.schema import LayerCall

Visit = Callable[[str, LayerCall], None]


def stream(model: nn.Module, arguments: dict[str, Any] | tuple[Any, ...], visit: Visit) -> None:
    """Run the model and hand every leaf module and every functional op to `visit` when it has run."""
    mode = _Mode(visit)
    hooks = []
    for name, module in model.named_modules():
        if is_leaf(module, (), is_root=module is model):
            hooks.append(module.register_forward_pre_hook(lambda *_: mode.enter()))
            hook = lambda m, args, kwargs, output, name=name: mode.leave(name, m, args, kwargs, output)  # noqa: E731
            hooks.append(module.register_forward_hook(hook, with_kwargs=True))
    try:
        with torch.no_grad(), mode:
            model(**arguments) if isinstance(arguments, dict) else model(*arguments)
    finally:
        for hook in hooks:
            hook.remove()


class _Mode(TorchFunctionMode):
    def __init__(self, visit: Visit) -> None:
        super().__init__()
        self.visit, self.depth, self.count = visit, 0, 0
        self.outputs: dict[int, Tensor] = {}  # keeps identities unique; only small constants stay

    def enter(self) -> None:
        self.depth += 1

    def leave(self, name: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        self.depth -= 1
        if not self.depth:
            self.visit(name, LayerCall(type(module).__name__, module, module, args, kwargs, output))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.depth:
            return func(*args, **kwargs)
        self.depth += 1
        try:
            output = func(*args, **kwargs)
            name, main = function_name(func), main_tensor(output)
            ins = [t for t in tensors_in((args, kwargs)) if t.is_floating_point()]
            if main is not None and main.is_floating_point() and ins and not is_rearranging(name, ins[0], main):
                self.count += 1
                self.visit(f"{name}#{self.count}", LayerCall(name, None, func, args, kwargs, output))
            return output
        finally:
            self.depth -= 1
