"""Candidates from the first layers: a convolution takes images of its channels, an embedding takes ids, ..."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from gradscope.load.inputs.facts import Facts
from gradscope.load.inputs.names import LENGTH, SAMPLES, all_by_name, by_name, tokens
from gradscope.load.inputs.spec import Candidate, TensorSpec

SIDES = (32, 64, 224, 28, 96, 128, 256, 299, 84, 16, 48, 8, 384, 512)  # pixels, the usual ones first
LENGTHS = (64, 128, 32, 16, 256, 100, 1024, SAMPLES, 16000)  # of signals
FRAMES = (8, 4, 16)
PATCH_CHANNELS = (3, 1, 4)
MAIN_PLACES = 2  # of the required arguments, that may be the main input
FILLINGS = 12  # ways to fill the others that are tried
FIRST_LAYERS = 40  # with parameters, in order of definition, that are looked at

_SEQUENTIAL = ("Attention", "Transformer", "Mamba", "RNN", "LSTM", "GRU", "SSM")


def families(facts: Facts) -> Iterator[Iterator[Candidate]]:
    """Candidates that differ in size only, family by family, the most likely first."""
    specs: dict[tuple[str, Any], list[TensorSpec]] = {}
    for layer in facts.owners[:FIRST_LAYERS]:
        for spec in _of_layer(layer, facts):
            kind = (spec.values, len(spec.shape))
            specs.setdefault((f"the first {type(layer).__name__}", kind), []).append(spec)
    specs["usual image sizes", None] = [TensorSpec((c, *side)) for c in (3, 1) for side in _sides(facts)]
    seen: set[TensorSpec] = set()
    for (words, _), family in specs.items():
        new = [spec for spec in dict.fromkeys(family) if spec not in seen]
        seen.update(new)
        yield _candidates(words, new, facts)


def _candidates(words: str, specs: list[TensorSpec], facts: Facts) -> Iterator[Candidate]:
    """One candidate for every size of the main input, and every way to fill the other required arguments."""
    names = facts.required or facts.positions[:1]
    for size, spec in enumerate(specs):
        for place in range(min(MAIN_PLACES, len(names))):
            usual = by_name(names[place], facts)
            if isinstance(usual, TensorSpec) and usual.is_floating != spec.is_floating:
                continue  # no image is called input_ids
            choices = [[spec] if i == place else _fillings(name, spec, facts) for i, name in enumerate(names)]
            for number, values in enumerate(itertools.islice(itertools.product(*choices), FILLINGS)):
                inputs = dict(zip(names, values, strict=True))
                yield Candidate(words, inputs, is_likely=size == place == number == 0)


def _fillings(name: str, main: TensorSpec, facts: Facts) -> list[Any]:
    """What a further required argument may be: by its name or type, like the main input, a class or a number."""
    annotation = facts.parameters[name].annotation if name in facts.parameters else None
    if annotation in _PLAIN:
        return [_PLAIN[annotation]]
    tables = [m.num_embeddings for m in facts.owners if isinstance(m, nn.Embedding | nn.EmbeddingBag)]
    categories = [TensorSpec((len(tables),), "ids", min(tables))] if len(tables) > 1 else []
    one_class = TensorSpec((), "ids", min(tables, default=2))
    return list(dict.fromkeys([*all_by_name(name, facts), main, *categories, one_class, TensorSpec(())]))


_PLAIN: dict[Any, Any] = {int: 1, "int": 1, float: 1.0, "float": 1.0, bool: False, "bool": False}


def _of_layer(layer: nn.Module, facts: Facts) -> Iterator[TensorSpec]:
    match layer:
        case nn.LazyConv2d() | nn.LazyBatchNorm2d():
            yield from _images(3, facts)
        case nn.LazyConv1d():
            yield from _signals(3, facts)
        case nn.LazyLinear():
            yield from (TensorSpec((16,)), TensorSpec((3, 32, 32)))
        case nn.Embedding() | nn.EmbeddingBag():
            is_time_first = any(isinstance(m, nn.RNNBase) and not m.batch_first for m in facts.modules.values())
            for length in (LENGTH, 16, 8, 128):
                yield tokens(facts, length)
                if is_time_first:
                    yield replace(tokens(facts, length), batch_at=1)
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
