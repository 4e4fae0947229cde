"""What a model itself says about the inputs it takes: configurations, layers, position tables, its signature."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

CONFIGURATIONS = ("config", "cfg", "args", "hparams", "hparam", "opt")
IMAGE_SIZES = (
    "image_size", "img_size", "input_size", "input_resolution", "resolution", "sample_size", "im_size", "crop_size",
    "input_shape", "size", "image_height", "img_height",
)  # fmt: skip
LENGTHS = (
    "block_size", "max_seq_len", "seq_len", "context_length", "max_len", "n_ctx", "sequence_length",
    "max_position_embeddings", "n_positions", "max_seq_length", "seq_length", "context_size",
)  # fmt: skip
VOCABULARIES = ("vocab_size", "n_vocab", "vocabulary_size", "num_tokens", "ntoken")
PLACEHOLDERS = ("image_token_id", "image_token_index", "audio_token_id", "audio_token_index", "video_token_id")
RESERVED = ("pad_token_id", "eos_token_id", *PLACEHOLDERS)

DEFAULT_VOCABULARY = 32  # where nothing tells: valid for any table
LARGEST_SIDE = 1536  # pixels: a larger "size" is no image side
PATCHES = (16, 8, 4, 14, 32, 2, 7)  # usual patch sizes, where no patch embedding tells
SPECIAL_TOKENS = (0, 1, 2, 5)  # extra rows of a position table besides the patches


class Facts:
    """Everything that input inference reads off one model.

    Args:
        model: the model; only read.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        wrapped = isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel)
        self.inner: nn.Module = model.module if wrapped else model
        self.modules = dict(model.named_modules())
        self.owners = [m for m in self.modules.values() if any(True for _ in m.parameters(recurse=False))]
        first = next((p for p in model.parameters() if p.is_floating_point()), None)
        self.dtype = torch.float32 if first is None else first.dtype
        # A model that is only described has no device: its inputs are made where numbers are.
        self.device = torch.device("cpu") if first is None or first.is_meta else first.device
        self.has_lazy_layers = any(is_lazy(p) for p in model.parameters())

    @cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The named parameters of `forward`, in order."""
        try:
            signature = inspect.signature(self.inner.forward)
        except (TypeError, ValueError):  # a scripted forward has none
            return {}
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return {name: p for name, p in signature.parameters.items() if p.kind not in variadic}

    @cached_property
    def required(self) -> list[str]:
        """Parameters of `forward` without a default."""
        return [name for name, p in self.parameters.items() if p.default is p.empty]

    @cached_property
    def positions(self) -> list[str]:
        """Names for the positional arguments; numbers where `forward` has no names for them."""
        return list(self.parameters) or [str(number) for number in range(10)]

    def call(self, inputs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Inputs by name as the arguments of a call: the leading ones by position if they have no default."""
        names = list(inputs)
        required = self.required or (names if not self.parameters else names[:1])
        leading = 0
        while leading < len(names) and names[leading] in required and names[leading] == self.positions[leading]:
            leading += 1
        keyword_only = inspect.Parameter.KEYWORD_ONLY
        if any(p.kind is keyword_only for name, p in self.parameters.items() if name in names[:leading]):
            leading = 0
        return tuple(inputs[name] for name in names[:leading]), {name: inputs[name] for name in names[leading:]}

    @cached_property
    def configurations(self) -> list[Any]:
        """The model's configuration objects, the outermost first, then those inside them."""
        found = [c for name in CONFIGURATIONS if (c := vars(self.inner).get(name)) is not None]
        for outer in found:  # grows while it is read
            parts = vars(outer).items() if hasattr(outer, "__dict__") else ()
            found += [c for key, c in parts if key.endswith("_config") and c is not None and c not in found]
        return found

    def number(self, *names: str, default: int = 0) -> int:
        """The first whole number found under one of `names` in the configurations or on the model."""
        for name in names:
            for holder in (*self.configurations, self.inner):
                value = _value(holder, name)
                if isinstance(value, int) and not isinstance(value, bool):
                    return value
        return default

    def setting(self, name: str) -> Any:
        """A configuration value of any kind, or None."""
        values = (_value(holder, name) for holder in self.configurations)
        return next((value for value in values if value is not None), None)

    @cached_property
    def embedding(self) -> nn.Embedding | nn.EmbeddingBag | None:
        """The first table of embeddings, in order of definition."""
        return next((m for m in self.owners if isinstance(m, nn.Embedding | nn.EmbeddingBag)), None)

    @cached_property
    def vocabulary(self) -> int:
        """How many token ids are valid."""
        rows = [m.num_embeddings for m in self.owners if isinstance(m, nn.Embedding | nn.EmbeddingBag)]
        said = self.number(*VOCABULARIES)
        if said:
            return said if said in rows or not rows else min(said, max(rows))
        return rows[0] if rows else DEFAULT_VOCABULARY

    @cached_property
    def reserved(self) -> frozenset[int]:
        """Token ids with a meaning of their own."""
        ids = [self.number(name, default=-1) for name in RESERVED]
        return frozenset(i for i in ids if 0 <= i < self.vocabulary)

    @cached_property
    def placeholder(self) -> int | None:
        """The token id that stands for an image, a video or a sound in a text."""
        found = self.number(*PLACEHOLDERS, default=-1)
        return found if found >= 0 else None

    @cached_property
    def image_sizes(self) -> list[tuple[int, int]]:
        """Height and width that attributes, configurations and position tables speak of."""
        holders = [*self.configurations, *self.modules.values()]
        holders += [c for m in self.modules.values() for name in CONFIGURATIONS if (c := vars(m).get(name)) is not None]
        named = [size for h in holders for name in IMAGE_SIZES if (size := _size(_value(h, name)))]
        return list(dict.fromkeys([*named, *self._sizes_of_position_tables()]))

    @cached_property
    def lengths(self) -> list[int]:
        """Sequence lengths that attributes and configurations speak of."""
        holders = [*self.configurations, *self.modules.values()]
        values = (_value(h, name) for h in holders for name in LENGTHS)
        return list(dict.fromkeys(v for v in values if isinstance(v, int) and not isinstance(v, bool) and v > 1))

    def _sizes_of_position_tables(self) -> Iterator[tuple[int, int]]:
        """A table of n * n (+ special tokens) positions belongs to images of n patches a side."""
        strided = (m for m in self.owners if isinstance(m, nn.Conv2d) and m.kernel_size == m.stride)
        patch = next((int(m.kernel_size[0]) for m in strided if m.kernel_size[0] > 1), None)
        for name, table in (*self.model.named_parameters(), *self.model.named_buffers()):
            if "pos" not in name or is_lazy(table) or table.dim() not in (2, 3):
                continue
            for special in SPECIAL_TOKENS:
                side = math.isqrt(max(0, table.shape[-2] - special))
                if side > 1 and side * side == table.shape[-2] - special:
                    yield from ((side * p, side * p) for p in ([patch] if patch else PATCHES))


def _value(holder: Any, name: str) -> Any:
    """Attribute or item `name` of a configuration or module; None where it has none."""
    if isinstance(holder, Mapping):
        return holder.get(name)
    if isinstance(holder, nn.Module):
        return vars(holder).get(name)
    value = getattr(holder, name, None)
    return None if isinstance(value, nn.Module | Tensor) else value


def _size(value: Any) -> tuple[int, int] | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = (value, value)
    if not isinstance(value, tuple | list) or len(value) < 2 or not all(isinstance(v, int) for v in value):
        return None
    height, width = value[-2:]
    return (height, width) if min(height, width) > 2 and max(height, width) <= LARGEST_SIDE else None
