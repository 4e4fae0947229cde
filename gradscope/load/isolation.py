"""Run a function that executes user code in a process of its own, and get its answer or one clear sentence.

It is isolation, not a sandbox: code that hangs, exits, prints, forks or crashes does no harm, but hostile code
can do whatever the user who started it can.
"""

from __future__ import annotations

import os
import re
import secrets
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gradscope.config import Config
from gradscope.load import channel
from gradscope.load.failure import user_line
from gradscope.schema import GradscopeError

Progress = Callable[[str, float], None]

MARK = "GRADSCOPE_RUN"  # environment variable by which every descendant is known
START = 120.0  # seconds until a fresh interpreter on a busy machine has imported torch
GRACE = 1.0  # seconds that a stuck process gets to say where it is
POLL = 0.1  # seconds between looks at a child whose channel is silent
FOLDER = "gradscope-"  # prefix of temporary folders, followed by the process that owns them


def run_isolated(
    entry: str,
    arguments: dict[str, Any],
    *,
    timeout: float,
    memory_gib: float,
    on_progress: Progress | None = None,
) -> bytes:
    """Call `entry(arguments, progress)` in a fresh process and return the bytes that it returns.

    The process has its own session, a null stdin, stdout and stderr, a temporary folder that is removed, limits on
    memory, time and file size, no core dumps and, where the system allows it, no network. Whatever it
    started is killed when it ends.

    Args:
        entry: "package.module:function".
        arguments: plain data that msgpack can carry.
        timeout: seconds of wall-clock time, from the moment that the process is ready.
        memory_gib: address space beyond what torch itself maps.
        on_progress: called in this process with a stage's name and the fraction done.

    Raises:
        GradscopeError: the function failed, whichever way.
    """
    if sys.platform == "win32":
        raise GradscopeError("Running code in a process of its own needs a POSIX system; use gradscope.analyze().")
    mark = secrets.token_hex(8)
    ours, theirs = socket.socketpair()
    crash_ours, crash_theirs = socket.socketpair()
    with _temporary_folder() as folder, ours, crash_ours:
        with theirs, crash_theirs:
            process = _started(theirs.fileno(), crash_theirs.fileno(), folder, mark)
        try:
            channel.send(ours, [entry, arguments, memory_gib, Config().file_size])
            return _answer(process, ours, crash_ours, timeout, on_progress)
        finally:
            _end(process, mark)


def _started(connection: int, crash: int, folder: str, mark: str) -> subprocess.Popen[bytes]:
    """A fresh interpreter that sees the modules that this one sees."""
    code = f"import sys; sys.path[:] = {sys.path!r}; from gradscope.load.child import main; main({connection}, {crash})"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(connection, crash),
        start_new_session=True,
        env=os.environ | {MARK: mark, "TMPDIR": folder, "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )


def _answer(
    process: subprocess.Popen[bytes],
    connection: socket.socket,
    crash: socket.socket,
    timeout: float,
    on_progress: Progress | None,
) -> bytes:
    """Listen until the result, an error, the end of the process or the end of the time."""
    deadline, stage = time.monotonic() + START, "start"
    inbox = channel.Inbox()
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if not selector.select(min(left, POLL)):
                if process.poll() is None:
                    continue
                raise _death(process, crash, stage)  # a fork that outlived the child holds the connection
            try:
                chunk = connection.recv(channel.CHUNK)
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                raise _death(process, crash, stage)
            for kind, *content in _messages(inbox, chunk):
                if kind == "result":
                    return content[0]
                if kind == "error":
                    raise GradscopeError(content[0])
                if stage == "start":
                    deadline = time.monotonic() + timeout
                stage = content[0]
                if on_progress:
                    on_progress(*content)
    raise _timed_out(process, crash, stage, timeout)


def _messages(inbox: channel.Inbox, chunk: bytes) -> Iterator[list[Any]]:
    try:
        yield from inbox.add(chunk)
    except ValueError as error:
        raise GradscopeError(
            f"The target's code wrote into Gradscope's private channel ({error}); it must leave file descriptors "
            "alone that it did not open."
        ) from error


def _death(process: subprocess.Popen[bytes], crash: socket.socket, stage: str) -> GradscopeError:
    """Why a child is gone that gave no answer."""
    try:
        code = process.wait(GRACE)
    except subprocess.TimeoutExpired:
        return GradscopeError(
            f"The target's code closed file descriptors that it did not open (stage: {stage}); close only its own."
        )
    line = _crash_line(crash, 0.0)
    where = f" at {line}" if line else ""
    if code == -signal.SIGKILL:
        return GradscopeError(
            f"The target's process was killed (stage: {stage}): the machine ran out of memory, or someone killed it; "
            "use a smaller model or batch."
        )
    if code < 0:
        return GradscopeError(
            f"The target's code crashed the Python process with {signal.Signals(-code).name}{where} (stage: {stage}); "
            "the fault lies in compiled code that it calls."
        )
    return GradscopeError(
        f"The target's code ended the process with status {code} (stage: {stage}); it must not call os._exit()."
    )


def _timed_out(process: subprocess.Popen[bytes], crash: socket.socket, stage: str, timeout: float) -> GradscopeError:
    process.send_signal(signal.SIGUSR1)
    line = _crash_line(crash, GRACE)
    where = f" at {line}" if line else ""
    return GradscopeError(
        f"No answer after {timeout:g} s{where} (stage: {stage}); an endless loop, or too much work: allow more with "
        "--timeout, or use a smaller model or batch."
    )


def _crash_line(crash: socket.socket, patience: float) -> str | None:
    """ "file:line" of the user's code from the traceback that the child wrote when it crashed or was asked."""
    crash.settimeout(patience)
    text = ""
    try:
        while chunk := crash.recv(channel.CHUNK):
            text += chunk.decode(errors="replace")
            crash.settimeout(POLL)
    except (TimeoutError, BlockingIOError, ConnectionResetError):  # that was all of it
        pass
    frames = [(file, int(line)) for file, line in re.findall(r'File "(.+)", line (\d+)', text)]
    return user_line(reversed(frames))  # faulthandler writes the innermost first


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
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
def _temporary_folder() -> Iterator[str]:
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
