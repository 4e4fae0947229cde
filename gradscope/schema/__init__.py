"""The frozen records that flow between the stages; they import nothing of ours and no torch.

    Subject -> LayerGraph -> Profile -> Finding -> Prescription -> Verification -> Report

`Subject`, `LayerCall` and `LayerGraph` carry live tensors; everything from `LayerProfile` on is plain
data that survives a round trip through msgspec.
"""

from gradscope.schema.density import Density
from gradscope.schema.error import GradscopeError
from gradscope.schema.estimate import Estimate, Moments, Status, Threshold
from gradscope.schema.graph import Block, Gap, LayerCall, LayerGraph, LayerNode, Run
from gradscope.schema.judgement import SEVERITIES, Finding, Label, Role, Severity, Verdict
from gradscope.schema.parameter import Declaration, Draw, ParameterProfile, ParameterRole, Use
from gradscope.schema.profile import Attempt, BlockProfile, Coverage, LayerProfile, Origin, Profile
from gradscope.schema.remedy import Applicability, Prescription, Trial, Verification
from gradscope.schema.report import SCHEMA_VERSION, Environment, Report
from gradscope.schema.subject import Subject, SubjectInfo

__all__ = [
    "SCHEMA_VERSION",
    "SEVERITIES",
    "Applicability",
    "Attempt",
    "Block",
    "BlockProfile",
    "Coverage",
    "Declaration",
    "Density",
    "Draw",
    "Environment",
    "Estimate",
    "Finding",
    "Gap",
    "GradscopeError",
    "Label",
    "LayerCall",
    "LayerGraph",
    "LayerNode",
    "LayerProfile",
    "Moments",
    "Origin",
    "ParameterProfile",
    "ParameterRole",
    "Prescription",
    "Profile",
    "Report",
    "Role",
    "Run",
    "Severity",
    "Status",
    "Subject",
    "SubjectInfo",
    "Threshold",
    "Trial",
    "Use",
    "Verdict",
    "Verification",
]
