"""An initializer that says one thing while the parameters say another."""

import math
from collections.abc import Callable

import pytest
from torch import Tensor, nn

from gradscope.schema import Finding
from tests.diagnose.planted import TOKENS, VECTORS, Layer, Stack, conformance, mlp

STD = 0.05


class Initialized(Stack):
    """Draws every linear weight with one std, after which a hook may scale some of them by their names."""

    def __init__(self, depth: int = 8) -> None:
        super().__init__(depth)
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=STD)
        if isinstance(module, nn.Embedding):
            nn.init.zeros_(module.weight[0].detach())
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


class LostPrefix(Initialized):
    """Only the whole model is asked for its parameters, and there no name is as short as this."""

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, Stack):
            for name, p in module.named_parameters():
                if name == "c_proj.weight":
                    nn.init.normal_(p, mean=0.0, std=STD / math.sqrt(2 * self.depth))


class KeptPrefix(Initialized):
    """The same with a condition that holds."""

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, Stack):
            for name, p in module.named_parameters():
                if name.endswith("c_proj.weight"):
                    nn.init.normal_(p, mean=0.0, std=STD / math.sqrt(2 * self.depth))


class ByModule(Initialized):
    """The same, reached from the module that holds the weight."""

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, Layer):
            nn.init.normal_(module.c_proj.weight, mean=0.0, std=STD / math.sqrt(2 * self.depth))


class InTheConstructor(Initialized):
    """Scales in its constructor, by a name that has changed since."""

    def __init__(self, suffix: str) -> None:
        super().__init__()
        for pn, p in self.named_parameters():
            if pn.endswith("c_proj.weight") and pn.startswith(suffix):
                p.data.normal_(0.0, STD / math.sqrt(2 * self.depth))


def unapplied(build: Callable[[], nn.Module]) -> Finding | None:
    return conformance(build, TOKENS).get("GS602")


def test_a_condition_on_a_name_that_never_holds() -> None:
    finding = unapplied(LostPrefix)

    assert finding is not None
    assert finding.layers == tuple(f"layers.{i}.c_proj.weight" for i in range(8))
    assert finding.evidence["declared_std"].value == pytest.approx(STD / 4)
    assert "layers.*.c_proj.weight" in finding.message
    assert f"{__file__.rpartition('/')[2]}:" in finding.message


@pytest.mark.parametrize("build", [Initialized, KeptPrefix, ByModule, Stack])
def test_silent_where_the_code_does_what_it_says(build: Callable[[], nn.Module]) -> None:
    assert unapplied(build) is None


def test_a_scaling_after_the_initializer_is_no_finding() -> None:
    assert unapplied(lambda: InTheConstructor("layers")) is None


class Forgotten(nn.Module):
    """Has an initializer, which its constructor may or may not call."""

    def __init__(self, is_called: bool) -> None:
        super().__init__()
        self.body = mlp(2, width=64)
        if is_called:
            self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def test_an_initializer_that_is_never_called() -> None:
    finding = conformance(lambda: Forgotten(False), VECTORS)["GS602"]

    assert "body.2.weight" in finding.layers
    assert "body.2.bias" in finding.layers
    assert "GS602" not in conformance(lambda: Forgotten(True), VECTORS)


def test_weights_that_were_trained_since_are_no_finding() -> None:
    def trained() -> nn.Module:
        model = LostPrefix()
        for parameter in model.parameters():
            nn.init.normal_(parameter, mean=0.1, std=0.3)
        return model

    assert unapplied(trained) is None
