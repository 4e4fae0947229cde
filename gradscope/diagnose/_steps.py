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


def slow_with_sgd(profile: Profile) -> float | None:
    """Decades by which the median weight matrix moves too little in a step of SGD."""
    ratios = _update_ratios(profile, lambda weight, gradient: _SGD * gradient / weight)
    return max(0.0, _LEAST_UPDATE - _median(ratios) - _meant(profile)) if ratios else None


def rash_with_sgd(profile: Profile) -> float | None:
    """Decades by which the weight matrix that moves most moves too much in a step of SGD."""
    ratios = _update_ratios(profile, lambda weight, gradient: _SGD * gradient / weight)
    return max(0.0, max(ratios) - _LARGEST_UPDATE) if ratios else None


def slow_with_adam(profile: Profile) -> float | None:
    """Decades by which the median weight matrix moves too little in a step of Adam, whose denominator has a floor."""
    ratios = _update_ratios(profile, lambda weight, gradient: _ADAM * gradient / (gradient + _EPSILON) / weight)
    return max(0.0, _LEAST_UPDATE - _median(ratios) - _meant(profile)) if ratios else None


def _meant(profile: Profile) -> float:
    """Decades that the smallest scale of a branch takes from the gradients of its weights, on purpose."""
    return -decades(min(small_scales(profile, Config()).values(), default=1.0))


def _update_ratios(profile: Profile, update: Callable[[float, float], float]) -> list[float]:
    """log10 of update over weight for every matrix that a gradient reaches; Adam's first step is its learning rate.

    A gradient of exactly zero says nothing of steps: it lies behind a scale that starts at zero, as branches do, or
    behind units that are dead, which shows elsewhere.
    """
    pairs = [
        (_size(p), p.gradient_rms.value)
        for p in profile.parameters
        if p.trainable
        and sum(n > 1 for n in p.shape) > 1
        and p.rms.is_known
        and p.gradient_rms is not None
        and p.gradient_rms.is_known
        and p.rms.value > 0
        and p.gradient_rms.value > 0
    ]
    return [max(-2 * MOST, decades(update(size, gradient))) for size, gradient in pairs]


def _size(parameter: ParameterProfile) -> float:
    """The rms of a weight; of a head that starts small on purpose, that of one which does not."""
    use = parameter.use
    if use is None or use.role not in _HEADS or not use.fan_in:
        return parameter.rms.value
    return max(parameter.rms.value, use.fan_in**-0.5)


_HEADS = ("head", "unembedding", "tied")


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
