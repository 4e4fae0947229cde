"""Files are written whole or not at all: by a process that is killed, on a full disk, and by many at once."""

import os
import signal
import subprocess
import sys
import time

import pytest

SIZE = 3_000_000
WRITE = f"""
import sys
from pathlib import Path
from gradscope.report._file import write
texts = ["a" * {SIZE}, "b" * {SIZE}]
print("ready", flush=True)
while True:
    for text in texts:
        write(Path(sys.argv[1]), text)
"""


def is_whole(text: str) -> bool:
    return len(text) == SIZE and text in ("a" * SIZE, "b" * SIZE)


@pytest.mark.parametrize("moment", [0.011, 0.023, 0.037])
def test_a_process_killed_while_writing_leaves_a_whole_file(moment, tmp_path):
    path = tmp_path / "report.json"
    path.write_text("a" * SIZE)
    writer = subprocess.Popen([sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    time.sleep(moment)
    writer.send_signal(signal.SIGKILL)
    assert writer.wait() == -signal.SIGKILL
    writer.stdout.close()
    assert is_whole(path.read_text())


def test_writers_at_the_same_time_leave_a_whole_file(tmp_path):
    path = tmp_path / "report.json"
    writers = [subprocess.Popen([sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE) for _ in range(3)]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    seen = []
    for _ in range(20):
        if path.exists():
            seen.append(is_whole(path.read_text()))
        time.sleep(0.005)
    for writer in writers:
        writer.kill()
        writer.communicate()
    assert seen
    assert all(seen)


def test_a_disk_that_fills_up_is_one_sentence_and_the_old_file_stays(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from pathlib import Path; from gradscope.report._file import write\n"
        "from gradscope.schema import GradscopeError\n"
        f"try: write(Path({str(path)!r}), 'x' * {SIZE})\n"
        "except GradscopeError as error: print(error)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout == f"{path}: cannot write: File too large.\n"
    assert answer.stderr == ""
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.json"]
