"""The depth profile follows the trunk, and a scale that is not known stays unknown."""

from __future__ import annotations

import math
from dataclasses import replace

from gradscope.report._scale import depth_layers, rms
from gradscope.schema import Block, BlockProfile, Estimate
from tests.report import fixtures


def names(profile) -> list[str]:
    return [layer.name for layer in depth_layers(profile)]


def test_layers_that_sum_nothing_are_left_out_where_enough_do() -> None:
    profile = fixtures.sick(5).profile
    relu = fixtures.layer(5, "act", activation=1.0, gradient=1.0, op="ReLU")
    assert names(replace(profile, layers=(*profile.layers, relu))) == [x.name for x in profile.layers]


def test_branches_are_left_out_where_the_trunk_is_long_enough() -> None:
    profile = fixtures.sick(8).profile
    block = BlockProfile(Block("layers.6", "residual", entry=1, exit=3, nodes=(2, 3)))
    assert "layers.4" in names(profile)
    assert "layers.4" not in names(replace(profile, blocks=(block,)))
    assert "layers.6" in names(replace(profile, blocks=(block,)))


def test_a_short_trunk_takes_the_branches_in() -> None:
    profile = fixtures.sick(5).profile
    block = BlockProfile(Block("layers.6", "residual", entry=0, exit=3, nodes=(1, 2, 3)))
    assert len(names(replace(profile, blocks=(block,)))) == 5


def test_few_layers_are_all_shown_but_the_input() -> None:
    profile = fixtures.sick(2).profile
    source = replace(profile.layers[0], node=replace(profile.layers[0].node, kind="input", name="input", fan_in=None))
    assert names(replace(profile, layers=(source, *profile.layers[1:]))) == ["layers.2"]


def test_a_scale_is_the_root_of_the_second_moment() -> None:
    assert rms(fixtures.moments(3.0)) == 3.0
    assert rms(fixtures.moments(math.inf)) == math.inf
    assert math.isnan(rms(fixtures.moments(math.nan)) or 0.0)
    assert rms(None) is None
    unknown = Estimate.unknown("measured", "not-converged")
    assert rms(replace(fixtures.moments(1.0), second_moment=unknown)) is None
