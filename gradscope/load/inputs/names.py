"""What an argument of this name usually holds: the conventions of PyTorch code, sized by the model's own facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from gradscope.load.inputs.facts import Facts
from gradscope.load.inputs.spec import PER_SAMPLE, TensorSpec

LENGTH = 64  # tokens
IMAGE_SIDE = 64  # pixels, where nothing tells
SAMPLES = 1600  # of a waveform: a tenth of a second
DIFFUSION_STEPS = 1000
EDGES = 16  # of a graph
GRID = 8  # patches a side of an image that comes as a list of patches


def tokens(facts: Facts, length: int = LENGTH) -> TensorSpec:
    """Token ids, no longer than the model's context."""
    return TensorSpec((min([length, *facts.lengths]),), "ids", facts.vocabulary, avoid=facts.reserved)


def image(facts: Facts) -> TensorSpec:
    """An image, a clip where the configuration counts frames, a list of patches where the model wants its grid."""
    channels = facts.number("num_channels", "in_channels", "in_chans", "n_channels", default=3)
    if "image_grid_thw" in facts.parameters:
        patch, times = facts.number("patch_size", default=14), facts.number("temporal_patch_size", default=1)
        return TensorSpec((GRID * GRID, channels * times * patch * patch), is_packed=True)
    height, width = facts.image_sizes[0] if facts.image_sizes else (IMAGE_SIDE, IMAGE_SIDE)
    frames = facts.number("num_frames", "frames_per_clip", "num_input_frames")
    return TensorSpec((*((frames,) if frames else ()), channels, height, width))


def audio(facts: Facts) -> TensorSpec:
    """A spectrogram where the configuration counts mel bins, else a waveform."""
    bins = facts.number("num_mel_bins", "input_feat_per_channel", "feature_size")
    frames = facts.number("max_length") or 2 * facts.number("max_source_positions", default=50)
    if facts.number("input_feat_per_channel"):
        return TensorSpec((LENGTH, bins))
    if facts.number("num_mel_bins") and facts.number("max_length"):
        return TensorSpec((frames, bins))
    if bins:
        return TensorSpec((bins, frames))
    channels = facts.number("audio_channels")
    return TensorSpec((*((channels,) if channels else ()), SAMPLES * (10 if facts.number("hop_length") else 1)))


def _masks(facts: Facts) -> list[TensorSpec]:
    """Which positions may see which: for sequences that are compared with themselves, or one row a sample."""
    length = tokens(facts).shape[0]
    return [
        TensorSpec((length, length), "false", batch_at=None),
        TensorSpec((length,), "ones"),
        TensorSpec((length,), "false"),
        TensorSpec((length, length), "ones"),
    ]


def _state(facts: Facts) -> Any:
    """The initial state of the first recurrent layer."""
    layer = next((m for m in facts.modules.values() if isinstance(m, nn.RNNBase)), None)
    if layer is None:
        return None
    state = TensorSpec((layer.num_layers * (2 if layer.bidirectional else 1), layer.hidden_size), batch_at=1)
    return (state, state) if isinstance(layer, nn.LSTM) else state


def _noise(facts: Facts) -> TensorSpec:
    """A latent vector as wide as the first layer takes it."""
    first = next((m for m in facts.owners if isinstance(m, nn.ConvTranspose2d | nn.Linear)), None)
    width = first.in_features if isinstance(first, nn.Linear) else first.in_channels if first is not None else 64
    return TensorSpec((width,))


def _width(facts: Facts, *names: str) -> int:
    return facts.number(*names, "hidden_size", "d_model", "n_embd", "embed_dim", "dim", default=32)


def _context(facts: Facts) -> TensorSpec:
    names = ("cross_attention_dim", "joint_attention_dim", "caption_channels", "encoder_hidden_size")
    return TensorSpec((LENGTH, _width(facts, *names)))


def _classes(facts: Facts) -> TensorSpec:
    rows = facts.embedding.num_embeddings if facts.embedding is not None else 10
    return TensorSpec((), "ids", min(rows, facts.number("num_classes", "num_labels", default=rows)))


def _past(facts: Facts) -> int:
    """Steps of the past that a forecaster reads: its context and its longest lag."""
    lags = facts.setting("lags_sequence")
    return facts.number("context_length", default=32) + (max(lags) if isinstance(lags, list | tuple) and lags else 0)


