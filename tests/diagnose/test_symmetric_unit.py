"""Units that start the same."""

import torch
from torch import Tensor, nn

from tests.diagnose.planted import TOKENS, VECTORS, Stack, conformance, mlp


def constant(*layers: int) -> nn.Module:
    model = mlp(3)
    for i in layers:
        nn.init.constant_(model[i].weight, 0.05)
    return model


def test_one_constant_layer_is_a_warning_two_are_an_error() -> None:
    one, two = (conformance(lambda which=which: constant(*which), VECTORS)["GS604"] for which in ((2,), (2, 4)))

    assert (one.severity, one.layers) == ("warning", ("2.weight",))
    assert (two.severity, two.layers) == ("error", ("2.weight", "4.weight"))
    assert "GS604" not in conformance(constant, VECTORS)


def test_a_weight_at_zero_inside_the_network() -> None:
    def hidden() -> nn.Module:
        model = mlp(3)
        nn.init.zeros_(model[2].weight)
        return model

    def inside_a_branch() -> nn.Module:
        model = Stack()
        nn.init.zeros_(model.layers[1].fc.weight)
        return model

    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm, self.last = nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Linear(16, 16)
            nn.init.zeros_(self.first.weight)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.last(torch.relu(self.norm(self.first(x))))

    assert conformance(hidden, VECTORS)["GS604"].layers == ("2.weight",)
    assert conformance(Branch, VECTORS)["GS604"].layers == ("first.weight",)
    assert conformance(inside_a_branch, TOKENS)["GS604"].layers == ("layers.1.fc.weight",)


def test_a_table_whose_vectors_are_all_the_same() -> None:
    def build() -> nn.Module:
        model = Stack()
        nn.init.constant_(model.embedding.weight, 0.1)
        return model

    assert conformance(build, TOKENS)["GS604"].layers == ("embedding.weight",)


def test_repeated_filters() -> None:
    def build(*, is_repeated: bool) -> nn.Module:
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))
        if is_repeated:
            with torch.no_grad():
                model[0].weight.copy_(model[0].weight[:2].repeat(4, 1, 1, 1))
        return model

    images = VECTORS.new_zeros(2, 3, 8, 8).normal_(generator=torch.Generator().manual_seed(0))

    assert conformance(lambda: build(is_repeated=True), images)["GS604"].evidence["duplicate_units"].value == 1
    assert "GS604" not in conformance(lambda: build(is_repeated=False), images)


def test_rows_that_nobody_wrote() -> None:
    def resized(model: nn.Module) -> nn.Module:
        with torch.no_grad():
            model.get_submodule("head").weight[30:] = 0
        return model

    assert conformance(lambda: resized(Stack()), TOKENS)["GS604"].layers == ("head.weight",)
    assert "GS604" not in conformance(Stack, TOKENS)


def test_sparse_identity_and_dirac_weights_are_no_alarm() -> None:
    def identity() -> nn.Module:
        model = mlp(3)
        nn.init.eye_(model[0].weight)
        nn.init.sparse_(model[2].weight, 0.9)
        return model

    def dirac() -> nn.Module:
        model = nn.Sequential(nn.Conv1d(4, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))
        nn.init.dirac_(model[0].weight)
        return model

    assert "GS604" not in conformance(identity, VECTORS)
    assert "GS604" not in conformance(dirac, VECTORS[:, None, :8].expand(-1, 4, -1))
