"""The network's Jacobian in one line."""

from dataclasses import replace

from gradscope.report import render
from gradscope.report._isometry import isometry
from gradscope.schema import Estimate
from tests.report import fixtures


def measured():
    report = fixtures.healthy()
    network = {
        **report.network,
        "jacobian_spectral_norm": Estimate(2.5, 2.4, 2.6, "lanczos"),
        "jacobian_stable_rank": Estimate.exact(12.0),
        "jacobian_log_spread": Estimate(0.7, 0.6, 0.8, "lanczos quadrature"),
    }
    return replace(report, measured=replace(report.profile, network=network))


def test_it_says_norm_rank_and_spread():
    words = isometry(measured())
    assert words is not None and all(part in words for part in ("2.5", "12", "0.7"))


def test_it_is_silent_where_nothing_was_measured():
    assert isometry(fixtures.broken()) is None


def test_terminal_and_page_show_it():
    for name in ("terminal", "html"):
        assert "spread of ln" in " ".join(render(measured(), name).split())
