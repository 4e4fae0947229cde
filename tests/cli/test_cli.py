"""The command line as a whole."""

from __future__ import annotations

import subprocess
import sys

import gradscope as package


def test_the_version_is_printed(invoke) -> None:
    assert package.__version__ in invoke("--version").out


def test_help_lists_every_command_and_the_exit_statuses(invoke) -> None:
    out = invoke("--help").out
    for word in ("analyze", "demo", "explain", "rules", "0 clean", "1 findings", "2 no answer"):
        assert word in " ".join(out.split())


def test_an_unknown_command_is_status_2(invoke) -> None:
    assert invoke("analyse").status == 2


def test_the_package_runs_as_a_module() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "gradscope", "--version"], capture_output=True, text=True, check=True
    )
    assert package.__version__ in answer.stdout
