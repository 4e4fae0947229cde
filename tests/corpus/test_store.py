"""The stored outcomes are complete and are those of the configurations."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.corpus import load, report, split, store, train
from tests.corpus.config import FAMILIES, configs
from tests.corpus.labels import LEARNED, REFERENCE, label, scale_of
from tests.corpus.store import Row, Run

ROW = Row("f", "n", "digits", "mse", "raw", "given", 4, 9, (Run("sgd", 0.1, 0, 50, (1.23456, None), (0.5, None)),))


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return load()


def test_saving_and_loading_keeps_four_digits_and_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    store.save([ROW], tmp_path / "a")
    [again] = load(tmp_path / "a")
    assert again.runs[0].loss == (1.235, None)
    store.save([again], tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_outcomes_are_those_of_the_configurations_in_balanced_shares(rows: list[Row]) -> None:
    found = configs()
    stored = {row.key for row in rows}
    assert stored <= set(found), stored - set(found)
    declared = Counter(config.family for config in found.values())
    trained = Counter(row.family for row in rows)
    shares = {family: trained[family] / declared[family] for family in declared}
    assert min(shares.values()) > 0.7, shares
    for row in rows:
        config = found[row.key]
        stored = (row.task, row.loss, row.inputs, row.targets, row.batch_size)
        assert stored == (config.task, config.loss, config.inputs, config.targets, config.batch_size), row.key


def test_every_recipe_was_run_with_every_seed(rows: list[Row]) -> None:
    expected = {(name, rate, seed) for name, rates in train.LADDER.items() for rate in rates for seed in train.SEEDS}
    for row in rows:
        assert {(run.optimizer, run.learning_rate, run.seed) for run in row.runs} == expected, row.key


def test_a_run_ends_early_only_where_it_learned_or_broke(rows: list[Row]) -> None:
    for row in rows:
        scale = scale_of(row)
        for run in row.runs:
            learned = [e is not None and scale.score(e) < LEARNED + 1e-3 for e in run.error[-2:]]  # errors are rounded
            assert run.steps >= train.OUTDONE or not run.is_finite or learned == [True, True], (row.key, run)


def test_the_outcomes_hold_every_label_in_what_is_fitted_and_in_what_is_judged(rows: list[Row]) -> None:
    counts = Counter((split.role(row), label(row).outcome) for row in rows)
    assert all(
        counts[role, outcome] >= 20 for role in ("fit", "judge") for outcome in ("trains", "degraded", "never")
    ), counts


def test_the_reference_error_is_what_some_reference_model_reaches(rows: list[Row]) -> None:
    declared = Counter(config.task for config in configs().values() if config.family == "reference")
    for name, expected in REFERENCE.items():
        reached = [label(row).score for row in rows if row.family == "reference" and row.task == name]
        assert len(reached) < declared[name] or min(reached) < 0.25, (name, expected, reached)


def test_the_file_is_small() -> None:
    assert store.OUTCOMES.stat().st_size < 5_000_000


def test_every_family_has_a_role() -> None:
    assert set(FAMILIES.load()) == split.FITTED | split.JUDGED | split.SCALE
    assert {split.role(config) for config in configs().values()} == {"fit", "judge", "scale"}


def test_the_report_is_that_of_the_stored_outcomes(rows: list[Row]) -> None:
    assert report.REPORT.read_text() == report.render(rows)