def _series(facts: Facts) -> TensorSpec:
    channels = facts.number("num_input_channels", "input_size", default=1)
    is_flat = channels == 1 and facts.setting("lags_sequence") is not None
    return TensorSpec((_past(facts),) if is_flat else (_past(facts), channels))


def _time_features(steps: Callable[[Facts], int]) -> Callable[[Facts], TensorSpec]:
    return lambda f: TensorSpec((steps(f), f.number("num_time_features", default=1)), "uniform")


def _future(facts: Facts) -> int:
    return facts.number("prediction_length", default=4)


def _per_token(values: Any, high: int = 0) -> Callable[[Facts], TensorSpec]:
    return lambda f: TensorSpec((tokens(f).shape[0],), values, high)


NAMES: dict[tuple[str, ...], Callable[[Facts], Any]] = {
    ("input_ids", "decoder_input_ids", "idx", "tokens", "token_ids", "ids"): tokens,
    ("pixel_values", "pixel_values_videos", "images", "image", "img", "imgs", "pixels", "frames", "video"): image,
    ("image_grid_thw",): lambda f: TensorSpec((), "grid", GRID),
    ("input_values", "input_features", "waveform", "wav", "audio", "spectrogram", "mel"): audio,
    ("attention_mask", "decoder_attention_mask"): _per_token("ones"),
    ("mask", "attn_mask", "src_mask", "tgt_mask"): _masks,
    ("padding_mask", "src_key_padding_mask", "tgt_key_padding_mask", "key_padding_mask"): _per_token("false"),
    ("token_type_ids", "mm_token_type_ids"): _per_token("constant", 0),
    ("timestep", "timesteps", "t", "time", "sigma", "sigmas", "noise_level"): lambda f: TensorSpec(
        (), "ids", DIFFUSION_STEPS
    ),
    ("y", "label", "labels", "class_labels", "class_label", "classes"): _classes,
    ("sample", "latents", "noisy_latents"): image,
    ("z", "noise", "latent"): _noise,
    ("hidden", "hx", "h0", "h", "state", "hidden_state"): _state,
    ("encoder_hidden_states", "context", "cond", "text_embeds", "memory"): _context,
    ("inputs_embeds", "hidden_states", "embeddings"): lambda f: TensorSpec((LENGTH, _width(f))),
    ("bbox", "boxes"): lambda f: TensorSpec((tokens(f).shape[0], 4), "boxes"),
    ("lengths", "lens", "seq_lens", "seq_lengths", "x_lengths", "input_lengths"): lambda f: TensorSpec(
        (), "constant", tokens(f).shape[0]
    ),
    ("edge_index", "edges"): lambda f: TensorSpec((2, EDGES), "nodes", batch_at=None),
    ("edge_weight",): lambda f: TensorSpec((EDGES,), "uniform", batch_at=None),
    ("adj", "adjacency", "adj_mat", "adj_matrix", "adjacency_matrix"): lambda f: TensorSpec((PER_SAMPLE,), "ones"),
    ("past_values",): _series,
    ("past_time_features",): _time_features(_past),
    ("past_observed_mask",): lambda f: TensorSpec(_series(f).shape, "ones"),
    ("future_values",): lambda f: TensorSpec((_future(f), *_series(f).shape[1:])),
    ("future_time_features",): _time_features(_future),
    ("speaker_embeddings",): lambda f: TensorSpec((f.number("speaker_embedding_dim", default=512),)),
    ("states",): lambda f: TensorSpec((LENGTH, f.number("state_dim", "observation_dim", default=4))),
    ("actions",): lambda f: TensorSpec((LENGTH, f.number("act_dim", "action_dim", default=2))),
    ("rewards", "returns_to_go"): lambda f: TensorSpec((LENGTH, 1)),
}

_RULES = {name: rule for names, rule in NAMES.items() for name in names}


def all_by_name(name: str, facts: Facts) -> list[Any]:
    """What the argument `name` may hold, the most usual first; empty where the name tells nothing.

    A name that ends in a known one means the same: "high_res_pixel_values" are pixel values.
    """
    words = name.split("_")
    endings = ["_".join(words[i:]) for i in range(len(words)) if i == 0 or len(words) - i > 1]
    rule = next((_RULES[ending] for ending in endings if ending in _RULES), None)
    specs = rule(facts) if rule else None
    return [] if specs is None else specs if isinstance(specs, list) else [specs]


def by_name(name: str, facts: Facts) -> Any:
    """What the argument `name` usually holds; None where the name tells nothing."""
    return next(iter(all_by_name(name, facts)), None)
