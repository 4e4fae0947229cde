"""The command line: one command a file. Starting it imports no torch."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import rich_click as click

from gradscope import __version__
from gradscope.cli._command import COMMANDS, Exit
from gradscope.cli._output import silence
from gradscope.schema import GradscopeError


@click.group(name="gradscope", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="gradscope-torch")
def program() -> None:
    """The pre-flight check of a neural network: will it train, and if not, what helps?

    Exit status: 0 clean, 1 findings at or above --fail-on, 2 no answer (wrong target or option).
    """


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; what goes wrong is one sentence on standard error."""
    for item in COMMANDS:
        program.add_command(item)
    try:
        status = program.main(args=list(arguments), prog_name="gradscope", standalone_mode=False)
        sys.stdout.flush()
        return status or Exit.CLEAN
    except click.ClickException as error:
        error.show()
        return Exit.NO_ANSWER
    except GradscopeError as error:
        print(f"gradscope: {error}", file=sys.stderr)
        return Exit.NO_ANSWER
    except BrokenPipeError:
        silence()
        return Exit.CLEAN
    except (KeyboardInterrupt, click.Abort):
        return Exit.INTERRUPTED
    except Exception:  # the user's code has failed by now as a GradscopeError, from a process of its own
        traceback.print_exc()
        print("gradscope: this is a bug in gradscope, not in your model; the lines above say where.", file=sys.stderr)
        return Exit.BUG
