"""A format turns a report into text; each public file (or folder) of this folder declares one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gradscope.registry import Registry
from gradscope.report._look import Look
from gradscope.schema import Report

Renderer = Callable[[Report, Look], str]


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a report.

    Attributes:
        name: what `--format` calls it.
        suffix: of the files that hold it; None if it is not for files.
        render: makes the text.
    """

    name: str
    suffix: str | None
    render: Renderer


FORMATS: Registry[Format] = Registry("gradscope.report")


def output_format(name: str, *, suffix: str | None = None) -> Callable[[Renderer], Renderer]:
    """Declare the decorated function as the renderer of the format `name`."""

    def declare(render: Renderer) -> Renderer:
        FORMATS.add(name, Format(name, suffix, render))
        return render

    return declare
