"""The child process of `run_isolated`: limit itself, call one function, answer, and end at once."""

from __future__ import annotations

import faulthandler
import importlib
import os
import signal
import socket
import sys

from gradscope.load import channel, limits
from gradscope.load.failure import failure, our_line


def main(connection_fd: int, crash_fd: int) -> None:
    """Read the request from the connection, run it and write the answer; never returns.

    A crash, or a SIGUSR1 from the parent, writes the line of code under way to `crash_fd`.
    """
    limits.die_with_parent()
    faulthandler.enable(file=crash_fd, all_threads=False)
    faulthandler.register(signal.SIGUSR1, file=crash_fd, all_threads=False)
    connection = socket.socket(fileno=connection_fd)
    for fd in (connection_fd, crash_fd):
        os.set_inheritable(fd, False)
    os.register_at_fork(after_in_child=connection.close)  # a fork of user code has no voice
    entry, arguments, memory_gib, file_gib = channel.receive(connection)
    try:
        answer = ["result", _run(connection, entry, arguments, memory_gib, file_gib)]
    except BaseException as error:  # whatever user code raises is an answer
        answer = ["error", str(failure("The analysis", error, hint=_suspicion(error)))]
    try:
        channel.send(connection, answer)
    finally:
        os._exit(0)  # no exit handlers, no waiting for threads that user code left


def _run(connection: socket.socket, entry: str, arguments: dict, memory_gib: float, file_gib: float) -> bytes:
    is_offline = limits.leave_network()
    limits.limit_files(file_gib)
    sys.dont_write_bytecode = True  # nothing is left beside the user's files
    import torch  # noqa: F401 - what torch maps is not the target's

    channel.send(connection, ["progress", "isolated, network " + ("off" if is_offline else "reachable"), 0.0])
    module_name, _, function_name = entry.partition(":")
    function = getattr(importlib.import_module(module_name), function_name)
    limits.limit_memory(memory_gib)

    def progress(stage: str, fraction: float) -> None:
        channel.send(connection, ["progress", stage, fraction])

    return function(arguments, progress)


def _suspicion(error: BaseException) -> str:
    """No line of the user's is involved, as far as one can see."""
    line = our_line(error)
    return f"If the model trains without Gradscope, this is a bug of Gradscope's, at {line}." if line else ""
