"""What is true of every captured run, each against a slow, obvious twin: replay, adjacency, gradients, parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import torch
from torch import Tensor, nn

from gradscope import capture
from gradscope.borrow import borrowed, seeded
from gradscope.pytree import map_tensors, tensors_in
from gradscope.schema import LayerCall, LayerGraph, Run, Subject, SubjectInfo

SEED = 0
_SHAPED_LIKE = ("reshape_as", "view_as", "type_as")  # only the shape or type of the second tensor is used
Call = tuple[str, int]  # name of a module, and how many times it had run before


def subject_of(model: nn.Module, *args: Any, training: bool = True, **kwargs: Any) -> Subject:
    """A model with its inputs; what is not needed to run it is left empty."""
    info = SubjectInfo("", type(model).__name__, 0, 0, "", "", "", SEED, "float32", "cpu", training)
    return Subject(info, model, args, kwargs, lambda output, _: projected(output), None)


@dataclass
class Recorder:
    """An observer that keeps everything it is shown."""

    calls: dict[int, LayerCall] = field(default_factory=dict)
    gradients: dict[int, Tensor] = field(default_factory=dict)

    def forward(self, layer: int, call: LayerCall) -> None:
        assert layer not in self.calls
        self.calls[layer] = call

    def backward(self, layer: int, gradient: Tensor) -> None:
        assert layer not in self.gradients
        self.gradients[layer] = gradient.clone()


@dataclass
class Captured:
    """A run inside `borrowed`, still alive."""

    subject: Subject
    graph: LayerGraph
    run: Run
    seen: Recorder

    def node(self, name: str, call: int = 0) -> Any:
        return next(n for n in self.graph.nodes if (n.name, n.call) == (name, call))

    @property
    def ops(self) -> list[str]:
        return [n.op for n in self.graph.nodes if n.kind != "input"]

    def parents(self, name: str, call: int = 0) -> set[str]:
        return {self.graph.nodes[i].name for i in self.node(name, call).inputs}


@contextmanager
def captured(model: nn.Module, *args: Any, training: bool = True, **kwargs: Any) -> Iterator[Captured]:
    """Capture a model on its inputs, inside `borrowed`."""
    subject = subject_of(model, *args, training=training, **kwargs)
    with borrowed(model, training=training, seed=SEED):
        seen = Recorder()
        graph, run = capture.graph(subject, seen, keep_edges=True)
        yield Captured(subject, graph, run, seen)


def projected(output: Any) -> Tensor:
    """A scalar that depends on every differentiable output."""
    generator = torch.Generator().manual_seed(SEED)
    total = torch.zeros(())
    for tensor in tensors_in(output):
        if tensor.requires_grad and not tensor.is_nested:
            real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
            total = total + (real.float() * torch.randn(real.shape, generator=generator)).sum()
    return total


# --- replay ------------------------------------------------------------------------------------------


class _Replay(torch.fx.Interpreter):
    def __init__(self, root: nn.Module, graph: LayerGraph) -> None:
        super().__init__(root, graph=graph.fx)
        self._constants = graph.constants

    def fetch_attr(self, target: str) -> Any:
        return self._constants[target] if target in self._constants else super().fetch_attr(target)


def replayed(graph: LayerGraph, subject: Subject) -> list[Tensor]:
    """The outputs of the fx graph on the subject's inputs, under the same seed."""
    inputs = fresh((subject.args, dict(subject.kwargs)))
    with borrowed(subject.model, training=subject.info.training, seed=SEED):
        return list(_Replay(subject.model, graph).run(*tensors_in(inputs)))


def fresh(value: Any) -> Any:
    """Copies of all tensors, with gradients flowing into the floating-point ones, as capture makes them."""
    return map_tensors(
        value,
        lambda t: t.detach().clone().requires_grad_(t.is_floating_point() or t.is_complex()).clone(),
    )


def differences(ours: Iterable[Tensor], theirs: Iterable[Tensor]) -> list[str]:
    """Where two lists of tensors are not bit for bit the same (NaN equals NaN)."""
    found = []
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a.shape != b.shape or a.dtype != b.dtype:
            found.append(f"{i}: {a.dtype} {tuple(a.shape)} is not {b.dtype} {tuple(b.shape)}")
        elif not torch.equal(_dense(a).nan_to_num(nan=7.0), _dense(b).nan_to_num(nan=7.0)):
            found.append(f"{i}: differs by {(_dense(a) - _dense(b)).abs().max().item():.3g}")
    return found


