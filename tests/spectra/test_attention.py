import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradscope.spectra import layer_spectrum
from gradscope.spectra._attention_systems import attention_systems
from tests.reference import call_of, dense_spectrum
from tests.spectra.checks import assert_dense, assert_estimate, drawn, normal, sweep_of

SHAPES = [(1, 1, 4, 3), (2, 2, 5, 4), (1, 3, 7, 2), (2, 6, 3), (1, 2, 8, 5), (5, 2, 7, 6), (2, 13, 4)]


def qkv(shape, scale=1.5):
    return [scale * normal(*shape, seed=i) for i in range(3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("causal", [True, False])
def test_attention_matches_dense(shape, causal):
    assert_dense(F.scaled_dot_product_attention, *qkv(shape), is_causal=causal)


@pytest.mark.parametrize("shape", SHAPES)
def test_masked_attention_matches_dense(shape):
    length = shape[-2]
    padding = torch.ones(length, length, dtype=torch.bool)
    padding[:, -1] = False
    assert_dense(F.scaled_dot_product_attention, *qkv(shape), attn_mask=padding)
    assert_dense(
        F.scaled_dot_product_attention, *qkv(shape), attn_mask=nn.Parameter(2 * normal(length, length, seed=5))
    )


def test_the_mask_matters():
    args = qkv((1, 1, 6, 4))
    free, causal = (
        assert_dense(F.scaled_dot_product_attention, *args),
        assert_dense(F.scaled_dot_product_attention, *args, is_causal=True),
    )
    assert abs(free.spectral_norm.value / causal.spectral_norm.value - 1) > 0.01


@pytest.mark.parametrize(("heads", "shared"), [(2, 1), (4, 2), (4, 1), (6, 3), (3, 3)])
def test_grouped_queries_match_dense(heads, shared):
    q, k, v = normal(1, heads, 4, 3), normal(1, shared, 5, 3, seed=1), normal(1, shared, 5, 2, seed=2)
    assert_dense(F.scaled_dot_product_attention, q, k, v, enable_gqa=True)


def test_attention_of_one_sequence_matches_dense():
    assert_dense(F.scaled_dot_product_attention, *(normal(5, 3, seed=i) for i in range(3)))


def test_heads_that_are_broadcast_are_not_grouped_heads():
    assert_dense(F.scaled_dot_product_attention, normal(2, 2, 3, 4), *(normal(2, 1, 3, 4, seed=i) for i in (1, 2)))


def test_one_tensor_as_query_key_and_value_is_one_input():
    x = normal(2, 2, 5, 3)
    assert_dense(F.scaled_dot_product_attention, x, x, x)
    assert_dense(F.scaled_dot_product_attention, x, normal(2, 2, 5, 3, seed=1), x)


def test_cross_attention_with_constant_keys_matches_dense():
    q, k, v = qkv((1, 2, 5, 3))
    assert_dense(F.scaled_dot_product_attention, q, nn.Parameter(k), nn.Parameter(v))
    assert_dense(F.scaled_dot_product_attention, q, nn.Parameter(k), v, scale=0.7)


@pytest.mark.parametrize(("length", "width", "heads"), [(3, 4, 2), (5, 8, 2), (4, 8, 4), (6, 6, 1), (2, 12, 3)])
@pytest.mark.parametrize("training", [True, False])
def test_attention_module_matches_dense(length, width, heads, training):
    layer = drawn(nn.MultiheadAttention(width, heads, batch_first=True)).train(training)
    x = normal(2, length, width)
    function = layer.double()
    twin = dense_spectrum(lambda z: function(z, z, z)[0], x)
    assert_dense(layer.float(), x, x, x, twin=twin)


def test_dropout_inside_the_kernel_is_a_mask_drawn_anew():
    q, k, v = qkv((2, 2, 6, 4))
    call = call_of(F.scaled_dot_product_attention, q, k, v, dropout_p=0.3)
    systems = attention_systems(q, k, v, mask=None, is_causal=False, scale=0.5)
    kept = (torch.rand(systems.weights.shape, generator=sweep_of().generator) >= 0.3) / 0.7
    twin = dense_spectrum(lambda q, k, v: ((q @ k.mT / 2).softmax(-1) * kept.view(2, 2, 6, 6).double()) @ v, q, k, v)
    result = layer_spectrum(call, sweep_of())
    assert_estimate(result.spectral_norm, twin.spectral_norm)
    assert "anew" in result.spectral_norm.method


MASKS = {
    "none": {},
    "causal": {"attn_mask": torch.ones(4, 4, dtype=torch.bool).triu(1)},
    "additive": {"attn_mask": nn.Parameter(normal(4, 4, seed=7))},
    "padding": {"key_padding_mask": torch.tensor([[False] * 3 + [True], [False] * 4])},
    "without weights": {"need_weights": False},
}


@pytest.mark.parametrize("name", MASKS)
def test_attention_module_with_a_mask_matches_dense(name):
    layer, x = drawn(nn.MultiheadAttention(8, 2, batch_first=True)), normal(2, 4, 8)
    function = layer.double()
    options = {k: v.detach().double() if v is MASKS["additive"]["attn_mask"] else v for k, v in MASKS[name].items()}
    twin = dense_spectrum(lambda z: function(z, z, z, **options)[0], x)
    assert_dense(layer.float(), x, x, x, twin=twin, **MASKS[name])


class HandWritten(nn.Module):
    """softmax(QKᵀ) V of one input as one layer without parts."""

    def __init__(self, width):
        super().__init__()
        self.q, self.k, self.v = (nn.Parameter(normal(width, width, seed=i) / width**0.5) for i in range(3))

    def forward(self, x):
        q, k, v = x @ self.q, x @ self.k, x @ self.v
        return (q @ k.transpose(-2, -1) / x.shape[-1] ** 0.5).softmax(-1) @ v


@pytest.mark.parametrize("shape", [(1, 3, 4), (2, 4, 4), (1, 6, 3), (3, 2, 5), (1, 8, 6)])
def test_hand_written_attention_matches_dense(shape):
    assert_dense(HandWritten(shape[-1]), normal(*shape))
