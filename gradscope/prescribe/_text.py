"""Text that picks layers: the shortest Python condition that holds for exactly the layers meant."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from torch import nn

_MAX_EXCEPTIONS = 2
_MAX_PATTERNS = 4


def condition(model: nn.Module, names: Collection[str]) -> str:
    """A Python condition on `name` and `module` of `model.named_modules()` that holds for exactly these modules.

    In order of preference: by class, by class but for a few, by a pattern of names, by a list of names.
    """
    chosen = {name: module for name, module in model.named_modules() if name in set(names)}
    classes = sorted({type(module).__name__ for module in chosen.values()})
    if all(getattr(nn, name, None) is not None for name in classes):
        known = tuple(getattr(nn, name) for name in classes)
        of_class = {name for name, module in model.named_modules() if isinstance(module, known)}
        others = [name for name in of_class if name not in chosen]
        test = ", ".join(f"torch.nn.{name}" for name in classes)
        test = f"isinstance(module, {test})" if len(classes) == 1 else f"isinstance(module, ({test}))"
        if of_class >= chosen.keys() and not others:
            return test
        if of_class >= chosen.keys() and len(others) <= _MAX_EXCEPTIONS:
            return f"{test} and {_is_not(sorted(others))}"
    patterns = list(dict.fromkeys(_pattern(name) for name in chosen))
    pattern = "|".join(patterns)
    matches = {name for name, _ in model.named_modules() if re.fullmatch(pattern, name)}
    if len(chosen) > 1 and len(patterns) <= _MAX_PATTERNS and matches == chosen.keys():
        return f're.fullmatch(r"{pattern}", name)'
    if len(chosen) == 1:
        return f'name == "{next(iter(chosen))}"'
    return "name in {" + ", ".join(f'"{name}"' for name in chosen) + "}"


def program(*parts: str) -> str:
    """The parts as one text that imports what it uses."""
    body = "\n".join(parts)
    imports = [f"import {name}" for name in ("math", "re", "torch") if re.search(rf"\b{name}\.", body)]
    return "\n".join([*imports, "", body]) if imports else body


def indented(lines: Sequence[str], by: int = 1) -> str:
    """Lines, each moved right by so many levels."""
    return "\n".join("    " * by + line for line in lines)


def names(layers: Sequence[str], *, most: int = 3) -> str:
    """Layer names in a sentence, numbers as "layers 2, 4"; beyond a few, the first and how many more."""
    kind = ("layer " if len(layers) == 1 else "layers ") if layers and layers[0].isdigit() else ""
    if len(layers) <= most:
        return kind + ", ".join(layers)
    return f"{kind}{', '.join(layers[:most])} and {len(layers) - most} more"


def _pattern(name: str) -> str:
    return r"\.".join(r"\d+" if part.isdigit() else re.escape(part) for part in name.split("."))


def _is_not(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f'name != "{names[0]}"'
    return "name not in (" + ", ".join(f'"{name}"' for name in names) + ")"
