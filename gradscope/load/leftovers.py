"""Nothing outlives a run: not its processes, wherever they went, nor its temporary files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = "GRADSCOPE_RUN"  # environment variable by which every descendant of a run is known
FOLDER = "gradscope-"  # prefix of temporary folders, followed by the process that owns them


def kill_all(process: subprocess.Popen[bytes], mark: str) -> None:
    """Kill the child, its group and every descendant that left the group, and reap the child."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pid in _marked(mark):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _marked(mark: str) -> Iterator[int]:
    """Processes that inherited the mark, whatever their session; found on Linux only."""
    wanted = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes():
                yield int(folder.name)
        except OSError:  # it ended meanwhile, or belongs to someone else
            continue


@contextmanager
def temporary_folder() -> Iterator[str]:
    """A folder for this run's temporary files; those of runs that were killed are removed as well."""
    root = Path(tempfile.gettempdir())
    for stale in root.glob(f"{FOLDER}*"):
        owner = stale.name.removeprefix(FOLDER).partition("-")[0]
        if owner.isdigit() and not _is_running(int(owner)):
            shutil.rmtree(stale, ignore_errors=True)
    # User code may leave files in it that cannot be removed; that must not hide the answer.
    with tempfile.TemporaryDirectory(prefix=f"{FOLDER}{os.getpid()}-", ignore_cleanup_errors=True) as folder:
        yield folder


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
