"""The stored features, the coefficients and the page belong together, and can be made again."""

from __future__ import annotations

import hashlib
from collections import Counter

import msgspec
import numpy as np
import pytest

from gradscope.diagnose._features import FEATURES
from gradscope.diagnose._risk import BASES, Model
from gradscope.diagnose._risk import model as shipped
from tests.corpus import load, split, store
from tests.corpus.config import configs
from tests.corpus.store import Row
from tests.scorecard import features, model, report
from tests.scorecard.extract import examine
from tests.scorecard.features import Sample, sample
from tests.scorecard.judged import judged
from tests.scorecard.metrics import auroc, calibration_error
from tests.scorecard.model import NEVER, NOT_FULLY

FAST = ("mlp-plain/tanh-default-depth10-digits", "healthy-but-stuck/shuffled-relu-digits-at0")


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return load()


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return features.load()


@pytest.fixture(scope="module")
def again(rows: list[Row], samples: list[Sample]) -> Model:
    return model.build(samples, rows)


def test_the_coefficients_are_those_of_the_stored_features_and_outcomes(again: Model, samples: list[Sample]) -> None:
    assert shipped().provenance == again.provenance
    assert again.provenance["outcomes"] == hashlib.sha256(store.OUTCOMES.read_bytes()).hexdigest()
    for basis in BASES:
        for theirs, ours in ((shipped().never, again.never), (shipped().not_fully, again.not_fully)):
            found = [
                [head.probability(s.features[basis]) for s in features.load()] for head in (theirs[basis], ours[basis])
            ]
            assert np.allclose(*found, atol=1e-4), basis


def test_every_trained_configuration_has_features(rows: list[Row], samples: list[Sample]) -> None:
    assert {s.key for s in samples} == {row.key for row in rows}
    assert all(set(s.features) == set(BASES) for s in samples)
    assert all(set(s.features[basis]) == set(FEATURES) for s in samples for basis in BASES)


@pytest.mark.parametrize("key", FAST)
def test_stored_features_are_those_of_the_configuration(key: str, samples: list[Sample]) -> None:
    stored = next(s for s in samples if s.key == key)
    found = sample(examine(configs()[key]))

    for basis in BASES:
        known = {name: value for name, value in stored.features[basis].items() if value is not None}
        assert {name for name, value in found.features[basis].items() if value is not None} == set(known)
        assert {name: found.features[basis][name] for name in known} == pytest.approx(known, rel=1e-2, abs=1e-2)


def test_nothing_that_is_judged_on_was_fitted_to(rows: list[Row]) -> None:
    fitted = {row.key for row in rows if split.role(row) == "fit"}
    by_role = Counter(split.role(row) for row in rows)

    assert shipped().provenance["models"] == str(len(fitted)) == str(by_role["fit"])


def test_the_verdict_beats_every_other_rule_on_what_was_set_aside(rows: list[Row], samples: list[Sample]) -> None:
    found = judged(samples, rows, shipped())
    never, worse = found.is_bad(NEVER), found.is_bad(NOT_FULLY)
    ours = auroc(found.never["batches"], never), auroc(found.risk["batches"], worse)
    theirs = {
        name: (auroc(scores, never), auroc(scores, worse))
        for name in found.samples[0].rules
        for scores in [np.array([s.rules[name][0] for s in found.samples])]
    }
    print(ours, theirs)

    assert ours[0] >= 0.96 and ours[1] >= 0.90
    assert all(ours[0] > a and ours[1] > b for a, b in theirs.values())


def test_the_page_says_what_the_stored_features_give(rows: list[Row], samples: list[Sample]) -> None:
    found = judged(samples, rows, shipped())
    areas = (
        auroc(found.never["batches"], found.is_bad(NEVER)),
        auroc(found.risk["batches"], found.is_bad(NOT_FULLY)),
        calibration_error(found.never["batches"], found.is_bad(NEVER)),
        calibration_error(found.risk["batches"], found.is_bad(NOT_FULLY)),
    )
    page = report.PAGE.read_text()

    assert f"about {len(found.samples)} models" in page
    assert all(f"{area:.3f} [" in page for area in areas), areas


def test_the_shipped_file_is_the_format_that_is_written(tmp_path) -> None:
    model.write(shipped(), tmp_path / "risk.json")

    assert msgspec.json.decode((tmp_path / "risk.json").read_bytes(), type=Model) == shipped()
    assert (tmp_path / "risk.json").read_bytes() == model.COEFFICIENTS.read_bytes()
