"""Transformers and mixers over a few tokens, with the norm before, after or nowhere."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.corpus.nets.parts import ACTIVATIONS, NORMS, Skip


class Attention(nn.Module):
    """Multi-head self-attention.

    Args:
        width: of the stream.
        heads: divides the width.
        is_causal: a token sees none after it.
        temperature: what logits are divided by besides sqrt(head width).
    """

    def __init__(self, width: int, *, heads: int = 2, is_causal: bool = False, temperature: float = 1.0) -> None:
        super().__init__()
        self.query_key_value = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.heads, self.is_causal, self.temperature = heads, is_causal, temperature

    def forward(self, x: Tensor) -> Tensor:  # (batch, tokens, width)
        batch, tokens, width = x.shape
        split = self.query_key_value(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # (batch, heads, tokens, width / heads) each
        mixed = F.scaled_dot_product_attention(query / self.temperature, key, value, is_causal=self.is_causal)
        return self.projection(mixed.transpose(1, 2).reshape(batch, tokens, width))


class TokenMixer(nn.Module):
    """The mixer's half that acts across tokens."""

    def __init__(self, tokens: int, activation: str) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            nn.Linear(tokens, 2 * tokens), ACTIVATIONS[activation](), nn.Linear(2 * tokens, tokens)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(x.transpose(1, 2)).transpose(1, 2)


class TokenNetwork(nn.Module):
    """Embedding, blocks of token mixing and a feed-forward half, and a linear head.

    Args:
        features: of a token; the alphabet's size where `is_text`.
        outputs: classes.
        tokens: sequence length.
        depth: number of blocks.
        width: of the stream.
        placement: of the norm: "pre", "post" or "none".
        mixer: "attention" or "mlp".
        is_text: token inputs, causal, each position answered; otherwise the mean over tokens is.
        norm: kind of norm.
        activation: of the feed-forward half.
        temperature: of the attention.
        scale: constant factor of each branch.
        is_rezero: each branch has a learned factor that starts at zero.
        has_skip: without it the branches are stacked plainly.
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        *,
        tokens: int = 8,
        depth: int,
        width: int = 16,
        placement: str = "pre",
        mixer: str = "attention",
        is_text: bool = False,
        norm: str = "layer",
        activation: str = "gelu",
        temperature: float = 1.0,
        scale: float = 1.0,
        is_rezero: bool = False,
        has_skip: bool = True,
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(features, width) if is_text else nn.Linear(features, width)
        self.position = nn.Parameter(torch.randn(tokens, width) * 0.02)
        blocks: list[nn.Module] = []
        for _ in range(depth):
            attention = Attention(width, is_causal=is_text, temperature=temperature)
            hidden = nn.Sequential(nn.Linear(width, 2 * width), ACTIVATIONS[activation](), nn.Linear(2 * width, width))
            for branch in (attention if mixer == "attention" else TokenMixer(tokens, activation), hidden):
                before = [NORMS[norm](width)] if placement == "pre" else []
                inner = nn.Sequential(*before, branch)
                blocks.append(Skip(inner, scale=scale, is_learned=is_rezero) if has_skip else inner)
                blocks += [NORMS[norm](width)] if placement == "post" else []
        self.blocks = nn.Sequential(*blocks)
        self.norm = NORMS[norm](width) if placement == "pre" else nn.Identity()
        self.head = nn.Linear(width, outputs)
        self.is_text = is_text

    def forward(self, x: Tensor) -> Tensor:  # (batch, tokens, features) or (batch, tokens)
        x = self.norm(self.blocks(self.embed(x) + self.position))
        return self.head(x if self.is_text else x.mean(1))


@torch.no_grad()
def initialize(model: TokenNetwork, std: float | None = None, residual: float = 1.0) -> TokenNetwork:
    """Draw every weight from N(0, std^2), zero biases, and multiply the last weight of each branch by `residual`.

    Args:
        model: changed in place.
        std: of linear weights and embeddings; None leaves torch's own.
        residual: 1/sqrt(2 depth) is GPT-2's, 0 makes every block the identity.
    """
    for module in model.modules():
        if std is not None and isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=std)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
    for block in model.blocks:
        inner = block.branch if isinstance(block, Skip) else block
        if isinstance(inner, nn.Sequential):
            [*_, last] = (module for module in inner.modules() if isinstance(module, nn.Linear))
            last.weight.mul_(residual)
            last.bias.mul_(residual)
    return model
