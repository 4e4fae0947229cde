"""What an argument of this name usually holds: the conventions of PyTorch code, sized by the model's own facts."""

from __future__ import annotations

from collections.abc import Callable

from gradscope.load.inputs.facts import Facts
from gradscope.load.inputs.spec import TensorSpec

LENGTH = 64  # tokens
IMAGE_SIDE = 64  # pixels, where nothing tells
SAMPLES = 1600  # of a waveform: a tenth of a second
DIFFUSION_STEPS = 1000


def tokens(facts: Facts, length: int = LENGTH) -> TensorSpec:
    """Token ids, no longer than the model's context."""
    longest = min([n for n in facts.lengths if n > 1] or [length])
    return TensorSpec((min(length, longest),), "ids", facts.vocabulary, avoid=facts.reserved)


def image(facts: Facts) -> TensorSpec:
    """An image, or a clip of frames where the configuration counts frames."""
    height, width = facts.image_sizes[0] if facts.image_sizes else (IMAGE_SIDE, IMAGE_SIDE)
    channels = facts.number("num_channels", "in_channels", "in_chans", "n_channels", default=3)
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


def _hidden(facts: Facts, *names: str) -> int:
    return facts.number(*names, "hidden_size", "d_model", "n_embd", "embed_dim", "dim", default=32)


def _context(facts: Facts) -> TensorSpec:
    width = _hidden(facts, "cross_attention_dim", "joint_attention_dim", "caption_channels", "encoder_hidden_size")
    return TensorSpec((LENGTH, width))


def _classes(facts: Facts) -> TensorSpec:
    rows = facts.embedding.num_embeddings if facts.embedding is not None else 10
    return TensorSpec((), "ids", min(rows, facts.number("num_classes", "num_labels", default=rows)))


def _series(facts: Facts) -> TensorSpec:
    length = facts.number("context_length", "prediction_length", default=32)
    channels = facts.number("num_input_channels", "input_size")
    lags = facts.setting("lags_sequence")
    if isinstance(lags, list | tuple) and lags:
        return TensorSpec((length + max(lags), *((channels,) if channels > 1 else ())))
    return TensorSpec((length, channels or 1))


def _past(facts: Facts, width: int | None) -> TensorSpec:
    lags = facts.setting("lags_sequence")
    length = facts.number("context_length", default=32) + (max(lags) if isinstance(lags, list | tuple) and lags else 0)
    return TensorSpec((length, width), "uniform") if width else TensorSpec((length,), "ones")


NAMES: dict[tuple[str, ...], Callable[[Facts], TensorSpec]] = {
    ("input_ids", "decoder_input_ids", "idx", "tokens", "token_ids", "ids", "src", "tgt", "trg"): tokens,
    ("pixel_values", "pixel_values_videos", "images", "image", "img", "imgs", "pixels", "frames", "video"): image,
    ("input_values", "input_features", "waveform", "wav", "audio", "spectrogram", "mel"): audio,
    ("attention_mask", "decoder_attention_mask"): lambda f: TensorSpec((tokens(f).shape[0],), "ones"),
    ("padding_mask", "src_key_padding_mask", "key_padding_mask"): lambda f: TensorSpec((tokens(f).shape[0],), "false"),
    ("token_type_ids",): lambda f: TensorSpec(tokens(f).shape, "constant", 0),
    ("timestep", "timesteps", "t", "time", "sigma", "sigmas", "noise_level"): lambda f: TensorSpec(
        (), "ids", DIFFUSION_STEPS
    ),
    ("y", "label", "labels", "class_labels", "class_label", "classes"): _classes,
    ("sample", "latent", "latents", "noisy_latents"): image,
    ("encoder_hidden_states", "context", "cond", "text_embeds", "memory"): _context,
    ("inputs_embeds", "hidden_states", "embeddings"): lambda f: TensorSpec((LENGTH, _hidden(f))),
    ("bbox", "boxes"): lambda f: TensorSpec((tokens(f).shape[0], 4), "boxes"),
    ("lengths", "lens", "seq_lens", "seq_lengths", "x_lengths", "input_lengths"): lambda f: TensorSpec(
        (), "constant", tokens(f).shape[0]
    ),
    ("past_values",): _series,
    ("past_time_features",): lambda f: _past(f, f.number("num_time_features", default=1)),
    ("past_observed_mask",): lambda f: _past(f, None),
    ("future_values",): lambda f: TensorSpec((f.number("prediction_length", default=4),)),
    ("future_time_features",): lambda f: TensorSpec(
        (f.number("prediction_length", default=4), f.number("num_time_features", default=1)), "uniform"
    ),
    ("speaker_embeddings",): lambda f: TensorSpec((f.number("speaker_embedding_dim", default=512),)),
    ("states",): lambda f: TensorSpec((LENGTH, f.number("state_dim", "observation_dim", default=4))),
    ("actions",): lambda f: TensorSpec((LENGTH, f.number("act_dim", "action_dim", default=2))),
    ("rewards", "returns_to_go"): lambda f: TensorSpec((LENGTH, 1)),
}

_BY_NAME = {name: rule for names, rule in NAMES.items() for name in names}


def by_name(name: str, facts: Facts) -> TensorSpec | None:
    """What the argument `name` holds; None where the name tells nothing."""
    rule = _BY_NAME.get(name)
    return rule(facts) if rule else None
