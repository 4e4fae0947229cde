"""Training a configuration gives the same row again, and each run ends when it should."""

from __future__ import annotations

from collections import Counter

from tests.corpus import store
from tests.corpus.config import FAMILIES, configs
from tests.corpus.schedule import balanced
from tests.corpus.train import LADDER, SEEDS, train


def test_training_is_reproducible() -> None:
    config = configs()["recipe/head-tanh-relu-digits"]
    first, again = (train(config, steps=100, longest=100) for _ in range(2))
    assert store.encode(first) == store.encode(again)
    assert len(first.runs) == len(SEEDS) * sum(map(len, LADDER.values()))
    assert max(run.steps for run in first.runs) == 100


def test_a_run_that_breaks_ends_and_the_others_go_on() -> None:
    row = train(configs()["recipe/targets-millionfold-relu-standardized-diabetes"], steps=100, longest=100)
    steps = {run.steps for run in row.runs if not run.is_finite}, {run.steps for run in row.runs if run.is_finite}
    assert steps == ({25}, {100}), steps


def test_every_beginning_of_the_schedule_is_balanced() -> None:
    found = configs()
    order = balanced(found)
    assert sorted(order) == sorted(found)
    half = Counter(found[key].family for key in order[: len(order) // 2])
    for family in FAMILIES.load():
        total = sum(config.family == family for config in found.values())
        assert abs(half[family] - total / 2) <= 1, (family, half[family], total)
