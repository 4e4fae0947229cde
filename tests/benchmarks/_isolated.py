"""One model in a process of its own: a crash or a hang of somebody's model is a row of the table."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def survey(
    examine: Callable[[str], Row], names: Iterable[str], *, seconds: float, unfinished: Row | None = None
) -> list[Row]:
    """A row for every name, printed as it comes; that of a process without an answer begins as `unfinished`."""
    rows = []
    for name in names:
        rows.append((unfinished or {}) | isolated(examine, name, seconds=seconds))
        print(json.dumps(rows[-1]), flush=True)
    return rows


def isolated(examine: Callable[[str], Row], name: str, *, seconds: float) -> Row:
    """What `examine(name)` returns, or {"name", "error"} if its process ended without or took too long."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "row.json"
        child = multiprocessing.get_context("fork").Process(target=_child, args=(examine, name, path))
        child.start()
        child.join(seconds)
        if child.is_alive():
            child.kill()
            child.join()
            return {"name": name, "error": f"not done after {seconds} s"}
        if not path.exists():
            return {"name": name, "error": f"the process ended with {child.exitcode}"}
        return json.loads(path.read_text())


def _child(examine: Callable[[str], Row], name: str, path: Path) -> None:
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    path.write_text(json.dumps(examine(name)))
