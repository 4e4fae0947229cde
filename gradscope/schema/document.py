"""The JSON contract: which keys a document of schema_version 1 has. New ones may be added, none renamed.

JSON has no NaN and no infinity: both are null. An estimate whose value is one of them has the status "nonfinite" and
a key of that name that says which: "nan", "inf" or "-inf". A `low` or `high` that is null where `value` is a number
means that nothing bounds it on that side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from gradscope.schema.profile import Profile
    from gradscope.schema.remedy import Verification
    from gradscope.schema.report import Report


def document(report: Report) -> dict[str, Any]:
    """The JSON document of a report as plain data, its numbers still as Python has them."""
    subject, verdict, coverage = report.subject, report.verdict, report.coverage
    records = {
        "schema_version": report.schema_version,
        "gradscope_version": report.environment.gradscope,
        "subject": {
            "target": subject.target,
            "class": subject.class_name,
            "parameters": subject.parameters,
            "trainable_parameters": subject.trainable_parameters,
            "inputs": subject.inputs,
            "inputs_from": subject.inputs_from,
            "loss": subject.loss,
            "seed": subject.seed,
            "dtype": subject.dtype,
            "device": subject.device,
            "training": subject.training,
        },
        "environment": report.environment,
        "coverage": coverage,
        "verdict": verdict,
        **_profile_document(report.profile),
        "predicted": _profile_document(report.predicted) if report.measured and report.predicted else None,
        "findings": report.findings,
        "verifications": [_verification_document(v) for v in report.verifications],
        "recipe": report.recipe,
        "gaps": report.gaps,
        "seconds": report.seconds,
    }
    plain = msgspec.to_builtins(records)
    _name_nonfinite(plain)
    return plain


def _name_nonfinite(value: Any) -> None:
    """Add to every estimate without a finite value which value it has, at any depth."""
    if isinstance(value, dict):
        if value.get("status") == "nonfinite":
            value["nonfinite"] = str(value["value"])
        children = list(value.values())
    else:
        children = value if isinstance(value, list | tuple) else ()
    for child in children:
        _name_nonfinite(child)


def _profile_document(profile: Profile) -> dict[str, Any]:
    return {
        "origin": profile.origin,
        "network": profile.network,
        "density": profile.density,
        "layers": [
            {
                "name": layer.name,
                "kind": layer.node.kind,
                "op": layer.node.op,
                "call": layer.node.call,
                "block": layer.node.block,
                "source": layer.node.source,
                "shape": layer.node.shape,
                "dtype": layer.node.dtype,
                "inputs": [profile.layers[i].name for i in layer.node.inputs],
                "parameters": layer.node.parameters,
                "fan_in": layer.node.fan_in,
                "fan_out": layer.node.fan_out,
                "activation": layer.activation,
                "gradient": layer.gradient,
                "spectral_norm": layer.spectral_norm,
                "rms_gain": layer.rms_gain,
                "quantities": layer.quantities,
                "density": layer.density,
            }
            for layer in profile.layers
        ],
        "blocks": [
            {
                "name": b.block.name,
                "kind": b.block.kind,
                "entry": profile.layers[b.block.entry].name,
                "exit": profile.layers[b.block.exit].name,
                "spectral_norm": b.spectral_norm,
                "rms_gain": b.rms_gain,
            }
            for b in profile.blocks
        ],
        "parameters": profile.parameters,
        "attempts": profile.attempts,
    }


def _verification_document(verification: Verification) -> dict[str, Any]:
    prescription = verification.prescription
    return {
        "remedy": prescription.remedy,
        "resolves": prescription.resolves,
        "layers": prescription.layers,
        "code": prescription.code,
        "applicability": prescription.applicability,
        "rationale": prescription.rationale,
        "accepted": verification.accepted,
        "before": verification.before,
        "after": verification.after,
        "untouched": verification.untouched,
        "trial": verification.trial,
        "note": verification.note,
    }
