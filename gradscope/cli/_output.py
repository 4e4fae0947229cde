"""Where a report goes: to standard output in one format, and to files by their suffix."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import rich_click as click
from rich.console import Console, RenderableType

from gradscope.report import FORMATS, Look, render, write
from gradscope.schema import Report

_WIDEST = 120  # columns: longer lines are hard to read
_UNWRAPPED = 500  # columns for a reader that is a program


@dataclass(frozen=True, slots=True)
class Output:
    """What to print, and which files to write.

    Attributes:
        printed: format for standard output; None prints nothing.
        files: path -> format.
    """

    printed: str | None
    files: dict[Path, str]

    def put(self, report: Report) -> None:
        """Print, then write the files: a full disk does not cost the answer."""
        if self.printed is not None:
            show(report, self.printed)
        for path, name in self.files.items():
            write(path, render(report, name))


def plan(format: str | None, files: tuple[Path, ...]) -> Output:
    """Decide every destination before any work is done.

    A file's suffix names its format; `format` serves files whose suffix says nothing. Standard output gets
    `format`, or the terminal report, unless an explicit `format` already went to a file.

    Raises:
        click.UsageError: no format for a file, two formats for a file, or no folder for it.
    """
    by_suffix = {f.suffix: f.name for f in FORMATS if f.suffix}
    named: dict[Path, str] = {}
    for path in files:
        name = by_suffix.get(path.suffix, format)
        if name is None:
            known = ", ".join(sorted(by_suffix))
            raise click.UsageError(f"{path}: no format for this suffix; use {known} or --format.")
        if format not in (None, name):
            raise click.UsageError(f"{path}: the suffix says {name}, --format says {format}; leave one of them out.")
        if not path.resolve().parent.is_dir():
            raise click.UsageError(f"{path}: there is no folder {path.parent}.")
        named[path] = name
    return Output(None if files and format else format or "terminal", named)


def show(report: Report, format: str) -> None:
    """Print a report; a terminal gets what it can show, a program gets UTF-8."""
    look = look_of(sys.stdout) if format == "terminal" else Look()
    put(render(report, format, width=look.width, color=look.color, ascii=look.ascii))


def put(text: str) -> None:
    """Print text as it is; a reader that went away does not matter."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        silence()


def put_rich(renderable: RenderableType) -> None:
    """Print a rich renderable; a program gets long lines, which it can search, instead of wrapped ones."""
    look = look_of(sys.stdout)
    console = Console(width=look.width if sys.stdout.isatty() else _UNWRAPPED, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    put("\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n")


def look_of(stream: TextIO) -> Look:
    """What a stream can show: its width, whether colour is wanted (NO_COLOR, FORCE_COLOR), its encoding."""
    console = Console(file=stream)
    is_colored = console.color_system is not None and not console.no_color
    is_ascii = not (stream.encoding or "ascii").lower().startswith("utf")
    return Look(min(console.width, _WIDEST), is_colored, is_ascii)


def silence() -> None:
    """Send what is still buffered nowhere: Python would complain about the closed pipe at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
