"""Inputs are found with no help for models of every kind, and exercise every parameter."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradscope.load import subject
from gradscope.load.inputs.facts import Facts
from gradscope.load.inputs.search import Search
from gradscope.load.inputs.trial import Trial
from gradscope.schema import GradscopeError


class Parts(nn.Module):
    """A module whose layers are given by name; the classes below define what is done with them."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class Batch(Parts):
    def forward(self, batch):
        return self.linear(batch["image"].flatten(1)) + self.table(batch["label"])


class Graph(Parts):
    def forward(self, x, edge_index):
        return self.linear(torch.zeros_like(x).index_add(0, edge_index[0], x[edge_index[1]]))


class GraphRecord(Parts):
    def forward(self, data):
        return self.linear(data.x)[data.edge_index[0]]


class Adjacency(Parts):
    def forward(self, x, adj):
        return self.linear(adj @ x)


class Denoiser(Parts):
    def forward(self, x, t):
        return self.last(F.relu(self.first(x)) + self.times(t)[:, :, None, None])


class Points(Parts):
    def forward(self, x):
        return self.last(F.relu(self.first(x)).amax(1))


class Translator(Parts):
    def forward(self, src, tgt):
        return self.head(self.body(self.table(src), self.table(tgt)))


class Packed(Parts):
    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(self.table(x), lengths, batch_first=True, enforce_sorted=False)
        return self.head(nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0])


class WithState(Parts):
    def forward(self, x, hidden):
        output, hidden = self.rnn(self.table(x), hidden)
        return self.head(output), hidden


class Generator(Parts):
    def forward(self, z, y):
        return self.body(torch.cat([z, self.table(y)], 1)[:, :, None, None])


class Recommender(Parts):
    def forward(self, dense, sparse):
        embedded = [table(sparse[:, i]) for i, table in enumerate(self.tables)]
        return self.head(torch.cat([dense, *embedded], 1))


class Masked(Parts):
    def forward(self, x, mask):
        return self.head(self.body(self.table(x), mask=mask))


class Clip(Parts):
    def forward(self, x):
        batch, frames = x.shape[:2]
        return self.head(self.body(x.flatten(0, 1)).mean((2, 3)).view(batch, frames, -1).mean(1))


class Critic(Parts):
    def forward(self, state, action):
        return self.head(torch.cat([state, action], -1))


class Twins(Parts):
    def forward(self, a, b):
        return self.head(self.body(a).flatten(1)), self.head(self.body(b).flatten(1))


class ImageList(Parts):
    def forward(self, images):
        return torch.stack([self.body(image[None]).mean((0, 2, 3)) for image in images])


class Repeated(Parts):
    def forward(self, x, steps: int):
        for _ in range(steps):
            x = self.body(x)
        return x


class Flat(Parts):
    def forward(self, x):
        return self.head(self.body(x).flatten(1))


class Variadic(Parts):
    def forward(self, *xs):
        return self.head(xs[0])


def atari() -> nn.Module:
    layers = [nn.Conv2d(4, 8, 8, 4), nn.ReLU(), nn.Conv2d(8, 16, 4, 2), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 7 * 7, 6))


def stem(stages: int) -> nn.Module:
    blocks = [[nn.Conv2d(3 if i == 0 else 8, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()] for i in range(stages)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)]
    return nn.Sequential(*[layer for block in blocks for layer in block], *head)


def encoder() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 1)


