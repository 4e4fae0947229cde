"""The recipe names every setting; its code stands apart and can be copied."""

from __future__ import annotations

import re
from dataclasses import replace

from gradscope.report import render
from tests.report import fixtures


def section(report) -> str:
    text = render(report, "terminal")
    return text[text.index("\nRecipe ") : text.index("How this was measured")]


def test_a_setting_is_a_row_and_its_code_a_line_of_its_own() -> None:
    text = section(fixtures.sick())
    assert re.search(r"clip +max norm 1\.2 · clipped 0\.04\n", text)
    assert re.search(r"learning rate +value 0\.1 · for SGD\n", text)
    assert "\n    clip_grad_norm_(model.parameters(), 1.2)\n" in text


def test_without_settings_there_is_no_section() -> None:
    assert "Recipe" not in render(replace(fixtures.sick(), recipe={}), "terminal")
