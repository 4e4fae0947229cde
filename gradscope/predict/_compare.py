"""Measured beside predicted: how far apart every second moment is, as quantities of the measured profile."""

from __future__ import annotations

import math
from dataclasses import replace

from gradscope.schema import Estimate, LayerProfile, Moments, Profile

METHOD = "measured / predicted"


def compared(measured: Profile, predicted: Profile) -> Profile:
    """The measured profile with log2(measured / predicted) of each layer's second moments, and its interval.

    Layers are matched by name and call. The interval is that of the prediction: it holds 0 where the measured value
    lies inside the predicted band. A moment that is zero on either side is not compared.
    """
    known = {(layer.name, layer.node.call): layer for layer in predicted.layers}
    layers = tuple(_compared(layer, known.get((layer.name, layer.node.call))) for layer in measured.layers)
    share = predicted.network["fallback_share"]
    matched = sum(a is not b for a, b in zip(layers, measured.layers, strict=True)) / max(1, len(layers))
    beside = {"predicted_layers": Estimate.exact(matched, METHOD), "prediction_fallback_share": share}
    network = {**measured.network, **beside}
    return replace(measured, layers=layers, network=network)


def _compared(layer: LayerProfile, twin: LayerProfile | None) -> LayerProfile:
    if twin is None or twin.node.shape != layer.node.shape:
        return layer
    pairs = {"activation": (layer.activation, twin.activation), "gradient": (layer.gradient, twin.gradient)}
    found = {f"{what}_surprise": bits for what, pair in pairs.items() if (bits := _bits(*pair)) is not None}
    return replace(layer, quantities={**layer.quantities, **found}) if found else layer


def _bits(measured: Moments | None, predicted: Moments | None) -> Estimate | None:
    if measured is None or predicted is None:
        return None
    real, theory = measured.second_moment, predicted.second_moment
    if not (real.is_known and theory.is_known) or min(real.value, theory.value, theory.low) <= 0:
        return None
    value, low, high = (math.log2(real.value / t) for t in (theory.value, theory.high, theory.low))
    return Estimate(value, low, high, METHOD, real.n) if math.isfinite(low) else None
