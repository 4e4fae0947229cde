"""Output survives narrow, colourless and ASCII terminals, closed pipes and full disks."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradscope.cli._output import look_of
from gradscope.report import write
from gradscope.schema import GradscopeError


def run_piped(script: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, env={**os.environ, **environment})


PUT = "from gradscope.cli._output import show; from tests.report import fixtures; show(fixtures.sick(), 'terminal')"


def test_a_pipe_gets_80_columns_and_no_escape_codes() -> None:
    text = run_piped(PUT).stdout.decode()
    assert "\x1b" not in text
    assert "─" * 20 in text


def test_columns_are_honoured_up_to_a_readable_width() -> None:
    heading = {
        columns: next(x for x in run_piped(PUT, COLUMNS=columns).stdout.decode().splitlines() if "Where and" in x)
        for columns in ("60", "100", "300")
    }
    assert {columns: len(line) for columns, line in heading.items()} == {"60": 60, "100": 100, "300": 120}


def test_colour_follows_the_conventions() -> None:
    assert b"\x1b[" in run_piped(PUT, FORCE_COLOR="1", TERM="xterm").stdout
    assert b"\x1b[" not in run_piped(PUT, FORCE_COLOR="1", TERM="xterm", NO_COLOR="1").stdout


def test_an_ascii_terminal_gets_ascii() -> None:
    answer = run_piped(PUT, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert answer.stderr == b""
    assert answer.stdout.isascii()
    assert b"VANISHING" in answer.stdout


def test_a_reader_that_goes_away_is_no_error() -> None:
    script = "import sys, os; os.close(1); os.dup2(int(sys.argv[1]), 1); from gradscope.cli import main; " + (
        "sys.argv = ['gradscope', 'rules']; main()"
    )
    reader, writer = os.pipe()
    os.close(reader)
    try:
        answer = subprocess.run([sys.executable, "-c", script, str(writer)], capture_output=True, pass_fds=[writer])
    finally:
        os.close(writer)
    assert answer.stderr == b""
    assert answer.returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_only_a_unicode_stream_is_given_more_than_ascii(encoding: str) -> None:
    assert look_of(io.TextIOWrapper(io.BytesIO(), encoding=encoding)).ascii
    assert not look_of(io.TextIOWrapper(io.BytesIO(), encoding="UTF-8")).ascii


def test_a_file_is_replaced_whole_and_keeps_its_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    link.symlink_to(real)
    write(link, "新")
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8") == "新"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.txt", "real.txt"]


def test_a_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    write(tmp_path / "ours", "x")
    (tmp_path / "any").write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write(path, "\ud800")  # a lone surrogate has no UTF-8
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_device_is_written_to_and_stays_a_device() -> None:
    write(Path("/dev/null"), "x")
    assert Path("/dev/null").is_char_device()


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(GradscopeError, match="cannot write: No such file or directory"):
        write(tmp_path / "nowhere" / "a.txt", "x")
