"""Gradscope: the pre-flight check of a neural network. Importing it imports no torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradscope.config import Config
    from gradscope.pipeline import analyze
    from gradscope.schema import (
        Estimate,
        Finding,
        GradscopeError,
        LayerProfile,
        Prescription,
        Profile,
        Report,
        Verdict,
        Verification,
    )
    from gradscope.testing import HealthError

__all__ = [
    "Config",
    "Estimate",
    "Finding",
    "GradscopeError",
    "HealthError",
    "LayerProfile",
    "Prescription",
    "Profile",
    "Report",
    "Verdict",
    "Verification",
    "__version__",
    "analyze",
]

__version__ = "0.1.0"

_OUTSIDE_SCHEMA = {"Config": "gradscope.config", "HealthError": "gradscope.testing", "analyze": "gradscope.pipeline"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'gradscope' has no attribute {name!r}")
    value = getattr(importlib.import_module(_OUTSIDE_SCHEMA.get(name, "gradscope.schema")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