MODELS = {
    "vector": (lambda: nn.Linear(7, 3), "input float32 (8, 7)"),
    "double": (lambda: nn.Linear(7, 3).double(), "input float64 (8, 7)"),
    "tokens": (lambda: nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 50)), "input int64 (8, 64)"),
    "bag": (lambda: nn.Sequential(nn.EmbeddingBag(20, 8), nn.Linear(8, 3)), "input int64 (8, 64)"),
    "recurrent": (lambda: nn.LSTM(5, 6), "input float32 (64, 8, 5)"),
    "recurrent, batch first": (lambda: nn.GRU(5, 6, batch_first=True), "input float32 (8, 64, 5)"),
    "recurrent cell": (lambda: nn.LSTMCell(4, 8), "input float32 (8, 4)"),
    "transformer": (lambda: nn.Transformer(16, 2, 1, 1, 32), "src float32 (64, 8, 16), tgt float32 (64, 8, 16)"),
    "attention": (lambda: nn.MultiheadAttention(16, 2), "query float32 (64, 8, 16), key float32 (64, 8, 16), value"),
    "two vectors": (lambda: nn.Bilinear(3, 4, 5), "input1 float32 (8, 3), input2 float32 (8, 4)"),
    "small images": (lambda: stem(2), "input float32 (8, 3, 32, 32)"),
    "large images": (lambda: stem(5), "input float32 (4, 3, 224, 224)"),
    "grey images": (lambda: Flat(body=nn.Conv2d(1, 4, 5), head=nn.Linear(4 * 24 * 24, 10)), "x float32 (8, 1, 28, 28)"),
    "game screens": (atari, "input float32 (8, 4, 84, 84)"),
    "audio": (lambda: nn.Sequential(nn.Conv1d(1, 4, 80, 16), nn.ReLU(), nn.Flatten()), "input float32 (8, 1, 256)"),
    "video": (lambda: nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.Flatten()), "input float32 (8, 3, 8, 32, 32)"),
    "frames": (lambda: Clip(body=nn.Conv2d(3, 4, 3), head=nn.Linear(4, 3)), "x float32 (8, 4, 3, 32, 32)"),
    "points": (lambda: Points(first=nn.Linear(3, 16), last=nn.Linear(16, 4)), "x float32 (8, 64, 3)"),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, 1)), "input float32 (8, 16)"),
    "dictionary": (
        lambda: Batch(linear=nn.Linear(192, 5), table=nn.Embedding(7, 5)),
        "batch {image: float32 (8, 192), label: int64 (8,)}",
    ),
    "graph": (lambda: Graph(linear=nn.Linear(6, 3)), "x float32 (8, 6), edge_index int64 (2, 16)"),
    "graph as a record": (
        lambda: GraphRecord(linear=nn.Linear(6, 3)),
        "data {x: float32 (8, 6), edge_index: int64 (2, 16)}",
    ),
    "adjacency": (lambda: Adjacency(linear=nn.Linear(6, 3)), "x float32 (8, 6), adj float32 (8, 8)"),
    "denoiser": (
        lambda: Denoiser(first=nn.Conv2d(3, 8, 3), last=nn.Conv2d(8, 3, 3), times=nn.Embedding(1000, 8)),
        "x float32 (8, 3, 32, 32), t int64 (8,)",
    ),
    "translator": (
        lambda: Translator(
            table=nn.Embedding(20, 16), body=nn.Transformer(16, 2, 1, 1, 32, batch_first=True), head=nn.Linear(16, 20)
        ),
        "src int64 (8, 64), tgt int64 (8, 64)",
    ),
    "packed sequences": (
        lambda: Packed(table=nn.Embedding(20, 8), rnn=nn.GRU(8, 8, batch_first=True), head=nn.Linear(8, 20)),
        "x int64 (8, 64), lengths int64 (8,)",
    ),
    "initial state": (
        lambda: WithState(table=nn.Embedding(20, 8), rnn=nn.LSTM(8, 12, 2), head=nn.Linear(12, 20)),
        "hidden (float32 (2, 8, 12), float32 (2, 8, 12))",
    ),
    "generator": (
        lambda: Generator(body=nn.ConvTranspose2d(26, 3, 4), table=nn.Embedding(10, 10)),
        "z float32 (8, 16), y int64 (8,)",
    ),
    "recommender": (
        lambda: Recommender(
            tables=nn.ModuleList([nn.Embedding(n, 4) for n in (10, 20, 5)]), head=nn.Linear(13 + 12, 1)
        ),
        "dense float32 (8, 13), sparse int64 (8, 3)",
    ),
    "attention mask": (
        lambda: Masked(table=nn.Embedding(20, 16), body=encoder(), head=nn.Linear(16, 20)),
        "x int64 (8, 64), mask bool (64, 64)",
    ),
    "state and action": (lambda: Critic(head=nn.Linear(23, 1)), "state float32 (8, 11), action float32 (8, 12)"),
    "twins": (
        lambda: Twins(body=nn.Sequential(nn.Conv2d(1, 4, 10), nn.MaxPool2d(2)), head=nn.Linear(4 * 48 * 48, 9)),
        "a float32 (8, 1, 10",
    ),
    "list of images": (lambda: ImageList(body=nn.Conv2d(3, 5, 3)), "images float32 (8, 3, 32, 32)"),
    "a plain number": (lambda: Repeated(body=nn.Linear(4, 4)), "x float32 (8, 4), steps 1"),
    "variadic": (lambda: Variadic(head=nn.Linear(4, 2)), "float32 (8, 4)"),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore")
