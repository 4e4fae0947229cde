"""Random small architectures: any chain, with branches, of parts that keep (4, 6) tensors as they are shaped."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

WIDTH = 6


class Residual(nn.Module):
    def __init__(self, body: nn.Module, *, is_in_place: bool) -> None:
        super().__init__()
        self.body, self.is_in_place = body, is_in_place

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        if self.is_in_place and y is not x and y._base is None:
            return y.clone().add_(x)
        return x + y


class Concatenated(nn.Module):
    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second, self.down = first, second, nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(torch.cat([self.first(x), self.second(x)], 1))


class Repeated(nn.Module):
    """The same module, several times, for as long as the data asks for it."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = self.body(x)
            if x.mean() > 0:
                break
        return x


class Stateful(nn.Module):
    """Writes to a buffer, to a tensor attribute, to Python attributes and to its own weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(WIDTH, WIDTH))
        self.register_buffer("count", torch.zeros(()))
        self.last = torch.zeros(4, WIDTH)
        self.log: list[float] = []

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            if self.count == 0:  # a second time, autograd would object
                self.weight.div_(self.weight.norm(dim=1, keepdim=True))
            self.count.add_(1)
            self.last.copy_(x)
        self.log.append(float(self.count))
        return x @ self.weight


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.GRU] | type[nn.LSTM]) -> None:
        super().__init__()
        self.cell = kind(1, 4, batch_first=True, bidirectional=True)
        self.out = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.cell(x[:, :, None])[0])[:, :, 0]


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 2, dropout=0.1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x[None], x[None], x[None])[0][0]


class Checkpointed(nn.Module):
    def __init__(self, body: nn.Module, *, use_reentrant: bool) -> None:
        super().__init__()
        self.body, self.use_reentrant = body, use_reentrant

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.body, x, use_reentrant=self.use_reentrant)


class Functional(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.scale = name, nn.Parameter(torch.ones(WIDTH))
        self.child = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.child(getattr(F, self.name)(x * self.scale.exp()))


def parts() -> st.SearchStrategy[nn.Module]:
    """One part; it is built when drawn, under whatever seed is set."""
    leaf = st.sampled_from(
        [
            lambda: nn.Linear(WIDTH, WIDTH),
            lambda: parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH)),
            lambda: parametrizations.spectral_norm(nn.Linear(WIDTH, WIDTH)),
            lambda: nn.utils.spectral_norm(nn.Linear(WIDTH, WIDTH)),
            lambda: nn.BatchNorm1d(WIDTH),
            lambda: nn.LayerNorm(WIDTH),
            lambda: nn.GELU(),
            lambda: nn.Dropout(0.3),
            lambda: nn.Identity(),
            lambda: nn.Linear(WIDTH, WIDTH, bias=False).requires_grad_(False),
            lambda: Recurrent(nn.GRU),
            lambda: Recurrent(nn.LSTM),
            lambda: Functional("tanh"),
            lambda: Functional("softmax"),
            Stateful,
            Attending,
        ]
    ).map(lambda build: build())
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda bodies: nn.Sequential(*bodies)),
            st.builds(lambda body, flag: Residual(body, is_in_place=flag), inner, st.booleans()),
            st.builds(Concatenated, inner, inner),
            inner.map(Repeated),
        ),
        max_leaves=6,
    )


def models() -> st.SearchStrategy[nn.Module]:
    """A whole model: it ends in a linear layer, so that something in it learns."""
    checked = st.builds(lambda body, flag: Checkpointed(body, use_reentrant=flag), simple(), st.booleans())
    return st.builds(lambda a, b: nn.Sequential(a, b, nn.Linear(WIDTH, 3)), parts(), st.one_of(parts(), checked))


def simple() -> st.SearchStrategy[nn.Module]:
    """What may run twice, as a checkpoint does: it writes to nothing."""
    return st.lists(
        st.sampled_from([nn.GELU, lambda: nn.Dropout(0.3), lambda: nn.Linear(WIDTH, WIDTH)]), min_size=1, max_size=3
    ).map(lambda builds: nn.Sequential(*(build() for build in builds)))
