"""Replayed tangents against forward-mode differentiation of the whole function."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gradscope.measure._tangents import Recording, Replay, merged
from tests.subjects import random

WEIGHT, VECTOR = random(6, 6, seed=3).double(), random(6, seed=4).double()
KERNEL = random(6, 6, 3, seed=5).double()


def in_place(x: Tensor) -> Tensor:
    h = x @ WEIGHT
    h.mul_(VECTOR)
    h += x
    h[:, 0] = h[:, 1] * 2
    return torch.relu_(h) * F.relu(h - 1, inplace=True)


def growing_list(x: Tensor) -> Tensor:
    """Densely connected layers put one more feature into the same list, and join it again."""
    features = [x]
    for _ in range(3):
        features.append(torch.cat(features, 1)[:, :6].tanh())
    return torch.cat(features, 1)


def attention(x: Tensor) -> Tensor:
    q, k, v = (x.unsqueeze(1) @ WEIGHT).chunk(3, -1)
    mask = torch.tensor([[True, False], [True, True]]).repeat_interleave(2, 0).repeat_interleave(2, 1)
    h = torch.stack([q, 2 * q, k, k + q], -2), torch.stack([k, q, v, v], -2), torch.stack([v, v, q, k], -2)
    return F.scaled_dot_product_attention(*h, attn_mask=mask) + F.scaled_dot_product_attention(*h, is_causal=True)


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: F.linear(x, WEIGHT, VECTOR),
    "linear by name": lambda x: F.linear(input=x, weight=WEIGHT, bias=VECTOR),
    "addmm": lambda x: torch.addmm(VECTOR, x, WEIGHT),
    "convolution": lambda x: F.conv1d(x.unsqueeze(-1).expand(-1, -1, 5), KERNEL, VECTOR, padding=1),
    "image convolution": lambda x: F.conv2d(x.view(4, 2, 3, 1).repeat(1, 1, 1, 4), KERNEL.view(6, 2, 3, 3), padding=1),
    "arithmetic": lambda x: 3 - torch.add(x, x * VECTOR, alpha=2) / (1 + x * x) - (x - 1) * (2 * x),
    "same tensor twice": lambda x: x + x - 2 * x * x,
    "broadcast sum": lambda x: x.sum(1, keepdim=True) + x + VECTOR,
    "product of two": lambda x: (x @ WEIGHT) @ (WEIGHT @ x.T),
    "activations": lambda x: F.gelu(x) + torch.tanh(x) * torch.sigmoid(x) + F.silu(x).softmax(-1) + x.relu(),
    "layer norm": lambda x: F.layer_norm(x, (6,), VECTOR, VECTOR),
    "batch norm": lambda x: F.batch_norm(x, None, None, VECTOR, VECTOR, training=True),
    "batch norm of maps": lambda x: F.batch_norm(x.unsqueeze(-1) * VECTOR, None, None, VECTOR, training=True),
    "batch norm in eval mode": lambda x: F.batch_norm(x, VECTOR, VECTOR**2 + 1, VECTOR),
    "views": lambda x: torch.cat([x.view(2, 2, 6).transpose(0, 1)[1:], x.reshape(2, 2, 6)[:1]]).flatten(1),
    "pooling": lambda x: F.max_pool1d(x.unsqueeze(1), 2) + F.adaptive_avg_pool1d(x.unsqueeze(1), 3),
    "largest of images": lambda x: F.max_pool2d(x.view(2, 2, 3, 2).repeat(1, 1, 2, 3), 3, 2, padding=1, ceil_mode=True),
    "log softmax": lambda x: F.log_softmax(x @ WEIGHT, -1),
    "in place": in_place,
    "growing list": growing_list,
    "attention": attention,
    "detached": lambda x: x * x.detach(),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_replay_equals_forward_mode(name: str) -> None:
    x, v = random(4, 6).double(), random(4, 6, seed=9).double()
    leaf = x.clone().requires_grad_()
    with Recording() as recording:
        output = FUNCTIONS[name](leaf)
    replayed = Replay(recording.steps, output)({id(leaf): v})
    again = Replay(recording.steps, output)({id(leaf): v})
    with sdpa_kernel(SDPBackend.MATH):  # the only one with a forward derivative
        expected = torch.func.jvp(FUNCTIONS[name], (x,), (v,))[1]

    torch.testing.assert_close(replayed, expected, rtol=1e-9, atol=1e-11)
    assert torch.equal(replayed, again)


@pytest.mark.parametrize("in_place", [False, True])
def test_dropout_keeps_the_mask_of_the_run(in_place: bool) -> None:
    x, v = random(4, 50).double(), random(4, 50, seed=9).double()
    leaf = x.clone().requires_grad_()
    with torch.random.fork_rng(), Recording() as recording:
        output = F.dropout(leaf * 2, 0.5, inplace=in_place).relu_()
    (expected,) = torch.autograd.grad(output, leaf, v)  # a diagonal Jacobian
    before = torch.get_rng_state()

    torch.testing.assert_close(Replay(recording.steps, output)({id(leaf): v}), expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_channels_are_dropped_as_in_the_run() -> None:
    x, v = random(3, 5, 4, 4), random(3, 5, 4, 4, seed=9)
    leaf = x.to(memory_format=torch.channels_last).requires_grad_()
    with torch.random.fork_rng(), Recording() as recording:
        output = F.dropout(F.dropout2d(leaf, 0.4), 0.2)
    (expected,) = torch.autograd.grad(output, leaf, v)

    torch.testing.assert_close(Replay(recording.steps, output)({id(leaf): v}), expected)


def test_attention_keeps_the_mask_of_the_run() -> None:
    x, u, v = (random(2, 3, 4, 6, seed=seed).double() for seed in (1, 2, 9))
    leaf = x.clone().requires_grad_()
    mask = torch.ones(4, 4, dtype=torch.bool).tril()
    with torch.random.fork_rng(), sdpa_kernel(SDPBackend.MATH), Recording() as recording:
        output = F.scaled_dot_product_attention(leaf, 2 * leaf, leaf - 1, mask, 0.5)
    (pulled,) = torch.autograd.grad(output, leaf, u)
    pushed = Replay(recording.steps, output)({id(leaf): v})

    assert (u * pushed).sum().item() == pytest.approx((pulled * v).sum().item(), rel=1e-9)


def test_what_the_input_does_not_reach_has_no_tangent() -> None:
    leaf = random(4, 6).requires_grad_()
    with Recording() as recording:
        other = torch.tanh(nn.Parameter(random(3)))

    assert torch.equal(Replay(recording.steps, other)({id(leaf): leaf}), torch.zeros(3))


def test_what_draws_numbers_without_a_rule_is_refused() -> None:
    leaf = random(4, 6).requires_grad_()
    with torch.random.fork_rng(), Recording() as recording:
        output = F.alpha_dropout(leaf, 0.5, training=True)

    with pytest.raises(NotImplementedError, match="new mask"):
        Replay(recording.steps, output)({id(leaf): leaf.detach()})


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_in_single_precision_keeps_its_stride_and_groups(stride: int, groups: int) -> None:
    x, v = random(2, 4, 9, 7), random(2, 4, 9, 7, seed=9)
    weight = random(6, 4 // groups, 3, 3, seed=5)
    leaf = x.clone().requires_grad_()
    with Recording() as recording:
        output = F.conv2d(leaf, weight, random(6), stride=stride, padding=(1, 0), dilation=2, groups=groups)
    replayed = Replay(recording.steps, output)({id(leaf): v.to(memory_format=torch.channels_last)})

    expected = F.conv2d(v, weight, None, stride, (1, 0), 2, groups)
    torch.testing.assert_close(replayed, expected, rtol=1e-5, atol=1e-5)


class Scaled(nn.Module):
    """Convolutions whose output stored statistics scale: once alone, once beside another reader, once at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, stride=2, bias=True), nn.Conv2d(4, 4, 3, padding="same", groups=2)
        self.norms = nn.ModuleList(nn.BatchNorm2d(4, affine=affine) for affine in (True, False, True))
        for i, norm in enumerate(self.norms):
            assert isinstance(norm, nn.BatchNorm2d)
            norm.running_mean, norm.running_var = random(4, seed=i), 0.5 + random(4, seed=i + 5).square()
            if norm.affine:
                norm.weight, norm.bias = nn.Parameter(random(4, seed=i + 9)), nn.Parameter(random(4, seed=i + 13))

    def forward(self, x: Tensor, *, ends_early: bool = False) -> Tensor:
        h = self.norms[0](self.first(x)).relu_()
        other = self.second(h)
        h = other + self.norms[1](other)
        last = self.second(h)
        scaled = self.norms[2](last)
        return last if ends_early else scaled


