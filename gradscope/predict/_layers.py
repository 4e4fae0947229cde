"""Which layer computed which tensor: leaf modules by hooks, functional ops by a torch-function mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gradscope.predict._names import function_name, is_leaf, is_rearranging
from gradscope.predict._table import Table
from gradscope.pytree import main_tensor, tensors_in

_FROM_NUMBERS = (torch.tensor, torch.as_tensor, torch.asarray)


def _with_index_tensors(index: Any) -> Any:
    """Lists of positions as tensors on the CPU, so that they stay known."""
    if isinstance(index, tuple):
        return tuple(_with_index_tensors(i) for i in index)
    return torch.tensor(index, device="cpu") if isinstance(index, list) else index


@dataclass(eq=False)
class Layer:
    """One call of one layer, with the table of its main output."""

    index: int
    name: str
    kind: Literal["module", "function", "input"]
    op: str
    path: str
    call: int
    parameters: tuple[str, ...] = ()
    module: nn.Module | None = None
    inputs: set[int] = field(default_factory=set)
    sources: list[Table] = field(default_factory=list)
    table: Table | None = None
    shape: tuple[int, ...] = ()
    dtype: str = "none"


class Layers(TorchFunctionMode):
    """The layers of a run in order of execution.

    Args:
        model: whose modules are told apart by their paths.
        table_of: the moment table of a tensor, None where it has none.
        know: is told the numbers of a tensor that was made from Python numbers.
    """

    def __init__(
        self, model: nn.Module, table_of: Callable[[Tensor], Table | None], know: Callable[[Tensor, Any], None]
    ) -> None:
        super().__init__()
        self.table_of = table_of
        self.know = know
        self.list: list[Layer] = []
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._names = {id(p): name for name, p in model.named_parameters()}
        self._calls: Counter[str] = Counter()
        self._scopes: list[tuple[str, Counter[str]]] = [("", Counter())]
        self._leaves: list[tuple[nn.Module, Layer]] = []
        self._model = model

    @contextmanager
    def watching(self) -> Iterator[Layers]:
        """Hooks on every module, removed at the end."""
        handles = []
        for module in self._model.modules():
            handles.append(module.register_forward_pre_hook(self._enter, with_kwargs=True))
            handles.append(module.register_forward_hook(self._leave, with_kwargs=True, always_call=True))
        try:
            with self:
                yield self
        finally:
            for handle in handles:
                handle.remove()

    def add_input(self, tensor: Tensor, name: str) -> None:
        """Declare an input of the model."""
        layer = self._open("input", "input", "", name)
        self._close(layer, tensor)
        tensor._sources = frozenset({layer.index})  # type: ignore[attr-defined]

    # --- modules ------------------------------------------------------------------------------------

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if self._leaves:
            return
        path = self._paths.get(id(module), type(module).__name__)
        is_root = len(self._scopes) == 1 and not type(module).__module__.startswith("torch.nn")
        if is_root or not is_leaf(module):
            self._scopes.append((path, Counter()))
            return
        names = tuple(self._names[id(p)] for p in module.parameters() if id(p) in self._names)
        layer = self._open("module", type(module).__name__, path, path, names)
        layer.module = module
        self._feed(layer, tensors_in((args, kwargs)))
        self._leaves.append((module, layer))

    def _leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if not self._leaves:
            if len(self._scopes) > 1:
                self._scopes.pop()
            return
        leaf, layer = self._leaves[-1]
        if leaf is not module:
            return
        self._leaves.pop()
        for tensor in tensors_in(output):
            tensor._sources = frozenset({layer.index})  # type: ignore[attr-defined]
        self._close(layer, main_tensor(output))

    # --- functions ----------------------------------------------------------------------------------

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        inputs = tensors_in((args, kwargs))
        flow = frozenset().union(*(getattr(t, "_sources", frozenset()) for t in inputs)) if inputs else frozenset()
        before = [self.table_of(t) for t in inputs] if flow and not self._leaves else []
        if func is Tensor.__getitem__:
            args = (args[0], _with_index_tensors(args[1]))
        output = func(*args, **kwargs)
        if func in _FROM_NUMBERS and output.device.type == "meta" and not isinstance(args[0], Tensor):
            self.know(output, args[0])
        name = function_name(func)
        made = [t for t in tensors_in(output) if t.device.type == "meta"]
        if not flow or not made:
            return output
        main = next((t for t in made if t.is_floating_point() or t.is_complex()), None)
        sources = flow
        if self._leaves:
            sources = frozenset({self._leaves[-1][1].index})
        elif main is not None and not is_rearranging(name):
            layer = self._open_function(name, inputs)
            layer.inputs |= flow
            layer.sources = [t for t in before if t is not None and not t.is_initial]
            self._close(layer, main)
            sources = frozenset({layer.index})
        for tensor in made:
            tensor._sources = sources  # type: ignore[attr-defined]
        return output

    def _open_function(self, name: str, inputs: list[Tensor]) -> Layer:
        path, counter = self._scopes[-1]
        counter[name] += 1
        full = f"{path}.{name}_{counter[name]}" if path else f"{name}_{counter[name]}"
        parameters = tuple(self._names[id(t)] for t in inputs if id(t) in self._names)
        return self._open("function", name, path, full, parameters)

    # --- recording ----------------------------------------------------------------------------------

    def _open(self, kind: Any, op: str, path: str, name: str, parameters: tuple[str, ...] = ()) -> Layer:
        name = name or op
        layer = Layer(len(self.list), name, kind, op, path, self._calls[name], parameters)
        self._calls[name] += 1
        self.list.append(layer)
        return layer

    def _feed(self, layer: Layer, tensors: list[Tensor]) -> None:
        for tensor in tensors:
            layer.inputs |= getattr(tensor, "_sources", frozenset())
            table = self.table_of(tensor)
            if table is not None and not table.is_initial:
                layer.sources.append(table)

    def _close(self, layer: Layer, main: Tensor | None) -> None:
        if main is not None:
            layer.table = self.table_of(main)
            layer.shape = tuple(main.shape)
            layer.dtype = str(main.dtype).removeprefix("torch.")
