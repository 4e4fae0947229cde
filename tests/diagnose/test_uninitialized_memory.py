"""Parameters that were allocated and never written."""

import pytest
import torch
from torch import Tensor, nn

from tests.diagnose.planted import VECTORS, conformance


class Allocated(nn.Module):
    """A weight whose memory held 64-bit integers before, as an index table does."""

    def __init__(self, left_behind: Tensor | None) -> None:
        super().__init__()
        self.weight, self.head = nn.Parameter(torch.empty(16, 32)), nn.Linear(32, 4)
        if left_behind is None:
            nn.init.xavier_normal_(self.weight)
        else:
            self.weight.data = left_behind.view(torch.float32).view(16, 32)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(x @ self.weight))


@pytest.mark.parametrize(
    "left_behind",
    [
        torch.arange(256) * 1234567,  # integers: every second number is tiny
        torch.full((256,), 94_123_456_789_012),  # pointers
        torch.randn(256, generator=torch.Generator().manual_seed(0)).double(),  # of twice the precision
        torch.full((512,), torch.nan),
        torch.full((512,), 1e20) * torch.linspace(-1, 1, 512),
    ],
    ids=["integers", "pointers", "doubles", "nan", "huge"],
)
def test_what_lay_in_memory_before(left_behind: Tensor) -> None:
    finding = conformance(lambda: Allocated(left_behind.clone()), VECTORS)["GS606"]

    assert finding.layers == ("weight",)
    assert finding.severity == "error"


def test_drawn_weights_are_silent() -> None:
    assert "GS606" not in conformance(lambda: Allocated(None), VECTORS)
