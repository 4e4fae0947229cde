"""What is known of one parameter: how it was drawn, what it is for, what the model's code declares for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gradscope.schema.estimate import Estimate

ParameterRole = Literal[
    "matrix", "residual", "head", "unembedding", "tied", "embedding", "router", "recurrent", "norm", "bias", "other"
]


@dataclass(frozen=True, slots=True)
class Draw:
    """How the elements of one parameter lie: what its initializer left behind.

    A unit is what one output of a weight sums over: a row of a matrix, the filter of a channel, a looked-up vector.
    Shares of units are unknown where a parameter has none.

    Attributes:
        mean: of the elements.
        std: about that mean.
        kurtosis: fourth central moment over the squared variance: 3 for a normal draw, 1.8 for a uniform one.
        absolute_maximum: largest magnitude; infinite where an element is.
        zero_fraction: share of elements that are exactly zero.
        octaves: standard deviation of log2 of the magnitudes; 1.6 for a normal draw.
        constant_units: share of the units whose elements are all the same number, zero included.
        zero_units: share of the units whose elements are all zero.
        duplicate_units: share of the units that equal another one, bit for bit.
        padding_rms: root mean square of the row that stands for padding; None where there is none.
    """

    mean: Estimate
    std: Estimate
    kurtosis: Estimate
    absolute_maximum: Estimate
    zero_fraction: Estimate
    octaves: Estimate
    constant_units: Estimate
    zero_units: Estimate
    duplicate_units: Estimate
    padding_rms: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Declaration:
    """The standard deviation that the model's own code declares for a parameter, by where it says so.

    Attributes:
        by_name: what it draws parameters of this name with, be that line ever reached or not.
        by_initializer: what its initializer leaves when it runs over the modules again.
        by_default: what the module's own `reset_parameters` leaves.
    """

    by_name: Estimate | None = None
    by_initializer: Estimate | None = None
    by_default: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """What a parameter is for, read off the graph.

    Attributes:
        role: "matrix" is any weight that sums over its inputs and is none of the more special kinds; "residual" the
            last weight of a residual branch; "head" the last weight before an output, "unembedding" one as wide as
            a vocabulary, "tied" one that looks vectors up as well.
        layer: name of the first layer that uses it.
        fan_in: terms of the sum that one output is; None where it does not sum.
        fan_out: outputs that one input feeds; None where it does not sum.
        follower: what comes next, rearrangements and dropout left out: an activation, "norm", "add", "output" or an op.
        gain: E[f(z)^2]^(-1/2) of the activation that follows, which keeps unit variance; None where none does.
        is_fed_zero: whether all that enters the layer is exactly zero.
    """

    role: ParameterRole
    layer: str
    fan_in: int | None = None
    fan_out: int | None = None
    follower: str = ""
    gain: float | None = None
    is_fed_zero: bool = False


@dataclass(frozen=True, slots=True)
class ParameterProfile:
    """One parameter: how it was drawn, what it is for, and the gradient that reached it (None: none did)."""

    name: str
    shape: tuple[int, ...]
    rms: Estimate
    gradient_rms: Estimate | None
    trainable: bool = True
    draw: Draw | None = None  # None of a parameter whose memory cannot be read as real numbers
    use: Use | None = None  # None of a parameter that no layer uses
    declaration: Declaration = Declaration()
    copy_of: str | None = None  # an earlier parameter with the same random elements
