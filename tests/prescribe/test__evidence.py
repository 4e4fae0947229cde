"""A finding is milder when it weighs half: less severe, nearer to its threshold, or at fewer layers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradscope.prescribe._evidence import burden, is_milder, summary
from gradscope.schema import Prescription, Threshold
from tests.prescribe.cases import finding

LIMIT = Threshold(2.0, "decades", "test")
REMEDY = Prescription("some-remedy", ("GS201", "GS302"), (), "", "safe", "")
SEVERE = replace(finding("GS201", "error", decades=8.0), threshold=LIMIT)
MILD = replace(finding("GS201", "warning", decades=2.1), threshold=LIMIT)
STILL = replace(finding("GS201", "error", decades=7.9), threshold=LIMIT)
SIDE = finding("GS302", "warning")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([SEVERE], [], True),
        ([SEVERE], [MILD], True),
        ([SEVERE], [STILL], False),
        ([MILD], [MILD], False),
        ([SIDE] * 4, [SIDE] * 2, True),
        ([SIDE] * 4, [SIDE] * 3, False),
        ([SEVERE, *[SIDE] * 9], [*[SIDE] * 9], True),  # the severe one decides
        ([SEVERE], [finding("GS102", "error")], True),  # another failure, which the trial will judge
        ([finding("GS102")], [], False),  # nothing it is for was found
    ],
)
def test_gone_or_milder(before, after, expected: bool) -> None:
    assert is_milder(REMEDY, before, after) is expected


def test_a_value_far_below_its_threshold_weighs_as_one_far_above() -> None:
    above, below = (replace(finding("GS302", "warning", gain=v), threshold=LIMIT) for v in (8.0, 0.5))
    assert burden([above]) == pytest.approx(burden([below]))


def test_information_weighs_nothing() -> None:
    assert burden([finding("GS901", "info")]) == 0


def test_the_summary_counts() -> None:
    assert summary([SIDE, SIDE, SEVERE, finding("GS901", "info")]) == "GS302 some-failure (2), GS201 some-failure"
