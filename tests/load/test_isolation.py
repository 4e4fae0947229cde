"""User code that runs in a process of its own can do anything but harm: the caller gets its answer or one sentence."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gradscope.load import run_isolated
from gradscope.schema import GradscopeError

ENTRY = "tests.load.entries:execute"

# what the user's file does -> what the sentence says
DEATHS = {
    "import sys\nsys.exit(3)": "user.py:2: SystemExit: 3",
    "import os\nos._exit(5)": "status 5",
    "import ctypes\nctypes.string_at(0)": "SIGSEGV at .*user.py:2",
    "import os\nos.abort()": "SIGABRT at .*user.py:2",
    "import os\nos.kill(os.getpid(), 9)": "was killed",
    "def f():\n    f()\nf()": "RecursionError.*calls itself",
    "import torch\ntorch.empty(10**13)": "allow more with --memory",
    "kept = []\nwhile True:\n    kept.append(bytearray(10**8))": "allow more with --memory",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "class Worst(BaseException): pass\nraise Worst('no')": "Worst: no",
    "input()": "EOFError",
    "import os, time\nos.closerange(3, 64)\ntime.sleep(60)": "file descriptors",
    "import urllib.request\nurllib.request.urlopen('http://192.0.2.1', timeout=1)": "URLError",
    "open('big', 'wb').truncate(2**40)": "OSError",
}


def run(code: str, tmp_path: Path, *, timeout: float = 120.0) -> bytes:
    file = tmp_path / "user.py"
    file.write_text(code)
    return run_isolated(ENTRY, {"path": str(file)}, timeout=timeout, memory_gib=1.0)


@pytest.mark.parametrize("code", DEATHS, ids=lambda code: code.replace("\n", "; ")[-40:])
def test_every_death_becomes_one_sentence(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GradscopeError, match=DEATHS[code]) as caught:
        run(code, tmp_path)
    assert "\n" not in str(caught.value)


def test_an_endless_loop_is_named_with_its_line(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(GradscopeError, match=r"No answer after 3 s at .*user.py:3 .*--timeout"):
        run("x = 0\nwhile True:\n    x += 1", tmp_path, timeout=3.0)
    assert time.monotonic() - start < 60


def test_the_answer_progress_and_a_silent_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "user.py"
    file.write_text("import os\nprint('noise' * 10**6)\nos.system('echo noise; echo noise >&2')\nanswer = b'x' * 10**7")
    stages: list[tuple[str, float]] = []
    answer = run_isolated(
        ENTRY, {"path": str(file)}, timeout=120, memory_gib=1, on_progress=lambda s, f: stages.append((s, f))
    )
    assert answer == b"x" * 10**7
    assert stages[-1] == ("executing", 0.5)
    assert capfd.readouterr() == ("", "")


def test_neither_exit_handlers_nor_threads_nor_forks_delay_the_answer(tmp_path: Path) -> None:
    start = time.monotonic()
    code = (
        "import atexit, os, threading, time\n"
        "atexit.register(time.sleep, 100)\n"
        "threading.Thread(target=time.sleep, args=(100,)).start()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    os.setsid()\n    time.sleep(100)\n"
        "answer = str(pid).encode()"
    )
    fork = int(run(code, tmp_path))
    assert time.monotonic() - start < 60
    deadline = time.monotonic() + 5
    while _is_alive(fork):  # it was killed; whoever inherited it reaps it
        assert time.monotonic() < deadline, f"process {fork} outlived its run"
        time.sleep(0.05)


def test_nothing_is_left_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    (tmp_path / "neighbour.py").write_text("x = 1")
    code = (
        "import sys, tempfile\nsys.path.insert(0, __file__.rpartition('/')[0])\nimport neighbour\n"
        "tempfile.mkdtemp()\ntempfile.NamedTemporaryFile(delete=False)"
    )
    run(code, tmp_path)
    assert list(temporary.iterdir()) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["neighbour.py", "tmp", "user.py"]


def test_temporary_files_of_a_killed_run_are_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead, alive = tmp_path / "gradscope-99999999-x", tmp_path / f"gradscope-{os.getppid()}-y"
    dead.mkdir()
    alive.mkdir()
    run("answer = b''", tmp_path)
    assert not dead.exists()
    assert alive.exists()


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_where_no_line_of_the_users_is_involved_ours_is_named() -> None:
    entry = "gradscope.pipeline.isolated:answer_in_child"
    with pytest.raises(GradscopeError, match=r"bug of Gradscope's, at gradscope/pipeline/isolated.py:\d+"):
        run_isolated(entry, {"no": "request"}, timeout=60.0, memory_gib=1.0)
