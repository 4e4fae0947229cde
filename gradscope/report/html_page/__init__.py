"""The report as one HTML page that needs nothing else: no network, no scripts, light and dark."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from markupsafe import Markup

from gradscope.report import _words
from gradscope.report._density import COLUMNS, TITLE, densities, legend
from gradscope.report._format import output_format
from gradscope.report._look import Look
from gradscope.report._order import worst_first
from gradscope.report._scale import depth_layers, rms
from gradscope.report._spectra import spectra
from gradscope.report._theory import facts, predicted_layers
from gradscope.report.html_page._plot import HEIGHT, WIDTH, bars, curve, peak, plot
from gradscope.schema import Estimate, LayerProfile, Report

_TEMPLATE = Path(__file__).with_name("page.html.j2")


@output_format("html", suffix=".html")
def html_page(report: Report, look: Look) -> str:
    """Verdict, findings, depth profile with its table, remedies with code, every layer."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {
        "clean": look.clean,
        "number": _words.number,
        "estimate": _words.estimate,
        "brief": _words.brief,
        "share": _words.share,
        "duration": _words.duration,
        "value": _value,
        "words": lambda name: name.replace("_", " "),
        "maybe": _words.maybe,
        "some": _words.some,
        "risk": _words.risk,
        "conditions": _words.conditions,
        "rms": rms,
        "curve": curve,
        "peak": peak,
        "bars": bars,
        "method": _method,
    }
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        report=report,
        findings=worst_first(report.findings),
        codes=_codes(report),
        panels=_panels(report),
        accepted=[v for v in report.verifications if v.accepted],
        rejected=[v for v in report.verifications if not v.accepted],
        densities=densities(report),
        density_title=TITLE,
        density_legend=legend(densities(report)),
        columns=COLUMNS,
        theory=facts(report),
        spectra=spectra(report),
        twins=predicted_layers(report) if report.measured is not None else {},
        width=WIDTH,
        height=HEIGHT,
    )


def _panels(report: Report) -> list[dict[str, Any]]:
    layers = depth_layers(report.profile)
    culprits = {name for f in report.findings if f.role == "culprit" for name in f.layers}
    shown = {
        "activation rms": [rms(x.activation) for x in layers],
        "gradient rms": [rms(x.gradient) for x in layers],
        "rms gain of the Jacobian from the input": [_growth(x) for x in layers],
    }
    return [
        {"title": title, "plot": plot(scales), "scales": scales, "layers": layers, "culprits": culprits}
        for title, scales in shown.items()
        if any(scale is not None for scale in scales)
    ]


def _growth(layer: LayerProfile) -> float | None:
    found = layer.quantities.get("prefix_rms_gain")
    return found.value if found is not None and found.is_known else None


def _codes(report: Report) -> dict[str, list[str]]:
    """The codes that name each layer."""
    codes: dict[str, set[str]] = defaultdict(set)
    for finding in report.findings:
        for name in finding.layers:
            codes[name].add(finding.code)
    return {name: sorted(found) for name, found in codes.items()}


def _method(value: Estimate | None) -> str:
    """An attribute that tells how a number was computed where the pointer rests on it."""
    return Markup(' title="{}"').format(value.method) if value is not None else ""


def _value(value: Any) -> str:
    if isinstance(value, Estimate):
        return _words.estimate(value)
    return _words.number(value) if isinstance(value, float) else str(value)
