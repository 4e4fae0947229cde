"""Jacobians in a few lines."""

from dataclasses import replace

import pytest

from gradscope.report import render
from gradscope.report._spectra import spectra
from gradscope.schema import Block, BlockProfile, Estimate, Report
from tests.report import fixtures
from tests.report.densities import ISOMETRY


def measured(*norms: Estimate) -> Report:
    """Of two blocks; the layers have these spectral norms."""
    report = fixtures.healthy()
    assert report.measured is not None
    network = {
        **report.network,
        "jacobian_spectral_norm": Estimate(2.5, 2.4, 2.6, "lanczos"),
        "jacobian_rms_gain": Estimate(0.5, 0.4, 0.6, "hutchinson"),
        "jacobian_stable_rank": Estimate.exact(12.0),
        "jacobian_log_spread": Estimate(0.7, 0.6, 0.8, "lanczos quadrature"),
        "jacobian_samples": Estimate.exact(2.0),
    }
    blocks = tuple(
        BlockProfile(Block(f"b{i}", "residual", 0, 1, (1,)), Estimate(v, v, 2 * v, "lanczos"), Estimate.exact(1.0))
        for i, v in enumerate((3.0, 1.5))
    )
    layers = tuple(
        replace(x, spectral_norm=e, quantities={"prefix_rms_gain": Estimate(i + 1.0, 0.1, 9.0, "hutchinson", 2)})
        for i, (x, e) in enumerate(zip(report.layers, norms, strict=False))
    )
    return replace(report, measured=replace(report.measured, network=network, blocks=blocks, layers=layers))


EXACT, WIDE = Estimate.exact(1.0), Estimate(2.0, 1.9, 3.0, "lanczos (jvp)")
CLOSED, COUPLED = Estimate(2.0, 1.995, 2.005, "lanczos"), Estimate.exact(4.0, "exact (whole batch)")


def test_the_network_has_intervals_and_says_on_how_many_samples() -> None:
    words = dict(spectra(measured(EXACT)))["Jacobian"]
    assert words == (
        "largest singular value 2.5 [2.4, 2.6], rms gain 0.5 [0.4, 0.6], stable rank 12, "
        "spread of ln σ 0.7 [0.6, 0.8] (0: all lengths alike); on 2 samples"
    )


def test_a_density_that_was_asked_for_has_the_last_word_on_the_spread() -> None:
    report = measured(EXACT)
    assert report.measured is not None
    asked = replace(report, measured=replace(report.measured, density=ISOMETRY))
    assert "spread of ln σ 0 (0:" in dict(spectra(asked))["Jacobian"]


def test_growth_and_blocks_name_their_ends() -> None:
    words = dict(spectra(measured(EXACT, EXACT, EXACT)))
    first, *_, last = (x.label for x in measured(EXACT, EXACT, EXACT).layers)
    assert words["growth"] == f"rms gain from the input 1 to {first}, 3 to {last}, by 2 random vectors"
    assert words["blocks"] == "largest singular values of 2 blocks: 1.5 [1.5, 3] at b1 to 3 [3, 6] at b0"


def test_growth_says_how_far_it_could_be_followed() -> None:
    report = measured(EXACT, EXACT, EXACT)
    assert report.measured is not None
    *layers, last = report.measured.layers
    lost = replace(last, quantities={"prefix_rms_gain": Estimate.unknown("no tangent: a new mask")})
    cut = replace(report, measured=replace(report.measured, layers=(*layers, lost)))
    assert dict(spectra(cut))["growth"].endswith("by 2 random vectors; behind that no tangent: a new mask")


@pytest.mark.parametrize(
    ("norms", "words"),
    [
        ((EXACT, EXACT), "2 of 2 layers exact"),
        ((EXACT, CLOSED), "1 of 2 layers exact; certified to 0.501 %: no interval is wider"),
        ((EXACT, COUPLED), "2 of 2 layers exact; 1 layer with batch statistics, each as one map of the whole batch"),
    ],
)
def test_it_says_how_sure_the_layers_norms_are(norms: tuple[Estimate, ...], words: str) -> None:
    assert dict(spectra(measured(*norms)))["spectral norms"] == words


def test_the_least_sure_layer_is_named_with_its_method() -> None:
    report = measured(EXACT, CLOSED, WIDE)
    words = dict(spectra(report))["spectral norms"]
    assert words == f"1 of 3 layers exact; widest interval 2 [1.9, 3] at {report.layers[2].label}, by lanczos (jvp)"


def test_it_is_silent_where_nothing_was_measured() -> None:
    report = fixtures.healthy()
    assert report.measured is not None
    layers = tuple(replace(x, spectral_norm=None) for x in report.layers)
    assert spectra(replace(report, measured=replace(report.measured, network={}, blocks=(), layers=layers))) == []


@pytest.mark.parametrize("format", ["terminal", "html", "markdown"])
def test_every_format_for_people_shows_it(format: str) -> None:
    text = " ".join(render(measured(EXACT, CLOSED), format, width=120).split())
    assert "spread of ln" in text
    assert "at b1 to" in text


def test_the_page_has_methods_blocks_and_growth() -> None:
    page = render(measured(EXACT, WIDE, EXACT), "html")
    assert 'title="lanczos (jvp)"' in page
    assert "rms gain of the Jacobian from the input" in page
    assert "<td>b0</td>" in page
    assert "rms gain of the Jacobian from the input" not in render(fixtures.healthy(), "html")
