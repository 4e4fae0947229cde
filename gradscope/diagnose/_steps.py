"""What a first step would do to the weights, as features: how far too little or too much it moves them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradscope.config import Config
from gradscope.diagnose._lessons import MOST
from gradscope.diagnose._meant import small_scales
from gradscope.diagnose._signal import decades
from gradscope.schema import ParameterProfile, Profile

_SGD, _ADAM = 0.05, 4e-3  # learning rates that updates are told for
_EPSILON = 1e-8  # of Adam's denominator
_LEAST_UPDATE = -5.0  # decades: weights move by less than 1e-5 of their size in a step
_LARGEST_UPDATE = -1.0  # decades: a step changes a tenth of the weight
_NOTHING = 1e-3  # of the usual rms: such a weight starts at zero, or nearly so, on purpose


def slow_with_sgd(profile: Profile) -> float | None:
    """Decades by which the median weight matrix moves too little in a step of SGD."""
    ratios = _update_ratios(profile, lambda weight, gradient: _SGD * gradient / weight)
    return max(0.0, _LEAST_UPDATE - _median(ratios) - _meant(profile)) if ratios else None


def rash_with_sgd(profile: Profile) -> float | None:
    """Decades by which the weight matrix that moves most moves too much in a step of SGD.

    Those in front of a normalization may: their size does not matter, and grows until their steps are small.
    """
    ratios = _update_ratios(profile, lambda weight, gradient: _SGD * gradient / weight, left_out="norm")
    return max(0.0, max(ratios) - _LARGEST_UPDATE) if ratios else None


def slow_with_adam(profile: Profile) -> float | None:
    """Decades by which the median weight matrix moves too little in a step of Adam, whose denominator has a floor."""
    ratios = _update_ratios(profile, lambda weight, gradient: _ADAM * gradient / (gradient + _EPSILON) / weight)
    return max(0.0, _LEAST_UPDATE - _median(ratios) - _meant(profile)) if ratios else None


def _meant(profile: Profile) -> float:
    """Decades that the smallest scale of a branch takes from the gradients of its weights, on purpose."""
    return -decades(min(small_scales(profile, Config()).values(), default=1.0))


def _update_ratios(
    profile: Profile, update: Callable[[float, float], float], *, left_out: str | None = None
) -> list[float]:
    """log10 of update over weight for every matrix that a gradient reaches; Adam's first step is its learning rate.

    A gradient of exactly zero says nothing of steps: it lies behind a scale that starts at zero, as branches do, or
    behind units that are dead, which shows elsewhere. Nor does a weight that is as good as zero, as some gates start.

    Args:
        profile: its parameters.
        update: of a weight, from its rms and that of its gradient.
        left_out: what follows the weights that are left out.
    """
    pairs = [
        (_size(p), p.gradient_rms.value)
        for p in profile.parameters
        if p.trainable
        and sum(n > 1 for n in p.shape) > 1
        and p.rms.is_known
        and p.gradient_rms is not None
        and p.gradient_rms.is_known
        and p.rms.value > _NOTHING * _usual(p)
        and p.gradient_rms.value > 0
        and (left_out is None or p.use is None or p.use.follower != left_out)
    ]
    return [max(-2 * MOST, decades(update(size, gradient))) for size, gradient in pairs]


def _usual(parameter: ParameterProfile) -> float:
    """The rms that keeps the scale of a signal, 1 / sqrt(fan_in); zero of a weight that sums nothing."""
    return 0.0 if parameter.use is None or not parameter.use.fan_in else parameter.use.fan_in**-0.5


def _size(parameter: ParameterProfile) -> float:
    """The rms of a weight; of a head that starts small on purpose, that of one which does not."""
    is_head = parameter.use is not None and parameter.use.role in _HEADS
    return max(parameter.rms.value, _usual(parameter)) if is_head else parameter.rms.value


_HEADS = ("head", "unembedding", "tied")


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
