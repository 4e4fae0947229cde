"""What the verdict looks at: a few numbers with a meaning, each zero where all is well and larger the worse it is.

A feature that cannot be told (the profile is predicted, a loss has no known minimum, no step was tried) is None. Each
is cut off at `MOST`, so that no single number outweighs all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gradscope.config import Config
from gradscope.diagnose._lessons import MOST, unmoving, unproven, unskilled
from gradscope.diagnose._meant import meant_decades
from gradscope.diagnose._signal import (
    activation_rms,
    decades,
    gradient_decades,
    has_drawn_targets,
    starts_at_zero,
    trunk,
)
from gradscope.diagnose._steps import rash_with_sgd, slow_with_adam, slow_with_sgd
from gradscope.schema import Estimate, Profile

Feature = Callable[[Profile], float | None]

FEW = 8
"""Samples below which what lies between them is unknown."""

_RECURRENT = frozenset({"RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"})


def vanishing(profile: Profile) -> float | None:
    """Decades of gradient norm lost from the output back to the data, less what small scales of branches mean to."""
    total, steps = gradient_decades(profile)
    return max(0.0, -total - meant_decades(profile, Config())) if steps else None


def exploding(profile: Profile) -> float | None:
    """Decades of gradient norm gained from the output back to the data."""
    total, steps = gradient_decades(profile)
    return max(0.0, total) if steps else None


def initial_loss(profile: Profile) -> float | None:
    """Decades of the first loss above that of the best constant answer."""
    first = profile.network.get("initial_loss")
    least = _known(profile.network.get("expected_loss"))
    if least is None and not _is_small(profile):
        least = _known(profile.network.get("constant_loss"))
    if first is not None and first.status == "nonfinite":
        return MOST
    value = _known(first)
    if value is None or least is None or min(value, least) <= 0:
        return None
    return max(0.0, decades(value / least))


def indifference(profile: Profile) -> float | None:
    """Decades by which the part of the output that differs between samples is below its rms, and is not meant to be.

    None of a model that starts at exactly zero, as some do on purpose.
    """
    share = _known(profile.network.get("output_variation"))
    if share is None or _is_small(profile) or (share == 0 and starts_at_zero(profile)):
        return None
    return max(0.0, -decades(share) / 2 - meant_decades(profile, Config()))


def collapse(profile: Profile) -> float | None:
    """Decades of 1 - cosine between samples at the trunk layer where it is smallest."""
    if _is_small(profile):
        return None
    cosines = [c for layer in trunk(profile) if (c := _known(layer.quantities.get("sample_cosine"))) is not None]
    return max(0.0, -decades(max(0.0, 1 - max(cosines)))) if cosines else None


def flatness(profile: Profile) -> float | None:
    """Decades of the effective rank of the samples above one direction, at the narrowest trunk layer."""
    ranks = [r for layer in trunk(profile) if (r := _known(layer.quantities.get("sample_rank"))) is not None]
    return max(0.0, -decades(min(ranks))) if ranks else None


def noise(profile: Profile) -> float | None:
    """Share of the variance between answers that is there between answers to the same question too.

    None of drawn data, which are less varied than real ones.
    """
    share = _known(profile.network.get("output_noise"))
    return None if share is None or _is_small(profile) or has_drawn_targets(profile) else min(1.0, share)


def leak(profile: Profile) -> float | None:
    """Share of an answer's gradient that lies at other samples' inputs."""
    share = _known(profile.network.get("own_share"))
    return None if share is None else 1 - share


def twins(profile: Profile) -> float | None:
    """Largest share of a trunk layer's units that another unit equals."""
    return _largest(profile, "duplicate_fraction")


def dead(profile: Profile) -> float | None:
    """Largest share of a trunk layer's units that never fire."""
    return _largest(profile, "dead_fraction")


def saturated(profile: Profile) -> float | None:
    """Largest share of a trunk layer's outputs at the bounds of its activation."""
    return _largest(profile, "saturated_fraction")


def forgetting(profile: Profile) -> float | None:
    """Decades of gradient that a recurrent layer's input loses over three quarters of the sequence."""
    gains = [
        gain
        for layer in profile.layers
        if layer.node.op in _RECURRENT
        for i in layer.node.inputs
        if (gain := _known(profile.layers[i].quantities.get("lag_gain"))) is not None
    ]
    return max(0.0, -decades(min(gains))) if gains else None


def unscaled_input(profile: Profile) -> float | None:
    """Decades between the rms of the data and one."""
    sizes = [
        abs(decades(r)) for layer in profile.layers if layer.node.kind == "input" if (r := activation_rms(layer)) > 0
    ]
    return max(sizes) if sizes else None


def evadable(profile: Profile) -> float | None:
    """How much of the loss needs no look at the data: 1 where a constant answer costs no more than the right one.

    Told against the loss at the start, so that neither the scale nor the sign of a loss matters.
    """
    perfect, constant = _known(profile.network.get("perfect_loss")), profile.network.get("constant_loss")
    if constant is not None and constant.status == "nonfinite":
        return 1.0
    least = _known(constant)
    if perfect is None or least is None or max(abs(perfect), abs(least)) == 0:
        return None
    return 1 - min(1.0, max(0.0, (least - perfect) / max(abs(perfect), abs(least))))


def unreachable(profile: Profile) -> float | None:
    """Share of what the best constant answer leaves to learn that the range of the last layer rules out.

    None of drawn targets, which no last layer was made for.
    """
    names = ("perfect_loss", "reachable_loss", "constant_loss")
    perfect, reached, constant = (_known(profile.network.get(name)) for name in names)
    if perfect is None or reached is None or constant is None or constant <= perfect or has_drawn_targets(profile):
        return None
    return min(1.0, max(0.0, (reached - perfect) / (constant - perfect)))


FEATURES: dict[str, Feature] = {
    f.__name__: f
    for f in (
        vanishing,
        exploding,
        initial_loss,
        indifference,
        collapse,
        flatness,
        noise,
        leak,
        twins,
        dead,
        saturated,
        forgetting,
        slow_with_sgd,
        rash_with_sgd,
        slow_with_adam,
        unscaled_input,
        evadable,
        unreachable,
        unproven,
        unmoving,
        unskilled,
    )
}


def features(profile: Profile) -> dict[str, float | None]:
    """Every feature by name."""
    found = {name: feature(profile) for name, feature in FEATURES.items()}
    return {name: None if v is None or math.isnan(v) else min(v, MOST) for name, v in found.items()}


def _known(estimate: Estimate | None) -> float | None:
    return estimate.value if estimate is not None and estimate.is_known else None


def _is_small(profile: Profile) -> bool:
    """Whether the batch has too few samples to tell how they differ."""
    samples = _known(profile.network.get("samples"))
    return samples is not None and samples < FEW


def _largest(profile: Profile, quantity: str) -> float | None:
    found = [v for layer in trunk(profile) if (v := _known(layer.quantities.get(quantity))) is not None]
    return max(found, default=0.0) if profile.origin == "measured" else None
