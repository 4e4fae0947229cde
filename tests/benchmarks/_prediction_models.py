"""The models that predictions are held against: perceptrons, convolutional networks and transformers, real sizes."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Case = tuple[Callable[[], nn.Module], Callable[[], dict[str, Any] | tuple[Any, ...]]]
_TOKENS = 64
_WIDTH = 1024


def cases() -> dict[str, Case]:
    """Name -> (build, make inputs): everything that the installed libraries offer."""
    found = {**_perceptrons(), **_transformers()}
    if importlib.util.find_spec("torchvision"):
        found |= _torchvision()
    if importlib.util.find_spec("timm"):
        found |= _timm()
    return found


def _perceptrons() -> dict[str, Case]:
    def build(activation: type[nn.Module], depth: int, weight: float, bias: float) -> nn.Module:
        layers: list[nn.Module] = []
        for _ in range(depth):
            linear = nn.Linear(_WIDTH, _WIDTH)
            nn.init.normal_(linear.weight, 0.0, math.sqrt(weight / _WIDTH))
            nn.init.normal_(linear.bias, 0.0, math.sqrt(bias))
            layers += [linear, activation()]
        return nn.Sequential(*layers)

    def blocks(is_before: bool) -> nn.Module:
        return nn.Sequential(*[_Block(_WIDTH, is_before) for _ in range(24)])

    def signal() -> tuple[Any, ...]:
        return (torch.randn(16, _WIDTH),)

    settings = {
        "tanh, ordered, 30 layers": (nn.Tanh, 30, 1.3, 0.05),
        "tanh, critical, 50 layers": (nn.Tanh, 50, 1.761, 0.05),
        "tanh, chaotic, 20 layers": (nn.Tanh, 20, 2.5, 0.05),
        "relu, He, 20 layers": (nn.ReLU, 20, 2.0, 0.0),
        "gelu, critical, 30 layers": (nn.GELU, 30, 2.1937, 0.0672),
        "silu, critical, 30 layers": (nn.SiLU, 30, 2.6352, 0.0625),
        "selu, 50 layers": (nn.SELU, 50, 1.0, 0.0),
        "elu, 30 layers": (nn.ELU, 30, 1.2, 0.05),
        "sigmoid, 20 layers": (nn.Sigmoid, 20, 4.0, 0.0),
    }
    found: dict[str, Case] = {f"MLP {name}": (_bound(build, *s), signal) for name, s in settings.items()}
    found["MLP pre-LN blocks, 24"] = (_bound(blocks, True), signal)
    found["MLP post-LN blocks, 24"] = (_bound(blocks, False), signal)
    return found


class _Block(nn.Module):
    def __init__(self, width: int, is_before: bool) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)
        nn.init.kaiming_normal_(self.up.weight)
        self.is_before = is_before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.is_before:
            return x + self.down(torch.relu(self.up(self.norm(x))))
        return self.norm(x + self.down(torch.relu(self.up(x))))


def _transformers() -> dict[str, Case]:
    import transformers as hf

    def tokens(vocabulary: int) -> Callable[[], dict[str, Any]]:
        return lambda: {"input_ids": torch.randint(1, vocabulary, (2, _TOKENS))}

    def decoder_tokens(vocabulary: int) -> Callable[[], dict[str, Any]]:
        return lambda: {"input_ids": torch.randint(1, vocabulary, (2, _TOKENS)), "use_cache": False}

    llama = {"vocab_size": 4000, "num_hidden_layers": 8, "hidden_size": 512, "intermediate_size": 1376}
    heads = {"num_attention_heads": 8, "num_key_value_heads": 4}
    vit = hf.ViTConfig(num_hidden_layers=12, hidden_size=384, num_attention_heads=6, intermediate_size=1536)
    return {
        "GPT-2": (lambda: hf.GPT2LMHeadModel(hf.GPT2Config()), decoder_tokens(50257)),
        "Llama-like, std 0.02": (lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**llama, **heads)), decoder_tokens(4000)),
        "Llama-like, std 0.06": (
            lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**llama, **heads, initializer_range=0.06)),
            decoder_tokens(4000),
        ),
        "Qwen3-like": (
            lambda: hf.Qwen3ForCausalLM(hf.Qwen3Config(**llama, **heads, head_dim=64)),
            decoder_tokens(4000),
        ),
        "OPT-like": (
            lambda: hf.OPTForCausalLM(
                hf.OPTConfig(
                    vocab_size=4000,
                    num_hidden_layers=6,
                    hidden_size=512,
                    ffn_dim=2048,
                    num_attention_heads=8,
                    word_embed_proj_dim=512,
                )
            ),
            decoder_tokens(4000),
        ),
        "BERT": (lambda: hf.BertModel(hf.BertConfig(vocab_size=4000)), tokens(4000)),
        "RoBERTa": (lambda: hf.RobertaModel(hf.RobertaConfig(vocab_size=4000, num_hidden_layers=6)), tokens(4000)),
        "DistilBERT": (lambda: hf.DistilBertModel(hf.DistilBertConfig(vocab_size=4000)), tokens(4000)),
        "ViT-S/16 (transformers)": (lambda: hf.ViTModel(vit), lambda: {"pixel_values": torch.randn(2, 3, 224, 224)}),
    }


def _torchvision() -> dict[str, Case]:
    from torchvision import models

    def image() -> tuple[Any, ...]:
        return (torch.randn(4, 3, 224, 224),)

    names = (
        "resnet18",
        "resnet50",
        "densenet121",
        "vgg11_bn",
        "vgg16",
        "mobilenet_v2",
        "convnext_tiny",
        "mnasnet1_0",
        "shufflenet_v2_x1_0",
        "regnet_y_400mf",
    )
    return {f"{name} (torchvision)": (_bound(models.get_model, name), image) for name in names}


def _timm() -> dict[str, Case]:
    import timm

    def image() -> tuple[Any, ...]:
        return (torch.randn(4, 3, 224, 224),)

    names = ("vit_small_patch16_224", "deit_tiny_patch16_224", "mixer_s32_224", "resnext50_32x4d")
    return {f"{name} (timm)": (_bound(timm.create_model, name), image) for name in names}


def _bound(function: Callable[..., nn.Module], *args: Any) -> Callable[[], nn.Module]:
    return lambda: function(*args)
