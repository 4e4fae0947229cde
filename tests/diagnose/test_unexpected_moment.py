"""Measured second moments against the predicted band."""

from dataclasses import replace

from gradscope.config import Config
from gradscope.diagnose.unexpected_moment import unexpected_moment
from gradscope.schema import Estimate, Profile
from tests.diagnose.profiles import chain


def surprised(bits: list[float], *, guessed: float = 0.0) -> Profile:
    """A chain whose activations lie so many bits from theory, with a band of one bit either way."""
    base = chain(len(bits))
    network = {**base.network, "prediction_fallback_share": Estimate.exact(guessed)}
    layers = tuple(
        replace(x, quantities={"activation_surprise": Estimate(b, b - 1, b + 1, "test")})
        for x, b in zip(base.layers[1:], bits, strict=True)
    )
    return replace(base, layers=(base.layers[0], *layers), network=network)


def test_fires_where_the_departure_begins() -> None:
    (finding,) = unexpected_moment(surprised([0.2, 0.3, 6.0, 6.5]), Config())

    assert finding.severity == "info"
    assert finding.layers == ("layer3",)
    assert "larger" in finding.message


def test_silent_inside_the_band_and_a_little_beyond() -> None:
    assert not list(unexpected_moment(surprised([0.5, -0.9, 1.8, -1.9]), Config()))


def test_a_guessed_operator_excuses_everything() -> None:
    assert not list(unexpected_moment(surprised([9.0, 9.0], guessed=0.1), Config()))
