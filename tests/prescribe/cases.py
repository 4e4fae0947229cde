"""Cases for remedies: a model, captured, with a finding of the wanted code."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from gradscope import capture
from gradscope.borrow import borrowed
from gradscope.config import Config
from gradscope.prescribe._copies import treated
from gradscope.prescribe._remedy import REMEDIES, Case, Change, Remedy
from gradscope.schema import Coverage, Estimate, Finding, LayerGraph, LayerProfile, Profile, Severity, Subject
from tests.subjects import subject


def seeded(make: Any, seed: int = 0) -> Any:
    """What `make` builds under a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def graph_of(one: Subject) -> LayerGraph:
    with borrowed(one.model, training=True, seed=0):
        return capture.graph(one)[0]


def finding(code: str, severity: Severity = "error", **evidence: float) -> Finding:
    numbers = {name: Estimate.exact(value) for name, value in evidence.items()}
    return Finding(code, "some-failure", severity, ("somewhere",), "it fails", numbers)


def profile_of(graph: LayerGraph, **network: float) -> Profile:
    numbers = {name: Estimate.exact(value) for name, value in network.items()}
    layers = tuple(LayerProfile(node) for node in graph.nodes)
    return Profile("measured", layers, numbers, (), (), Coverage(len(layers), 0, 1.0, "test"), graph.outputs)


def case(model: nn.Module, *inputs: Any, code: str = "GS201", **more: Any) -> Case:
    one = subject(model, *inputs, **more)
    graph = graph_of(one)
    return Case((finding(code),), one, graph, profile_of(graph), Config())


def change(remedy: str, of: Case) -> Change:
    """The only change that a remedy proposes."""
    (found,) = changes(remedy, of)
    return found


def changes(remedy: str, of: Case) -> list[Change]:
    item = REMEDIES[remedy]
    assert isinstance(item, Remedy)
    return list(item.propose(of))


def cured(remedy: str, of: Case, seed: int = 0) -> nn.Module:
    """A copy of the model after the text of the remedy has been executed."""
    return treated(of.subject, change(remedy, of).code, of.inputs, seed)