def test_inputs_of_every_kind_are_found(name):
    build, described = MODELS[name]
    torch.manual_seed(0)
    found = subject(build())
    assert described in found.info.inputs
    assert "override with --input" in found.info.inputs_from
    found.loss(found.model(*found.args, **found.kwargs), found.targets)


def search(model: nn.Module) -> Search:
    searched = Search(Facts(model), Trial(Facts(model), lambda: model, training=True, seed=0))
    searched.run()
    return searched


@pytest.mark.parametrize("name", ["vector", "tokens", "small images", "graph", "translator", "recommender"])
def test_every_parameter_gets_a_gradient(name):
    best = search(MODELS[name][0]()).best
    assert best is not None and best[1].coverage == 1.0


def test_zero_initialized_branches_are_no_reason_to_search_on():
    class Branch(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.scale = nn.Linear(4, 4), nn.Parameter(torch.zeros(4))

        def forward(self, x):
            return x + self.scale * self.inner(x)

    found = search(nn.Sequential(nn.Linear(4, 4), Branch()))
    assert found.best is not None and found.best[1].coverage == 1.0
    assert len(found.tried) == 1


def test_a_search_leaves_no_trace_in_the_model():
    class Caches(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.norm, self.cache = nn.Linear(5, 5), nn.BatchNorm1d(5), {}

        def forward(self, x):
            if x.shape not in self.cache:
                self.cache[x.shape] = torch.ones(x.shape[-1])
            return self.norm(self.linear(x) * self.cache[x.shape])

    model = Caches()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    subject(model)
    assert model.cache == {}
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert type(model(torch.randn(8, 5))) is Tensor


def test_what_cannot_be_found_is_asked_for():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, secret):
            if not isinstance(secret, frozenset):
                raise TypeError("I take a frozenset")
            return self.linear(torch.zeros(3))

    with pytest.raises(GradscopeError, match=r"Finding example inputs for Odd.*I take a frozenset.*--input 8,3,32,32"):
        subject(Odd())


def test_the_budget_bounds_the_search():
    class Never(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.calls = nn.Conv2d(3, 3, 3), []

        def forward(self, x):
            raise RuntimeError(f"size {x.shape[-1] + 7} wanted")

    searched = search(Never())
    assert searched.best is None
    assert len(searched.tried) <= 151


def test_example_arrays_and_input_sizes_that_a_model_carries():
    class Lightning(nn.Linear):
        example_input_array = torch.ones(3, 2, 4)

    found = subject(Lightning(4, 2))
    assert found.args[0].shape == (3, 2, 4) and "example_input_array" in found.info.inputs_from
    timm = stem(2)
    timm.pretrained_cfg = {"input_size": (3, 40, 48)}
    assert subject(timm).args[0].shape == (8, 3, 40, 48)
    sized = stem(2)
    sized.img_size = 56
    assert subject(sized).args[0].shape == (8, 3, 56, 56)
