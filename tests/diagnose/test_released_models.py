"""Models as a library releases them: silent where they are initialized as declared, and a bug that one release had."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from tests.diagnose.planted import conformance

SMALL = {"num_hidden_layers": 4, "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2}
TOKENS = {"input_ids": torch.arange(3, 19).view(2, 8)}
IMAGES = {"pixel_values": torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))}


def built(name: str, **options: Any) -> nn.Module:
    import transformers

    model_class = getattr(transformers, name)
    config = model_class.config_class(**SMALL, bos_token_id=0, eos_token_id=0, **options)
    return model_class(config)


def codes(name: str, **options: Any) -> dict[str, Any]:
    inputs = IMAGES if "Image" in name else TOKENS
    return conformance(lambda: Scores(built(name, **options)), kwargs=inputs)


class Scores(nn.Module):
    """A model of transformers that returns its scores only."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        return self.model(**inputs, return_dict=True).logits


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("GPT2LMHeadModel", {"vocab_size": 50}),
        ("LlamaForCausalLM", {"vocab_size": 50, "num_key_value_heads": 2}),
        ("BertForMaskedLM", {"vocab_size": 50}),
        ("MixtralForCausalLM", {"vocab_size": 50, "num_key_value_heads": 2, "num_local_experts": 4}),
        ("ViTForImageClassification", {"image_size": 32, "patch_size": 8}),
    ],
)
def test_released_families_conform(name: str, options: dict[str, Any]) -> None:
    assert codes(name, **options) == {}


def test_the_scaling_that_a_release_of_gpt2_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import PreTrainedModel
    from transformers.models.gpt2.modeling_gpt2 import Conv1D, GPT2PreTrainedModel

    def _init_weights(self: Any, module: nn.Module) -> None:  # as in transformers 5.14.1
        super(GPT2PreTrainedModel, self)._init_weights(module)
        if isinstance(module, Conv1D):
            nn.init.normal_(module.weight, mean=0.0, std=self.config.initializer_range)
        if isinstance(module, PreTrainedModel):
            for name, p in module.named_parameters():
                if name == "c_proj.weight":
                    nn.init.normal_(p, mean=0.0, std=self.config.initializer_range / math.sqrt(2 * self.config.n_layer))

    monkeypatch.setattr(GPT2PreTrainedModel, "_init_weights", _init_weights)
    found = codes("GPT2LMHeadModel", vocab_size=50)

    assert found.keys() == {"GS602"}
    assert set(found["GS602"].layers) == {
        f"model.transformer.h.{i}.{part}.c_proj.weight" for i in range(4) for part in ("attn", "mlp")
    }
    assert found["GS602"].evidence["declared_std"].value == pytest.approx(0.02 / math.sqrt(8))
