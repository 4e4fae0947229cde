"""Gradscope: the pre-flight check of a neural network. Importing it imports no torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradscope.config import Config as Config
    from gradscope.pipeline import analyze as analyze
    from gradscope.schema import Estimate as Estimate
    from gradscope.schema import Finding as Finding
    from gradscope.schema import GradscopeError as GradscopeError
    from gradscope.schema import LayerProfile as LayerProfile
    from gradscope.schema import Prescription as Prescription
    from gradscope.schema import Profile as Profile
    from gradscope.schema import Report as Report
    from gradscope.schema import Verdict as Verdict
    from gradscope.schema import Verification as Verification
    from gradscope.testing import HealthError as HealthError

__version__ = "0.1.0"

_HOME = {
    "analyze": "gradscope.pipeline",
    "Config": "gradscope.config",
    "Estimate": "gradscope.schema",
    "Finding": "gradscope.schema",
    "GradscopeError": "gradscope.schema",
    "HealthError": "gradscope.testing",
    "LayerProfile": "gradscope.schema",
    "Prescription": "gradscope.schema",
    "Profile": "gradscope.schema",
    "Report": "gradscope.schema",
    "Verdict": "gradscope.schema",
    "Verification": "gradscope.schema",
}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'gradscope' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
