"""The layers of a run while they are recorded: their names, parameters, source lines, outputs and gradients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gradscope.capture._fans import Fans, fans
from gradscope.capture._gradients import Gradients, Observer, show
from gradscope.capture._source import Lines
from gradscope.capture._values import Origin, node_of
from gradscope.schema import LayerCall

IN_A_FUNCTION = "runs inside a custom autograd function, so that its gradient cannot be seen"
UNSEEN = "computed where torch calls cannot be seen: in a scripted part, a thread or an extension"


@dataclass(slots=True)
class Layer:
    """One layer while it is being recorded; the fields are those of `schema.LayerNode`."""

    index: int
    kind: Literal["module", "function", "input"]
    op: str
    path: str
    name: str
    call: int
    source: str | None
    inputs: set[int] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)
    shape: tuple[int, ...] = ()
    dtype: str = "none"
    fans: Fans = (None, None)
    gap: str | None = None

    def feed(self, origin: Origin) -> None:
        """The layer has read something that flows from `origin`."""
        self.inputs |= origin.layers - {self.index}
        self.parameters |= origin.parameters


class Layers:
    """The layers of one run, in execution order.

    Args:
        observer: is shown every layer the moment it has run.
        keep_edges: keep the autograd edge of every layer's output.
        source: line of layers that no user code runs, such as those of a plain `nn.Sequential`.
    """

    def __init__(self, observer: Observer | None, *, keep_edges: bool, source: str | None = None) -> None:
        self.observer = observer
        self.gradients = Gradients(observer) if observer is not None else None
        self.recorded: list[Layer] = []
        self.edges: dict[int, Any] = {}
        self.gap: str | None = None  # of the layers that run now
        self._is_keeping_edges = keep_edges
        self._scopes: list[tuple[str, Counter[str]]] = [("", Counter())]
        self._calls: Counter[str] = Counter()
        self._lines = Lines()
        self._source = source

    @property
    def path(self) -> str:
        """Path of the module that runs now."""
        return self._scopes[-1][0]

    @contextmanager
    def scope(self, path: str) -> Iterator[None]:
        """A module runs that is no layer itself."""
        self._scopes.append((path, Counter()))
        try:
            yield
        finally:
            self._scopes.pop()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Layers inside are not seen by autograd."""
        before, self.gap = self.gap, IN_A_FUNCTION
        try:
            yield
        finally:
            self.gap = before

    def open_input(self, name: str) -> Layer:
        """A tensor is handed to the model."""
        return self._open("input", "input", "", name)

    def open_module(self, module: nn.Module, path: str) -> Layer:
        """A leaf module is about to run."""
        return self._open("module", type(module).__name__, path, path or type(module).__name__)

    def open_function(self, op: str, weights: Iterable[Tensor] = ()) -> Layer:
        """A function has run; `weights` are the tensors it used that come from parameters only."""
        path, counter = self._scopes[-1]
        counter[op] += 1
        name = f"{op}_{counter[op]}"
        layer = self._open("function", op, path, f"{path}.{name}" if path else name)
        layer.fans = fans(weights, op)
        return layer

    def close(self, layer: Layer, main: Tensor | None) -> None:
        """The layer has run, and `main` is its main output."""
        if main is None:
            return
        layer.shape, layer.dtype = tuple(main.shape), str(main.dtype).removeprefix("torch.")
        is_watched = self.gradients is not None or self._is_keeping_edges
        if is_watched and main.requires_grad and (node_of(main) is not None or not main._is_view()):
            edge = torch.autograd.graph.get_gradient_edge(main)
            if self._is_keeping_edges:
                self.edges[layer.index] = edge
            if self.gradients is not None:
                self.gradients.watch(layer.index, edge)

    def show(self, layer: Layer, call: LayerCall) -> None:
        """Let the observer look at a layer that has run."""
        if self.observer is not None:
            show(self.observer, layer.index, call)

    def _open(self, kind: Literal["module", "function", "input"], op: str, path: str, name: str) -> Layer:
        source = (self._lines.current() or self._source) if kind != "input" else None
        layer = Layer(len(self.recorded), kind, op, path, name, self._calls[name], source, gap=self.gap)
        self._calls[name] += 1
        self.recorded.append(layer)
        return layer


def computed_unseen(tensor: Tensor) -> LayerCall:
    """What can be shown of a layer that nobody saw run: its output."""

    def again() -> Any:
        raise RuntimeError(UNSEEN)

    return LayerCall("opaque", None, again, (), {}, tensor)
