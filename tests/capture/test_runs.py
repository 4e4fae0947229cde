"""Whatever a model does: the replay, the streamed gradients and the parameters are those of the run."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.capture.checks import captured, check, differences, projected, replay_differences
from tests.capture.models import CASES, Model, X, linear


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", CASES)
def test_replay_gradients_and_parameters_are_those_of_the_run(name: str, training: bool) -> None:
    check(CASES[name].build, *CASES[name].args, training=training, **CASES[name].kwargs)


def test_the_checks_see_a_wrong_replay_a_wrong_gradient_and_a_missing_parameter() -> None:
    from tests.capture.checks import gradient_differences, missing_parameters

    with captured(nn.Sequential(linear(), nn.ReLU()), X) as c:
        c.run.edges[0] = c.run.edges[1]  # pyright: ignore[reportIndexIssue]
        assert len(gradient_differences(c)) == 1
        c.graph.digraph.remove_edge(1, 2)
        assert missing_parameters(c) == ["0.weight", "0.bias"]
    node = next(n for n in c.graph.fx.nodes if n.target is F.relu)
    node.target = torch.tanh
    node.kwargs = {}
    assert replay_differences(c) != []


def test_keyword_inputs_are_named_and_differentiable() -> None:
    model = Model(lambda self, x, *, mask, extra: self.a(x) * mask + extra["y"], a=linear())
    with captured(model, X, mask=torch.ones(4, 1), extra={"y": X.double()}) as c:
        assert [n.name for n in c.graph.nodes if n.kind == "input"] == ["input", "mask", "extra"]
        assert len(c.run.inputs) == 3
        assert all(g is not None for g in torch.autograd.grad(projected(c.run.output), c.run.inputs))


def test_the_users_inputs_stay_as_they_are() -> None:
    mine = X.clone()
    with captured(Model(lambda self, x: self.a(x.mul_(2)), a=linear()), mine):
        pass
    assert torch.equal(mine, X)
    assert mine._version == 0
    assert not mine.requires_grad


def test_every_call_of_a_shared_module_is_a_layer() -> None:
    with captured(CASES["shared_module"].build(), X) as c:
        assert [(n.name, n.call) for n in c.graph.nodes] == [("input", 0), ("a", 0), ("tanh_1", 0), ("a", 1)]
        assert c.parents("a", 1) == {"tanh_1"}


def test_functions_are_named_for_their_module_and_count_from_one() -> None:
    inner = Model(lambda self, x: (x + 1).relu() + x, a=linear(), b=linear())
    with captured(Model(lambda self, x: self.inner(x) * 2, inner=inner), X) as c:
        assert [n.name for n in c.graph.nodes] == ["input", "inner.add_1", "inner.relu_1", "inner.add_2", "mul_1"]


def test_a_factor_of_a_weight_belongs_to_the_layer_that_uses_the_product() -> None:
    with captured(CASES["factorized_weight"].build(), X) as c:
        assert c.node("linear_1").parameters == ("a.weight", "b.weight")
        assert (c.node("linear_1").fan_in, c.node("linear_1").fan_out) == (6, 6)
        assert c.node("add_1").parameters == ("a.bias",)


def test_a_write_through_a_view_is_seen_by_readers_of_the_base() -> None:
    with captured(CASES["write_through_a_view"].build(), X) as c:
        assert c.parents("add_1") == {"a", "mul_1"}


@pytest.mark.parametrize("name", ["scripted_function", "scripted_module", "thread", "vmapped"])
def test_what_cannot_be_seen_is_one_layer_and_a_gap(name: str) -> None:
    with captured(CASES[name].build(), X) as c:
        (gap,) = c.graph.gaps
        hidden = c.node(gap.layer)
        assert "cannot be seen" in gap.reason
        assert hidden.parameters != ()
        assert nx.has_path(c.graph.digraph, 0, hidden.index)
        assert all(nx.has_path(c.graph.digraph, hidden.index, i) for i in c.graph.outputs)


def test_what_runs_inside_a_custom_function_has_no_gradient_and_says_so() -> None:
    with captured(CASES["custom_function_that_runs_a_module"].build(), X) as c:
        (gap,) = c.graph.gaps
        assert gap.layer == "m"
        assert "its gradient cannot be seen" in gap.reason


def test_what_can_be_seen_has_no_gap() -> None:
    hiding = {"scripted_function", "scripted_module", "thread", "vmapped", "custom_function_that_runs_a_module"}
    for name in CASES.keys() - hiding:
        with captured(CASES[name].build(), *CASES[name].args) as c:
            assert c.graph.gaps == (), name


def test_gradients_inside_the_forward_pass_are_not_the_backward_pass() -> None:
    with captured(CASES["gradient_inside_forward"].build(), X) as c:
        assert c.seen.gradients == {}


def test_the_observer_sees_arguments_as_they_were_and_can_call_again() -> None:
    for name in ("relu_in_place", "module_in_place", "write_through_a_view", "autocast", "setitem", "attention"):
        with captured(CASES[name].build(), *CASES[name].args, training=False) as c:
            shown = {i: call for i, call in c.seen.calls.items() if call.op not in ("input", "mul")}
            for i, call in shown.items():
                with torch.no_grad():
                    assert differences(_tensors(again(call)), _tensors(expected(c, i))) == [], (name, call.op)


def again(call: Any) -> Any:
    result = call.function(*call.args, **call.kwargs)
    return call.args[0] if result is None else result


def expected(c: Any, layer: int) -> Any:
    """The output of a layer as a run of the same model without observers has it when the layer has run."""
    from gradscope import capture

    class Snapshot:
        output: Any = None

        def forward(self, index: int, call: Any) -> None:
            if index == layer:
                self.output = [t.detach().clone() for t in _tensors(call.output)]

        def backward(self, layer: int, gradient: torch.Tensor) -> None:
            """Nothing to see."""

    snapshot = Snapshot()
    capture.graph(c.subject, snapshot)
    return snapshot.output


def _tensors(value: Any) -> list[torch.Tensor]:
    from gradscope.pytree import tensors_in

    return tensors_in(value)


def test_a_forward_pass_that_fails_half_way_leaves_torch_as_it_was() -> None:
    def fail(self, x):
        raise KeyError(self.a(x).shape)

    call, apply = nn.Module.__call__, torch.autograd.Function.__dict__["apply"]
    with pytest.raises(KeyError), captured(Model(fail, a=linear()), X):
        raise AssertionError("not reached")
    assert nn.Module.__call__ is call
    assert torch.autograd.Function.__dict__["apply"] is apply
    assert torch.overrides._get_current_function_mode_stack() == []


def test_a_forward_pass_may_catch_its_own_errors() -> None:
    def careful(self, x):
        try:
            x @ x
        except RuntimeError:
            return self.a(x)

    with captured(Model(careful, a=linear()), X) as c:
        assert [n.name for n in c.graph.nodes] == ["input", "a"]


def test_layers_know_the_line_that_ran_them() -> None:
    def run(self, x):
        y = self.a(x)
        return y + 1

    first = run.__code__.co_firstlineno
    with captured(Model(run, a=nn.Sequential(linear(), nn.ReLU())), X) as c:
        lines = [(n.name, n.source.rsplit("/", 1)[-1]) for n in c.graph.nodes if n.source]
    assert lines == [
        ("a.0", f"test_runs.py:{first + 1}"),
        ("a.1", f"test_runs.py:{first + 1}"),
        ("add_1", f"test_runs.py:{first + 2}"),
    ]


def test_a_lazy_module_is_captured_and_stays_lazy() -> None:
    model = nn.Sequential(nn.LazyLinear(3), nn.ReLU())
    with captured(model, X) as c:
        assert [(n.name, n.op, n.fan_in) for n in c.graph.nodes[1:]] == [("0", "Linear", 6), ("1", "ReLU", None)]
        assert c.graph.nodes[1].parameters == ("0.bias", "0.weight")
    assert type(model[0]) is nn.LazyLinear
    assert model[0].has_uninitialized_params()
    assert model(X).shape == (4, 3)


def test_a_model_that_seeds_itself_runs_and_leaves_the_generators_alone() -> None:
    model = Model(lambda self, x: (torch.seed(), self.a(x) + torch.randn(4, 6))[1], a=linear())
    before = torch.get_rng_state()
    with captured(model, X) as c:
        assert [n.name for n in c.graph.nodes] == ["input", "a", "add_1"]
    assert torch.equal(torch.get_rng_state(), before)


def test_distributed_data_parallel_is_a_wrapper(tmp_path: Any) -> None:
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        model = nn.parallel.DistributedDataParallel(nn.Sequential(linear(), nn.BatchNorm1d(6)))
        with captured(model, X) as c:
            assert [n.name for n in c.graph.nodes] == ["input", "module.0", "module.1"]
            projected(c.run.output).backward()
    finally:
        torch.distributed.destroy_process_group()


def test_the_graph_makes_a_graph_module() -> None:
    with captured(CASES["factorized_weight"].build(), X) as c:
        module = torch.fx.GraphModule(c.subject.model, c.graph.fx)
        (output,) = module(X)
        assert torch.equal(output, c.run.output)