def _dense(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    tensor = tensor.to_dense() if tensor.layout != torch.strided else tensor
    tensor = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return tensor.double()


def replay_differences(c: Captured) -> list[str]:
    """How the replay differs from the run; call it when the model is no longer borrowed, back in its first state."""
    return differences(replayed(c.graph, c.subject), tensors_in(c.run.output))


# --- gradients ---------------------------------------------------------------------------------------


def gradient_differences(c: Captured) -> list[str]:
    """How the observer's gradients differ from autograd's, from the same backward pass over the same graph."""
    loss = projected(c.run.output)
    if not loss.requires_grad:
        return []
    layers = sorted(c.run.edges)
    c.seen.gradients.clear()
    with seeded(SEED):
        expected = torch.autograd.grad(loss, [c.run.edges[i] for i in layers], retain_graph=True, allow_unused=True)
    c.seen.gradients.clear()
    with seeded(SEED):
        loss.backward(inputs=_leaves(c), retain_graph=True)
    found = []
    for i, reference in zip(layers, expected, strict=True):
        name, seen = c.graph.nodes[i].name, c.seen.gradients.get(i)
        if (seen is None) != (reference is None):
            found.append(f"{name}: {'not seen' if seen is None else 'seen, but autograd has none'}")
        elif seen is not None and (d := differences([seen], [reference])):
            found.append(f"{name}: {d[0]}")
    return found


def _leaves(c: Captured) -> list[Tensor]:
    return [*(p for p in c.subject.model.parameters() if p.requires_grad), *c.run.inputs]


def missing_parameters(c: Captured) -> list[str]:
    """Parameters that get a gradient, but belong to no layer upstream of the output."""
    loss = projected(c.run.output)
    named = [(n, p) for n, p in c.subject.model.named_parameters() if p.requires_grad]
    if not loss.requires_grad or not named:
        return []
    c.seen.gradients.clear()
    gradients = torch.autograd.grad(loss, [p for _, p in named], retain_graph=True, allow_unused=True)
    upstream = set(c.graph.outputs).union(*(nx.ancestors(c.graph.digraph, i) for i in c.graph.outputs))
    known = {name for i in upstream for name in c.graph.nodes[i].parameters}
    return [n for (n, _), g in zip(named, gradients, strict=True) if g is not None and n not in known]


# --- adjacency ---------------------------------------------------------------------------------------


def adjacency_difference(c: Captured, traced: torch.fx.GraphModule, arguments: list[Any]) -> set[tuple[Call, Call]]:
    """Edges between modules that only one of the tape and `symbolic_trace` has.

    All that is no module call on both sides is contracted, and so are modules that handed their input back: the
    tape sees tensors, and cannot tell which of the two names the model used afterwards.
    """
    ours = nx.DiGraph(c.graph.digraph)
    ours_calls = {n.index: (n.name, n.call) for n in c.graph.nodes if n.kind == "module"}
    theirs, their_calls = _traced(traced, arguments)
    passed = {ours_calls[i] for i, call in c.seen.calls.items() if i in ours_calls and _is_passed_on(call)}
    common = (set(ours_calls.values()) & set(their_calls.values())) - passed
    assert common, "nothing to compare"
    return _contracted(ours, ours_calls, common) ^ _contracted(theirs, their_calls, common)


def _is_passed_on(call: LayerCall) -> bool:
    given = {id(t) for t in tensors_in((call.args, dict(call.kwargs)))}
    return any(id(t) in given for t in tensors_in(call.output))


class _TensorNodes(torch.fx.Interpreter):
    """Runs a traced module and notes which nodes hold tensors: a shape is no data flow."""

    def __init__(self, module: torch.fx.GraphModule) -> None:
        super().__init__(module)
        self.found: set[torch.fx.Node] = set()

    def run_node(self, n: torch.fx.Node) -> Any:
        result = super().run_node(n)
        if tensors_in(result):
            self.found.add(n)
        return result


def _traced(traced: torch.fx.GraphModule, arguments: list[Any]) -> tuple[nx.DiGraph, dict[Any, Call]]:
    interpreter = _TensorNodes(traced)
    with borrowed(traced, training=traced.training, seed=SEED):
        interpreter.run(*fresh(arguments))
    graph, calls, counts = nx.DiGraph(), {}, Counter()
    for node in traced.graph.nodes:
        if node not in interpreter.found:
            continue
        graph.add_node(node)
        parents = node.all_input_nodes[:1] if node.target in _SHAPED_LIKE else node.all_input_nodes
        graph.add_edges_from((parent, node) for parent in parents if parent in interpreter.found)
        if node.op == "call_module":
            calls[node] = (node.target, counts[node.target])
            counts[node.target] += 1
    return graph, calls


def _contracted(graph: nx.DiGraph, calls: dict[Any, Call], kept: set[Call]) -> set[tuple[Call, Call]]:
    edges = set()
    for start, call in calls.items():
        if call in kept and start in graph:
            seen, stack = set(), list(graph.successors(start))
            while stack:
                node = stack.pop()
                if node in seen:
                    continue
                seen.add(node)
                if calls.get(node) in kept:
                    edges.add((call, calls[node]))
                else:
                    stack.extend(graph.successors(node))
    return edges


# --- all together ------------------------------------------------------------------------------------


def check(build: Callable[[], nn.Module], *args: Any, training: bool = True, **kwargs: Any) -> None:
    """Everything that must be true of any run."""
    with seeded(SEED):
        model = build()
    with captured(model, *args, training=training, **kwargs) as c:
        assert gradient_differences(c) == []
        assert missing_parameters(c) == []
        assert nx.is_directed_acyclic_graph(c.graph.digraph)
        assert [n.index for n in c.graph.nodes] == list(range(len(c.graph.nodes)))
        names = [(n.name, n.call) for n in c.graph.nodes]
        assert len(set(names)) == len(names)
    assert replay_differences(c) == []
