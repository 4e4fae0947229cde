"""The JSON has the promised keys, is strict JSON, and loses no reason why a number is missing."""

from __future__ import annotations

import json

import pytest

from gradscope.report import render
from tests.report import fixtures

ESTIMATE = {"value", "low", "high", "method", "n", "status"}
KEYS = {
    "": {
        "schema_version",
        "gradscope_version",
        "subject",
        "coverage",
        "verdict",
        "network",
        "layers",
        "predicted",
        "findings",
        "verifications",
        "recipe",
        "gaps",
    },
    "subject": {
        "target",
        "class",
        "parameters",
        "trainable_parameters",
        "inputs",
        "loss",
        "seed",
        "dtype",
        "device",
    },
    "coverage": {"layers", "layers_with_spectral_norm", "parameters_reached", "capture"},
    "verdict": {"label", "risk", "reason"},
    "layers": {
        "name",
        "kind",
        "op",
        "call",
        "block",
        "source",
        "shape",
        "parameters",
        "activation",
        "gradient",
        "spectral_norm",
        "rms_gain",
        "quantities",
    },
    "findings": {"code", "name", "severity", "layers", "message", "evidence", "role"},
    "verifications": {
        "remedy",
        "resolves",
        "layers",
        "code",
        "applicability",
        "accepted",
        "before",
        "after",
        "trial",
        "note",
    },
    "gaps": {"layer", "reason"},
}


def document(report) -> dict:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(render(report, "json"), parse_constant=refuse)


@pytest.mark.parametrize("where", sorted(KEYS))
def test_the_keys_of_version_1_are_there(where: str) -> None:
    top = document(fixtures.sick())
    assert top["schema_version"] == "1"
    records = top if not where else top[where]
    for record in records if isinstance(records, list) else [records]:
        assert KEYS[where] <= record.keys()


def test_every_number_is_an_estimate_or_null() -> None:
    layer = document(fixtures.sick())["layers"][0]
    for number in (layer["spectral_norm"], layer["rms_gain"], *layer["activation"].values()):
        assert number.keys() == ESTIMATE


def test_a_number_that_is_not_finite_keeps_its_status() -> None:
    layers = document(fixtures.broken())["layers"]
    assert layers[1]["activation"]["variance"] == {
        "value": None,
        "low": None,
        "high": None,
        "method": "measured",
        "n": 1,
        "status": "nonfinite",
        "nonfinite": "nan",
    }
    assert layers[1]["gradient"]["variance"]["nonfinite"] == "inf"
    assert layers[4]["spectral_norm"]["status"] == "not-converged"
    assert layers[3]["activation"] is None


def test_layer_names_survive_as_they_are() -> None:
    names = [layer["name"] for layer in document(fixtures.broken())["layers"]]
    assert names == [layer.name for layer in fixtures.broken().layers]
