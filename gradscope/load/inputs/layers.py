"""Candidates from the first layers: a convolution takes images of its channels, an embedding takes ids, ..."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import nn
from torch.nn.parameter import is_lazy

from gradscope.load.inputs.facts import Facts
from gradscope.load.inputs.names import LENGTH, SAMPLES, tokens
from gradscope.load.inputs.spec import TensorSpec

SIDES = (32, 64, 224, 28, 96, 128, 256, 299, 84, 16, 48, 8, 384, 512)  # pixels, the usual ones first
LENGTHS = (64, 128, 32, 16, 256, 100, 1024, SAMPLES, 16000)  # of signals
FRAMES = (8, 4, 16)
PATCH_CHANNELS = (3, 1, 4)
FIRST_LAYERS = 40  # with parameters, in order of definition, that are looked at

_SEQUENTIAL = ("Attention", "Transformer", "Mamba", "RNN", "LSTM", "GRU", "SSM")


def main_inputs(facts: Facts) -> Iterator[tuple[str, TensorSpec]]:
    """What the main input may be, the most likely first: (the layer in words, the tensor)."""
    seen: set[TensorSpec] = set()
    for layer in facts.owners[:FIRST_LAYERS]:
        for spec in _of_layer(layer, facts):
            if spec not in seen:
                seen.add(spec)
                yield f"the first {type(layer).__name__}", spec
    for channels in (3, 1):
        for height, width in _sides(facts):
            if (spec := TensorSpec((channels, height, width))) not in seen:
                yield "usual image sizes", spec


def _of_layer(layer: nn.Module, facts: Facts) -> Iterator[TensorSpec]:
    match layer:
        case nn.LazyConv2d() | nn.LazyBatchNorm2d():
            yield from _images(3, facts)
        case nn.LazyConv1d():
            yield from _signals(3, facts)
        case nn.LazyLinear():
            yield from (TensorSpec((16,)), TensorSpec((3, 32, 32)))
        case nn.Embedding() | nn.EmbeddingBag():
            yield from (tokens(facts, length) for length in (LENGTH, 16, 8, 128))
            yield TensorSpec((), "ids", layer.num_embeddings)
        case nn.Conv2d() | nn.ConvTranspose2d():
            yield from _images(layer.in_channels, facts, is_latent=isinstance(layer, nn.ConvTranspose2d))
        case nn.Conv1d() | nn.ConvTranspose1d():
            yield from _signals(layer.in_channels, facts)
        case nn.Conv3d():
            for height, width in facts.image_sizes or [(32, 32), (64, 64), (112, 112), (224, 224)]:
                yield from (TensorSpec((layer.in_channels, frames, height, width)) for frames in FRAMES)
        case nn.RNNBase():
            yield TensorSpec((LENGTH, layer.input_size), batch_at=0 if layer.batch_first else 1)
        case nn.RNNCellBase():
            yield from (TensorSpec((layer.input_size,)), TensorSpec((16, layer.input_size)))
        case nn.MultiheadAttention():
            yield TensorSpec((LENGTH, layer.embed_dim), batch_at=0 if layer.batch_first else 1)
        case nn.BatchNorm2d() | nn.InstanceNorm2d():
            yield from _images(layer.num_features, facts)
        case nn.GroupNorm():
            yield from _images(layer.num_channels, facts)
        case nn.BatchNorm1d():
            yield from _vectors(layer.num_features, facts)
        case nn.LayerNorm() | nn.RMSNorm():
            yield from _vectors(int(layer.normalized_shape[-1]), facts)
        case nn.Linear():
            yield from _vectors(layer.in_features, facts)
            yield from _patches(layer.in_features, facts)
        case nn.Bilinear():
            yield TensorSpec((layer.in1_features,))
        case _:
            yield from _of_weights(layer, facts)


def _of_weights(layer: nn.Module, facts: Facts) -> Iterator[TensorSpec]:
    """A layer that is none of torch's: what its first matrix or kernel could be multiplied with."""
    for weight in layer.parameters(recurse=False):
        if is_lazy(weight) or weight.dim() < 2:
            continue
        if weight.dim() == 4:
            yield from _images(weight.shape[1], facts)
        elif weight.dim() == 2:
            for width in dict.fromkeys(weight.shape):
                yield from _vectors(width, facts)
        return


def _vectors(width: int, facts: Facts) -> Iterator[TensorSpec]:
    """Vectors, and sequences of them: these first where the model has layers for sequences."""
    names = {type(m).__name__ for m in facts.modules.values()}
    sequences = [TensorSpec((length, width)) for length in (*facts.lengths[:2], LENGTH, 16, 8)]
    vectors = [TensorSpec((width,))]
    is_sequential = any(part in name for name in names for part in _SEQUENTIAL)
    yield from sequences + vectors if is_sequential else vectors + sequences


def _patches(width: int, facts: Facts) -> Iterator[TensorSpec]:
    """Images, where a linear layer takes flattened patches or whole flattened images of them."""
    for channels in PATCH_CHANNELS:
        side = math.isqrt(width // channels)
        if side > 1 and side * side * channels == width:
            named = [size for size in facts.image_sizes if min(size) >= side]
            sizes = named + [(side * n, side * n) for n in (1, 4, 8, 14, 2, 16)]
            yield from (TensorSpec((channels, *size)) for size in dict.fromkeys(sizes))


def _images(channels: int, facts: Facts, *, is_latent: bool = False) -> Iterator[TensorSpec]:
    sides = [(n, n) for n in (1, 4, 7, 8, 16)] if is_latent else _sides(facts)
    yield from (TensorSpec((channels, height, width)) for height, width in sides)


def _sides(facts: Facts) -> list[tuple[int, int]]:
    return list(dict.fromkeys([*facts.image_sizes, *((n, n) for n in SIDES)]))


def _signals(channels: int, facts: Facts) -> Iterator[TensorSpec]:
    lengths = list(dict.fromkeys([*facts.lengths, *LENGTHS]))
    yield from (TensorSpec((channels, length)) for length in lengths)
    yield from (TensorSpec((length, channels)) for length in lengths[:4])  # a model that transposes first
    if channels == 1:
        yield from (TensorSpec((length,)) for length in (SAMPLES, 16000))
