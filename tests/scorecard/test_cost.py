"""A verdict takes no more passes through the model than it may."""

import pytest

from tests.corpus.config import configs
from tests.scorecard.cost import COUNTED, cost


@pytest.mark.parametrize("key", COUNTED)
def test_a_verdict_costs_three_passes_at_rest_and_forty_of_trial_steps(key: str) -> None:
    rest, trial = cost(configs()[key])

    assert 0 <= rest.forward <= 3 and 1 <= rest.backward <= 3, rest
    assert trial.forward == trial.backward <= 40, trial
