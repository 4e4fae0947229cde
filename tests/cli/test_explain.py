"""`gradscope explain` prints the docstring of a diagnostic."""

from __future__ import annotations

import pytest

from gradscope.diagnose import DIAGNOSTICS


@pytest.mark.parametrize("word", ["GS201", "gs201", "vanishing-gradient"])
def test_a_diagnostic_is_found_by_code_and_by_name(invoke, word: str) -> None:
    result = invoke("explain", word)
    assert result.status == 0
    assert result.out == f"# GS201 vanishing-gradient\n\n{DIAGNOSTICS['vanishing-gradient'].doc}\n"


def test_the_beginning_of_a_code_explains_the_group(invoke) -> None:
    out = invoke("explain", "GS2").out
    assert out.index("# GS201") < out.index("# GS202")


def test_an_unknown_code_is_one_sentence_and_status_2(invoke) -> None:
    result = invoke("explain", "GS777")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("gradscope: No diagnostic 'GS777'")
    assert "Traceback" not in result.err
