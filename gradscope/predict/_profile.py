"""Tables and gradients -> the Profile record."""

from __future__ import annotations

import math

from torch import nn

from gradscope.predict._bands import Bands, Fluctuation
from gradscope.predict._gaussian import grid
from gradscope.predict._layers import Layer, Layers
from gradscope.predict._loss import Seed
from gradscope.predict._table import Table, pair_average, point_average
from gradscope.predict._trace import Trace
from gradscope.schema import Coverage, Estimate, Gap, LayerNode, LayerProfile, Moments, ParameterProfile, Profile

METHOD = "mean-field"
FORWARD_CLOSURE = 0.02  # standard deviation of ln of what the Gaussian closure itself may be off, forward ...
BACKWARD_CLOSURE = 0.06  # ... and backward


def assemble(model: nn.Module, layers: Layers, trace: Trace, seed: Seed, outputs: tuple[int, ...]) -> Profile:
    """Everything that was predicted, as one record."""
    bands = Bands([layer.table for layer in layers.list if layer.table is not None])
    profiles = tuple(_layer(layer, bands) for layer in layers.list)
    parameters = _parameters(model, trace)
    reached = sum(math.prod(p.shape) for p in parameters if p.trainable and p.gradient_rms is not None)
    trainable = sum(math.prod(p.shape) for p in parameters if p.trainable)
    fallbacks = trace.fallbacks
    network = {
        "initial_loss": _known(seed.initial_loss),
        "expected_loss": _known(seed.expected_loss),
        "fallback_share": Estimate.exact(fallbacks.share, METHOD, fallbacks.calls),
    }
    return Profile(
        origin="predicted",
        layers=profiles,
        network=network,
        parameters=parameters,
        blocks=(),
        coverage=Coverage(
            layers=len(profiles),
            layers_with_spectral_norm=sum(1 for p in profiles if p.spectral_norm is not None),
            parameters_reached=reached / trainable if trainable else 0.0,
            capture=f"mean-field theory on the meta device, {fallbacks.share:.1%} of the operators without a rule",
        ),
        outputs=outputs,
        gaps=tuple(Gap(reason.split(":")[0], f"{reason} ({n} times)") for reason, n in fallbacks.reasons.items()),
    )


def _layer(layer: Layer, bands: Bands) -> LayerProfile:
    node = LayerNode(
        index=layer.index,
        name=layer.name,
        kind=layer.kind,
        op=layer.op,
        path=layer.path,
        call=layer.call,
        inputs=tuple(sorted(layer.inputs)),
        shape=layer.shape,
        dtype=layer.dtype,
        parameters=layer.parameters,
    )
    table = layer.table
    if table is None:
        return LayerProfile(node)
    return LayerProfile(node, _activation(table, bands), _gradient(table, bands))


def _activation(table: Table, bands: Bands) -> Moments:
    mean, second = table.average, table.second_moment
    spread = bands.activation(table)
    return Moments(
        mean=Estimate(mean, *_around(mean, table), METHOD),
        variance=_banded(max(0.0, second - mean * mean), spread, FORWARD_CLOSURE),
        second_moment=_banded(second, spread, FORWARD_CLOSURE),
        absolute_maximum=Estimate.unknown(METHOD),
        zero_fraction=_zero_fraction(table),
        nonfinite_fraction=Estimate.exact(0.0, METHOD),
    )


def _gradient(table: Table, bands: Bands) -> Moments | None:
    second = table.gradient_second_moment
    if second is None:
        return None
    estimate = _banded(second, bands.gradient(table), BACKWARD_CLOSURE)
    root = math.sqrt(estimate.high)
    return Moments(
        mean=Estimate(0.0, -root, root, METHOD),
        variance=estimate,
        second_moment=estimate,
        absolute_maximum=Estimate.unknown(METHOD),
        zero_fraction=Estimate.unknown(METHOD),
        nonfinite_fraction=Estimate.exact(0.0, METHOD),
    )


def _banded(wide: float, fluctuation: Fluctuation, closure: float) -> Estimate:
    """The typical value over initializations, and two standard deviations of its logarithm around it.

    Args:
        wide: the value at infinite width.
        fluctuation: of its logarithm at this width.
        closure: standard deviation of the logarithm that the theory itself leaves open.
    """
    if not math.isfinite(wide):
        return Estimate.exact(wide, METHOD)
    typical = wide * math.exp(fluctuation.shift)
    width = math.exp(min(2 * math.sqrt(fluctuation.total + closure**2), 600.0))
    return Estimate(typical, typical / width, typical * width, METHOD)


def _around(mean: float, table: Table) -> tuple[float, float]:
    """Two standard deviations of the average of all entries, from the average over all pairs."""
    deviation = math.sqrt(max(0.0, pair_average(table.second, table.axes) - mean**2))
    return mean - 2 * deviation, mean + 2 * deviation


def _zero_fraction(table: Table) -> Estimate:
    if table.lineage is None:
        return Estimate.exact(0.0 if table.second_moment else 1.0, METHOD)
    base = table.lineage.base
    is_zero = table.lineage.value == 0.0
    at_nodes = (is_zero[:, 1:] & is_zero[:, :-1]) @ grid()[1][1:]  # a single crossing has no measure
    return Estimate.exact(point_average(base.share @ at_nodes, base.table.axes), METHOD)


def _parameters(model: nn.Module, trace: Trace) -> tuple[ParameterProfile, ...]:
    out = []
    for name, parameter in model.named_parameters():
        drawn = trace.initial.find(parameter)
        table = trace.parameters.get(id(parameter))
        moment = table.gradient_second_moment if table is not None else None
        out.append(
            ParameterProfile(
                name=name,
                shape=tuple(parameter.shape),
                rms=Estimate.unknown("never initialized") if drawn is None else _known(math.sqrt(drawn.second_moment)),
                gradient_rms=None if moment is None else _known(math.sqrt(moment)),
                trainable=parameter.requires_grad,
            )
        )
    return tuple(out)


def _known(value: float) -> Estimate:
    return Estimate.unknown(METHOD) if math.isnan(value) else Estimate.exact(value, METHOD)
