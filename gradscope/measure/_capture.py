"""What `capture.graph` is to a measurement: the pipeline hands it in, because stages do not know each other."""

from __future__ import annotations

from typing import Any, Protocol

from gradscope.schema import LayerGraph, Run, Subject


class Capture(Protocol):
    """`capture.graph`, which the pipeline hands in."""

    def __call__(
        self, subject: Subject, observer: Any = None, *, keep_edges: bool = False
    ) -> tuple[LayerGraph, Run]: ...
