"""Initializations recorded on the meta device against the real ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from gradscope.predict import plan
from gradscope.predict._initial import Initializations

SHAPE = (64, 128)


class Holder(nn.Module):
    """One parameter, initialized by a function."""

    def __init__(self, initialize: Callable[[torch.Tensor], object], shape: tuple[int, ...] = SHAPE) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        with torch.no_grad():
            initialize(self.weight)


def recorded(make: Callable[[], nn.Module]):
    made = plan(make)
    model, initial = made.model, made.initial
    assert all(p.device.type == "meta" for p in model.parameters())
    return model, initial


INITIALIZERS: dict[str, tuple[Callable[[torch.Tensor], object], str]] = {
    "uniform": (lambda t: nn.init.uniform_(t, -0.3, 0.5), "uniform"),
    "normal": (lambda t: nn.init.normal_(t, 0.1, 0.2), "normal"),
    "trunc_normal": (lambda t: nn.init.trunc_normal_(t, std=0.02, a=-0.04, b=0.04), "truncated-normal"),
    "trunc_normal, shifted": (lambda t: nn.init.trunc_normal_(t, mean=0.5, std=1.0, a=0.0, b=2.0), "truncated-normal"),
    "constant": (lambda t: nn.init.constant_(t, 0.3), "constant"),
    "ones": (nn.init.ones_, "constant"),
    "zeros": (nn.init.zeros_, "constant"),
    "eye": (nn.init.eye_, "identity"),
    "xavier_uniform": (lambda t: nn.init.xavier_uniform_(t, gain=1.5), "uniform"),
    "xavier_normal": (nn.init.xavier_normal_, "normal"),
    "kaiming_uniform": (lambda t: nn.init.kaiming_uniform_(t, a=math.sqrt(5)), "uniform"),
    "kaiming_normal": (lambda t: nn.init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"), "normal"),
    "orthogonal": (lambda t: nn.init.orthogonal_(t, gain=2.0), "orthogonal"),
    "sparse": (lambda t: nn.init.sparse_(t, 0.25, std=0.1), "sparse"),
    "in place": (lambda t: t.normal_(std=3.0).mul_(0.01), "normal"),
    "clamped": (lambda t: t.normal_().clamp_(-1.0, 1.0), "derived"),
    "by hand": (lambda t: t.uniform_(-1, 1).erfinv_().mul_(0.02 * math.sqrt(2)), "derived"),
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_family_mean_and_deviation_match_the_real_initialization(name: str):
    initialize, family = INITIALIZERS[name]
    model, initial = recorded(lambda: Holder(initialize))
    drawn = initial.find(model.weight)
    assert drawn is not None and drawn.family == family
    torch.manual_seed(0)
    values = torch.stack([Holder(initialize).weight.detach().double() for _ in range(40)])
    noise = 4 * float(values.std(unbiased=False)) / math.sqrt(values.numel())
    assert drawn.mean == pytest.approx(float(values.mean()), rel=1e-6, abs=noise)
    assert drawn.std == pytest.approx(float(values.std(unbiased=False)), rel=1e-2, abs=1e-6)


def test_dirac_keeps_channels():
    model, initial = recorded(lambda: Holder(nn.init.dirac_, (8, 16, 3, 3)))
    drawn = initial.find(model.weight)
    real = Holder(nn.init.dirac_, (8, 16, 3, 3)).weight.detach()
    assert drawn is not None and drawn.family == "dirac"
    assert drawn.second_moment == pytest.approx(float(real.square().mean()), rel=1e-2)


def test_scaling_after_drawing_and_copying_are_remembered():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Parameter(torch.randn(SHAPE) * 0.02)
            self.second = nn.Parameter(torch.empty(SHAPE))
            with torch.no_grad():
                self.second.copy_(self.first)

    model, initial = recorded(Tied)
    first, second = initial.find(model.first), initial.find(model.second)
    assert first is not None and second is not None
    assert first.is_scaled and first.std == pytest.approx(0.02, rel=1e-3)
    assert second.is_copied and second.std == pytest.approx(0.02, rel=1e-3)


def test_a_parameter_that_nothing_initializes_is_unknown():
    model, initial = recorded(lambda: Holder(lambda t: None))
    assert initial.find(model.weight) is None


def test_a_padding_row_of_zeros_lowers_the_second_moment_by_its_share():
    model, initial = recorded(lambda: nn.Embedding(10, 64, padding_idx=0))
    drawn = initial.find(model.weight)
    assert drawn is not None and drawn.second_moment == pytest.approx(0.9, rel=1e-2)


def test_constants_are_computed_for_real_and_views_of_them_alias():
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            grid = torch.stack(torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij")).flatten(1)
            offsets = (grid[:, :, None] - grid[:, None, :]).permute(1, 2, 0).contiguous()
            offsets[:, :, 0] += 2
            offsets[:, :, 0] *= 5
            self.register_buffer("index", offsets.sum(-1))

    model, initial = recorded(Table)
    assert torch.equal(initial.value(model.index), Table().index)


def test_building_on_meta_leaves_modes_clean_when_the_model_fails():
    def broken() -> nn.Module:
        raise ValueError("no model")

    with pytest.raises(ValueError, match="no model"):
        plan(broken)
    assert torch.zeros(2).device.type == "cpu"
    assert isinstance(Initializations(), Initializations)


# --- Hugging Face ------------------------------------------------------------------------------------

_SMALL = {
    "hidden_size": 64, "num_hidden_layers": 1, "num_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 96, "vocab_size": 300, "d_model": 64, "n_embd": 64, "n_layer": 1, "n_head": 4, "num_heads": 4,
    "ffn_dim": 96, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96, "decoder_ffn_dim": 96, "d_ff": 96, "d_kv": 16, "image_size": 32, "patch_size": 8, "dim": 64,
    "n_layers": 1, "n_heads": 4, "hidden_dim": 96, "embedding_size": 32, "head_dim": 16, "n_words": 300, "emb_dim": 64,
    "word_embed_proj_dim": 64, "rotary_dim": 8, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip

_SPECIAL = {
    "gpt_neo": {"attention_types": [[["global"], 1]]},
    "falcon": {},
    "squeezebert": {"embedding_size": 64},
}
FAMILIES = [
    "gpt2",
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",
    "phi",
    "phi3",
    "opt",
    "bloom",
    "gpt_neox",
    "gptj",
    "gpt_neo",
    "falcon",
    "mpt",
    "olmo",
    "olmo2",
    "stablelm",
    "starcoder2",
    "cohere",
    "granite",
    "xglm",
    "codegen",
    "biogpt",
    "bert",
    "roberta",
    "distilbert",
    "albert",
    "electra",
    "deberta-v2",
    "mpnet",
    "convbert",
    "xlm",
    "squeezebert",
    "mobilebert",
    "megatron-bert",
    "esm",
    "fnet",
    "t5",
    "bart",
    "mbart",
    "pegasus",
    "vit",
    "deit",
    "beit",
    "dinov2",
    "vit_mae",
    "clip_vision_model",
    "siglip_vision_model",
    "convnext",
    "resnet",
]


def _family(name: str) -> Callable[[], nn.Module]:
    import transformers

    configuration = transformers.AutoConfig.for_model(name)
    known = {
        k: v
        for k, v in (_SMALL | _SPECIAL.get(name, {})).items()
        if hasattr(configuration, k) and (name, k) != ("falcon", "head_dim")
    }
    small = type(configuration)(**known)
    return lambda: transformers.AutoModel.from_config(small)


def _unlike(real: torch.Tensor, drawn) -> bool:
    """Whether a recorded standard deviation is off by more than 1 % and by more than sampling explains."""
    noise = 5 / math.sqrt(2 * real.numel())
    expected = float(real.double().square().mean().sqrt())
    root = math.sqrt(drawn.second_moment)
    return abs(root - expected) > (0.01 + noise) * max(root, expected) + 1e-12


@pytest.mark.parametrize("name", FAMILIES)
def test_hugging_face_initialization_is_recorded(name: str):
    make = _family(name)
    torch.manual_seed(0)
    real = dict(make().named_parameters())
    model, initial = recorded(make)
    wrong = {}
    for key, parameter in model.named_parameters():
        drawn = initial.find(parameter)
        if drawn is None:
            wrong[key] = "nothing recorded"
        elif _unlike(real[key].detach(), drawn):
            wrong[key] = f"{math.sqrt(drawn.second_moment):.5f}, really {float(real[key].detach().std()):.5f}"
    assert not wrong
