"""A remedy shows what it did, and code that can be copied."""

from __future__ import annotations

import re
import textwrap
from dataclasses import replace

import pytest

from gradscope.report import render
from tests.report import fixtures


@pytest.mark.parametrize("width", [60, 120])
@pytest.mark.parametrize("color", [False, True])
def test_the_code_is_printed_whole(width: int, color: bool) -> None:
    text = re.sub(r"\x1b\[[\d;]*m", "", render(fixtures.sick(), "terminal", width=width, color=color))
    lines = [line.rstrip() for line in text.splitlines()]
    start = lines.index("    " + fixtures.CODE.splitlines()[0])
    assert textwrap.dedent("\n".join(lines[start : start + 4])) == fixtures.CODE


def test_before_after_and_both_losses_are_shown() -> None:
    text = render(fixtures.sick(), "terminal")
    assert re.search(r"gradient gain +3e-8 → 0\.83", text)
    assert re.search(r"loss, untouched +█+  2\.303 → 2\.301", text)
    assert re.search(r"loss, with this +█.*▂  2\.303 → 0\.41", text)
    assert re.search(r"findings +GS201 1 → 0, GS103 1 → 0", text)
    assert "40 steps, 3 seeds, best of 2 learning rates; 3 of 3 seeds train" in " ".join(text.split())


def test_only_the_best_remedy_is_shown_in_full() -> None:
    text = render(fixtures.sick(), "terminal")
    assert re.search(r"xavier-init +2\.303 → 1\.07  SGD, rate 0\.1", text)
    assert "xavier()" not in text


def test_what_did_not_help_is_named_with_its_reason_and_without_code() -> None:
    text = render(fixtures.sick(), "terminal")
    assert re.search(r"Not recommended ─+\n  clip-threshold\n    the loss did not fall", text)
    assert "clip(1.0)" not in text


def test_one_reason_against_several_remedies_is_said_once() -> None:
    bad, *_ = fixtures.sick().verifications
    also = replace(bad, prescription=replace(bad.prescription, remedy="residual-scaling"))
    text = render(replace(fixtures.sick(), verifications=(bad, also)), "terminal")
    assert re.search(r"\n  clip-threshold, residual-scaling\n    the loss did not fall", text)
    assert text.count("the loss did not fall") == 1


def test_a_loss_that_blew_up_is_no_bar() -> None:
    bad, good, _ = fixtures.sick().verifications
    assert good.trial is not None
    blown = replace(good, trial=replace(good.trial, curve=(2.3, float("inf"), float("nan"))))
    text = render(replace(fixtures.sick(), verifications=(bad, blown)), "terminal")
    assert re.search(r"with this +█××", text)
