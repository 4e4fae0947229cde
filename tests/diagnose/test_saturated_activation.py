"""Outputs at their bounds."""

from gradscope.config import Config
from gradscope.diagnose.saturated_activation import saturated_activation
from tests.diagnose.profiles import layer, profile


def test_fires_above_the_threshold_only() -> None:
    sick = profile([layer(1, op="Tanh", quantities={"saturated_fraction": 0.8})])
    well = profile([layer(1, op="Tanh", quantities={"saturated_fraction": 0.2})])

    assert [f.layers for f in saturated_activation(sick, Config())] == [("layer1",)]
    assert not list(saturated_activation(well, Config()))
