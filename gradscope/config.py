"""Every threshold and budget: its value, its unit and its source. A user's `[tool.gradscope]` overrides them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from gradscope.schema import GradscopeError, Threshold


@dataclass(frozen=True, slots=True)
class Config:
    """Thresholds (what a diagnostic compares with) and budgets (what the analysis may spend)."""

    # Budgets
    spectral_tolerance: float = 1e-2  # relative error allowed in a layer's spectral norm
    confidence: float = 0.99  # of every upper bound, over the random start vectors of the whole model
    is_certified: bool = False  # iterate until high / low - 1 <= spectral_tolerance
    operator_samples: int = 2  # samples of the batch that block and network Jacobians are taken on
    network_iterations: int = 4  # bidiagonalization steps for the whole network
    block_iterations: int = 3  # bidiagonalization steps for the blocks, all blocks in one pass
    timeout: float = 600.0  # seconds a target may take in its own process
    memory: float = 16.0  # GiB of address space a target may take beyond what torch itself maps


def load(start: Path) -> Config:
    """The defaults, overridden by `[tool.gradscope]` of the nearest pyproject.toml at or above `start`.

    Raises:
        GradscopeError: the file is not TOML, or names an option that does not exist.
    """
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            try:
                table = tomllib.loads(path.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise GradscopeError(f"{path}: not valid TOML: {error}.") from None
            return override(Config(), table.get("tool", {}).get("gradscope", {}), where=str(path))
    return Config()


def override(config: Config, options: dict[str, Any], *, where: str = "options") -> Config:
    """`config` with some values replaced; a threshold keeps its unit and names the new source.

    Raises:
        GradscopeError: an unknown option, or a value of the wrong type.
    """
    known = {f.name: getattr(config, f.name) for f in fields(config)}
    changes: dict[str, Any] = {}
    for key, value in options.items():
        name = key.replace("-", "_")
        if name not in known:
            raise GradscopeError(f"{where}: [tool.gradscope] has no option {key!r}; known: {', '.join(sorted(known))}.")
        old = known[name]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(old, Threshold):
            if not is_number:
                raise GradscopeError(f"{where}: {key} must be a number in {old.unit}, got {value!r}.")
            changes[name] = replace(old, value=float(value), source=where)
        elif isinstance(old, bool) != isinstance(value, bool) or not (is_number or isinstance(old, bool)):
            raise GradscopeError(f"{where}: {key} must be a {type(old).__name__}, got {value!r}.")
        else:
            changes[name] = type(old)(value)
    return replace(config, **changes)
