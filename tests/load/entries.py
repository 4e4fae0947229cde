"""Entries for `run_isolated`: one function executes text that a test gives it, as a user's file would run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def execute(arguments: dict[str, Any], progress: Callable[[str, float], None]) -> bytes:
    """Run the file at `arguments["path"]`; what it leaves in `answer` is returned."""
    progress("executing", 0.5)
    with open(arguments["path"], encoding="utf-8") as file:
        namespace: dict[str, Any] = {"__name__": "user", "__file__": arguments["path"]}
        exec(compile(file.read(), arguments["path"], "exec"), namespace)
    return namespace.get("answer", b"done")


def subject_words(arguments: dict[str, Any], progress: Callable[[str, float], None]) -> bytes:
    """Load a target as the analysis does and return what it says of itself."""
    import msgspec

    from gradscope.load import subject

    progress("load", 0.0)
    return msgspec.json.encode(subject(**arguments).info)
