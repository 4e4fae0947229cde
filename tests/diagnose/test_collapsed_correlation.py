"""Samples that have become the same."""

from gradscope.config import Config
from gradscope.diagnose.collapsed_correlation import collapsed_correlation
from tests.diagnose.profiles import layer, profile


def test_fires_and_names_the_first_layer() -> None:
    path = [layer(i, quantities={"sample_cosine": 1 - 3 * 10.0**-i}) for i in range(1, 8)]
    (finding,) = collapsed_correlation(profile(path), Config())

    assert finding.layers == ("layer5",)


def test_silent_when_samples_differ_or_nothing_is_known() -> None:
    path = [layer(i, quantities={"sample_cosine": 0.99}) for i in range(1, 8)]

    assert not list(collapsed_correlation(profile(path), Config()))
    assert not list(collapsed_correlation(profile([layer(1), layer(2)]), Config()))