@pytest.mark.parametrize("ends_early", [False, True])
def test_stored_statistics_are_merged_into_the_convolution_that_they_alone_scale(ends_early: bool) -> None:
    model, x, v = Scaled().eval(), random(2, 2, 9, 8), random(2, 2, 9, 8, seed=9)
    leaf = x.clone().requires_grad_()
    with Recording() as recording:
        output = model(leaf, ends_early=ends_early)
    count = sum(step.function is F.batch_norm for step in merged(recording.steps, output))
    watched = Replay(recording.steps, output, is_watched=True)({id(leaf): v})
    expected = torch.func.jvp(lambda z: model(z, ends_early=ends_early), (x,), (v,))[1]

    assert count == (2 if ends_early else 1)
    torch.testing.assert_close(Replay(recording.steps, output)({id(leaf): v}), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(watched, expected, rtol=1e-4, atol=1e-5)


def test_a_convolution_with_computed_weights_is_not_merged() -> None:
    x, v = random(1, 2, 5, 5), random(1, 2, 5, 5, seed=9)
    kernel, mean, variance = random(2, 2, 1, 1, seed=3), random(2, seed=4), 1 + random(2, seed=5).square()

    def function(z: Tensor) -> Tensor:
        return F.batch_norm(F.conv2d(z, kernel * z.mean()), mean, variance)

    leaf = x.clone().requires_grad_()
    with Recording() as recording:
        output = function(leaf)

    expected = torch.func.jvp(function, (x,), (v,))[1]
    torch.testing.assert_close(Replay(recording.steps, output)({id(leaf): v}), expected, rtol=1e-4, atol=1e-5)
