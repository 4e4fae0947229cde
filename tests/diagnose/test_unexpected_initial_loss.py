"""The first loss against ln K."""

import math

from gradscope.config import Config
from gradscope.diagnose.unexpected_initial_loss import unexpected_initial_loss
from gradscope.schema import Estimate
from tests.diagnose.profiles import chain


def severities(initial: float, expected: float) -> list[str]:
    source = chain(3)
    source.network.update(initial_loss=Estimate.exact(initial), expected_loss=Estimate.exact(expected))
    return [f.severity for f in unexpected_initial_loss(source, Config())]


def test_severity_follows_the_ratio() -> None:
    assert severities(2.4, 2.3) == []
    assert severities(9.2, 2.3) == ["warning"]
    assert severities(2300.0, 2.3) == ["error"]


def test_an_unknown_or_infinite_loss_is_not_compared() -> None:
    assert severities(math.inf, 2.3) == []
    assert severities(5.0, math.nan) == []
