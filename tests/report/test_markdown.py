"""The Markdown says the same as the terminal, and a layer's name cannot break its tables."""

from __future__ import annotations

from dataclasses import replace

from gradscope.report import render
from tests.report import fixtures


def test_the_verdict_is_the_heading() -> None:
    assert render(fixtures.sick(), "markdown").startswith("## Gradscope: vanishing, risk 0.97\n")


def test_every_finding_is_a_row_of_five_cells() -> None:
    rows = [line for line in render(fixtures.sick(), "markdown").splitlines() if line.startswith("| ") and "GS" in line]
    assert len(rows) == 3
    assert all(row.count("|") == 6 for row in rows)


def test_names_cannot_break_out_of_a_cell() -> None:
    finding = replace(fixtures.sick().findings[1], layers=("a|b`*<script>\n",))
    text = render(replace(fixtures.sick(), findings=(finding,)), "markdown")
    assert r"a\|b\`\*\<script\>" in text
    assert "<script>" not in text


def test_code_is_fenced_as_it_is() -> None:
    assert f"```python\n{fixtures.CODE}\n```" in render(fixtures.sick(), "markdown")


def test_a_fence_in_the_code_does_not_end_it() -> None:
    bad, good, _ = fixtures.sick().verifications
    code = "x = '''\n```\n'''"
    changed = replace(good, prescription=replace(good.prescription, code=code))
    text = render(replace(fixtures.sick(), verifications=(bad, changed)), "markdown")
    assert f"````python\n{code}\n````" in text


def test_a_healthy_model_has_neither_table_nor_code() -> None:
    text = render(fixtures.healthy(), "markdown")
    assert "| finding |" not in text
    assert "```" not in text
