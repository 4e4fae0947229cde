"""Units that never fire."""

from gradscope.config import Config
from gradscope.diagnose.dead_relu import dead_relu
from tests.diagnose.profiles import layer, profile


def severities(share: float) -> list[str]:
    return [
        f.severity for f in dead_relu(profile([layer(1, op="ReLU", quantities={"dead_fraction": share})]), Config())
    ]


def test_severity_follows_the_share() -> None:
    assert severities(0.95) == ["error"]
    assert severities(0.6) == ["warning"]
    assert severities(0.5) == []


def test_a_layer_without_the_quantity_is_not_applicable() -> None:
    assert not list(dead_relu(profile([layer(1, op="GELU")]), Config()))
