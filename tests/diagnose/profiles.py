"""Hand-made profiles: a chain of layers with given scales, without any model or torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gradscope.schema import Coverage, Estimate, LayerNode, LayerProfile, Moments, ParameterProfile, Profile

ELEMENTS = 100


def moments(rms: float, *, nonfinite: float = 0.0) -> Moments:
    e = Estimate.exact
    return Moments(
        mean=e(0.0),
        variance=e(rms**2),
        second_moment=e(rms**2, n=ELEMENTS),
        absolute_maximum=e(3 * rms),
        zero_fraction=e(0.0),
        nonfinite_fraction=e(nonfinite),
    )


def layer(
    index: int,
    *,
    op: str = "Linear",
    inputs: Sequence[int] | None = None,
    activation: float = 1.0,
    gradient: float | None = 1.0,
    kind: str = "module",
    quantities: dict[str, float] | None = None,
    rms_gain: float | None = None,
) -> LayerProfile:
    node = LayerNode(
        index=index,
        name=f"layer{index}" if kind != "input" else "input",
        kind=kind,  # pyright: ignore[reportArgumentType]
        op=op if kind != "input" else "input",
        path=f"layer{index}",
        call=0,
        inputs=tuple(inputs if inputs is not None else ([index - 1] if index else [])),
        shape=(10, 10),
        dtype="float32",
        source=f"model.py:{index + 1}",
    )
    return LayerProfile(
        node,
        moments(activation),
        None if gradient is None else moments(gradient),
        rms_gain=None if rms_gain is None else Estimate.exact(rms_gain),
        quantities={k: Estimate.exact(v) for k, v in (quantities or {}).items()},
    )


def profile(layers: Sequence[LayerProfile], **network: float) -> Profile:
    """The layers behind one input; the last is the output."""
    first = layer(0, kind="input")
    everything = (first, *layers)
    defaults = {"initial_loss": 2.3, "expected_loss": 2.3, "output_variation": 0.5}
    parameters = tuple(
        ParameterProfile(f"{x.name}.weight", (10, 10), Estimate.exact(0.1), Estimate.exact(0.1)) for x in layers
    )
    return Profile(
        origin="measured",
        layers=everything,
        network={k: Estimate.exact(v) for k, v in {**defaults, **network}.items()},
        parameters=parameters,
        blocks=(),
        coverage=Coverage(len(everything), len(layers), 1.0, "runtime tape"),
        outputs=(len(everything) - 1,),
    )


def chain(depth: int = 10, *, activation_gain: float = 1.0, gradient_gain: float = 1.0) -> Profile:
    """A plain network; `gradient_gain` is what the gradient's rms is multiplied with per layer, going back."""
    return profile(
        [
            layer(i, activation=activation_gain ** (i - 1), gradient=gradient_gain ** (depth - i))
            for i in range(1, depth + 1)
        ]
    )


def without_gradient(source: Profile, *, parameter: int) -> Profile:
    """The same profile, with no gradient at one parameter."""
    changed = list(source.parameters)
    changed[parameter] = replace(changed[parameter], gradient_rms=None)
    return replace(source, parameters=tuple(changed))
