"""Run a function that executes user code in a process of its own, and get its answer or one clear sentence.

It is isolation, not a sandbox: code that hangs, exits, prints, forks or crashes does no harm, but hostile code
can do whatever the user who started it can.
"""

from __future__ import annotations

import os
import secrets
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from gradscope.config import Config
from gradscope.load import channel
from gradscope.load.death import death, timed_out
from gradscope.load.leftovers import MARK, kill_all, temporary_folder
from gradscope.schema import GradscopeError

Progress = Callable[[str, float], None]

START = 120.0  # seconds until a fresh interpreter on a busy machine has imported torch
POLL = 0.1  # seconds between looks at a child whose channel is silent


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
    with temporary_folder() as folder, ours, crash_ours:
        with theirs, crash_theirs:
            process = _started(theirs.fileno(), crash_theirs.fileno(), folder, mark)
        try:
            channel.send(ours, [entry, arguments, memory_gib, Config().file_size])
            return _answer(process, ours, crash_ours, timeout, on_progress)
        finally:
            kill_all(process, mark)


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
                raise death(process, crash, stage)  # a fork that outlived the child holds the connection
            try:
                chunk = connection.recv(channel.CHUNK)
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                raise death(process, crash, stage)
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
    raise timed_out(process, crash, stage, timeout)


def _messages(inbox: channel.Inbox, chunk: bytes) -> Iterator[list[Any]]:
    try:
        yield from inbox.add(chunk)
    except ValueError as error:
        raise GradscopeError(
            f"The target's code wrote into Gradscope's private channel ({error}); it must leave file descriptors "
            "alone that it did not open."
        ) from error
