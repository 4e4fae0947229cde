"""The recipe that trial steps are taken with."""

from dataclasses import replace

import pytest
from torch import nn

import gradscope
from gradscope.config import Config
from gradscope.pipeline import Options
from gradscope.schema import GradscopeError
from tests.subjects import classifier, random


@pytest.mark.parametrize(
    ("recipe", "tried"),
    [(None, None), ("sgd", "sgd"), ("SGD", "sgd"), ("adam", "adam"), ("AdamW", "adam"), ("lion", None)],
)
def test_an_optimizer_is_tried_as_what_it_is_a_kind_of(recipe: str | None, tried: str | None) -> None:
    assert Options(replace(Config(), optimizer=recipe)).tried_optimizer == tried


def test_an_optimizer_that_the_project_names_takes_the_trial_steps() -> None:
    config = replace(Config(), optimizer="adamw")
    report = gradscope.analyze(classifier(2, nn.ReLU, width=64), random(16, 64), prescribe=False, config=config)

    assert {attempt.optimizer for attempt in report.profile.attempts} == {"adam"}
    assert "trial steps" not in {gap.layer for gap in report.gaps}


@pytest.mark.parametrize("patterns", [{"select": ("GS999",)}, {"ignore": ("no-such",)}])
def test_options_name_diagnostics_that_exist(patterns: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(GradscopeError, match="No diagnostic"):
        Options(Config(), **patterns)
