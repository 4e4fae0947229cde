"""A command is a file of this folder; it declares itself here and returns its exit status."""

from __future__ import annotations

from enum import IntEnum

import rich_click as click

from gradscope.registry import Registry

COMMANDS: Registry[click.Command] = Registry("gradscope.cli")


class Exit(IntEnum):
    """What the exit status says, whatever the format of the output."""

    CLEAN = 0  # nothing at or above --fail-on
    FINDINGS = 1
    NO_ANSWER = 2  # the target or the command line is wrong
    BUG = 3  # of gradscope
    INTERRUPTED = 130  # as shells say it


def command(function: click.Command) -> click.Command:
    """Declare a click command under its own name."""
    assert function.name is not None, "click names a command after its function"
    COMMANDS.add(function.name, function)
    return function
