"""Models that nobody wrote for this project, by name: how to build each of them small, offline, with inputs."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

Built = tuple[nn.Module, tuple[Any, ...], dict[str, Any]]  # model, args, kwargs
_IMAGE = 64  # pixels a side, where a model takes any size

# What makes a configuration small, by the names that configurations use.
_SMALL = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embed_dim", "embedding_size", "emb_dim"), 32),
    **dict.fromkeys(("intermediate_size", "d_ff", "ffn_dim", "n_inner", "encoder_ffn_dim", "decoder_ffn_dim"), 48),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "num_layers", "n_layers", "encoder_layers", "decoder_layers"), 2),
    **dict.fromkeys(("num_encoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "num_heads", "n_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "num_key_value_heads"), 4),
    **dict.fromkeys(("vocab_size",), 128),
    **dict.fromkeys(("head_dim", "d_kv"), 8),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_top_k", "topk"), 2),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 16),
    **dict.fromkeys(("image_size",), _IMAGE),
    **dict.fromkeys(("projection_dim", "rotary_dim"), 8),
}
_LARGEST = 40_000_000  # parameters
_LARGEST_OF_TORCHVISION = 90_000_000  # its models cannot be built smaller
_STRIDE = 3  # every third architecture of transformers: they are many, and alike


def names() -> Iterator[str]:
    """Every model of the zoo that the installed libraries offer, as "library:name"."""
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    yield from (f"transformers:{kind}" for kind in list(MODEL_MAPPING_NAMES)[::_STRIDE])
    if importlib.util.find_spec("torchvision"):
        import torchvision

        yield from (f"torchvision:{name}" for name in torchvision.models.list_models(module=torchvision.models))
    if importlib.util.find_spec("timm"):
        import timm

        yield from (f"timm:{family}" for family in timm.list_modules())


def build(name: str, largest: int = _LARGEST) -> Built:
    """One model of the zoo with at most `largest` parameters, and inputs on which it runs.

    Raises:
        whatever its constructor or its forward pass raises: then it is not available here.
    """
    library, model = name.split(":")
    return {"transformers": _transformers, "torchvision": _torchvision, "timm": _timm}[library](model, largest)


def _transformers(kind: str, largest: int) -> Built:
    """One architecture with its default head, as small as it gets."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    found = MODEL_MAPPING_NAMES[kind]
    model_class = getattr(transformers, found if isinstance(found, str) else found[0])
    return transformers_model(model_class, transformers.AutoConfig.for_model(kind), _SMALL, largest)


def transformers_model(model_class: Any, config: Any, sizes: Mapping[str, int], largest: int = _LARGEST) -> Built:
    """A model of transformers, no larger than `sizes` where its configuration uses these names."""
    import transformers

    transformers.logging.set_verbosity_error()
    _shrink(config, sizes)
    config = type(config).from_dict(config.to_dict())
    with torch.device("meta"):
        size = sum(p.numel() for p in model_class(config).parameters())
    if size > largest:
        raise MemoryError("its configuration does not shrink")
    model = model_class(config)
    return _with_working_inputs(model, _hugging_face_inputs(model, config))


def _shrink(config: Any, sizes: Mapping[str, int] = _SMALL) -> None:
    for part in list(vars(config).values()):
        if hasattr(part, "to_dict"):
            _shrink(part, sizes)
    layers = getattr(config, "num_hidden_layers", None)
    for key, value in list(vars(config).items()):  # one entry a layer
        if isinstance(value, list) and layers == len(value) > sizes["num_hidden_layers"]:
            setattr(config, key, value[: sizes["num_hidden_layers"]])
    for key, value in sizes.items():
        now = getattr(config, key, None)
        if isinstance(now, int) and not isinstance(now, bool) and now > value:
            setattr(config, key, value)
    for key in ("pad_token_id", "bos_token_id", "eos_token_id"):
        if isinstance(getattr(config, key, None), int):
            setattr(config, key, min(getattr(config, key), 2))


def _hugging_face_inputs(model: nn.Module, config: Any) -> Iterator[dict[str, Any]]:
    wanted = set(inspect.signature(model.forward).parameters)
    size = getattr(config, "image_size", None) or _IMAGE
    sides = tuple(size) if isinstance(size, list | tuple) else (size, size)
    channels = getattr(config, "num_channels", 3)
    tokens = torch.randint(3, 100, (2, 12))
    offers: list[dict[str, Any]] = [
        {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)},
        {"input_ids": tokens, "decoder_input_ids": tokens},
        {"input_ids": tokens},
        {"pixel_values": torch.randn(2, channels, *sides)},
        {"pixel_values": torch.randn(2, channels, 224, 224)},
        {"input_ids": tokens, "pixel_values": torch.randn(2, channels, *sides)},
        {"input_ids": tokens, "pixel_values": torch.randn(2, 3, 224, 224)},
        {"input_values": torch.randn(2, 4000)},
        {"input_features": torch.randn(2, 80, 3000), "decoder_input_ids": tokens},
        {"input_features": torch.randn(2, 64, 80)},
        {"pixel_values": torch.randn(2, 8, 3, *sides)},
        {"past_values": torch.randn(2, getattr(config, "context_length", None) or 32, 1)},
    ]
    yield from (offer for offer in offers if offer.keys() <= wanted)


def _with_working_inputs(model: nn.Module, offers: Iterator[dict[str, Any]]) -> Built:
    errors = []
    for offer in offers:
        try:
            with torch.no_grad():
                model.train()(**offer)
            return model, (), offer
        except Exception as error:  # any of them may be the wrong kind of input: the next one is tried
            errors.append(f"{type(error).__name__}: {error}")
    raise ValueError("; ".join(errors)[:300] or "no known inputs")


def _torchvision(name: str, largest: int) -> Built:
    import torchvision

    kwargs: dict[str, Any] = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    try:
        with torch.device("meta"):
            size = sum(p.numel() for p in torchvision.models.get_model(name, weights=None, **kwargs).parameters())
    except NotImplementedError:  # its constructor reads numbers from tensors: none of these is larger than 200 M
        size = 0
    if size > max(largest, _LARGEST_OF_TORCHVISION):
        raise MemoryError("too large")
    model = torchvision.models.get_model(name, weights=None, **kwargs)
    return _first_running(model, (_IMAGE, 96, 224, 299))


def _timm(family: str, largest: int) -> Built:
    import timm

    small = ("femto", "atto", "pico", "nano", "xxs", "_xs", "tiny", "_t", "small", "_s", "b0", "_0", "lite", "mini")
    entries = timm.list_models(module=family)
    name = min(entries, key=lambda n: (next((i for i, s in enumerate(small) if s in n), len(small)), len(n), n))
    model = timm.create_model(name)
    if sum(p.numel() for p in model.parameters()) > largest:
        raise MemoryError("the smallest of the family is too large")
    return _first_running(model, (_IMAGE, 96, *sorted({128, 224, model.default_cfg["input_size"][-1]})))


def _first_running(model: nn.Module, sizes: tuple[int, ...]) -> Built:
    run: Callable[[int], Any] = lambda size: model.train()(torch.randn(2, 3, size, size))  # noqa: E731
    errors = []
    for size in sizes:
        try:
            with torch.no_grad():
                run(size)
            return model, (torch.randn(2, 3, size, size),), {}
        except Exception as error:  # too small for its stages, or fixed to another size
            errors.append(str(error))
    raise ValueError("; ".join(errors)[:300])
