"""Why a child process gave no answer, in one sentence with the line of the user's code."""

from __future__ import annotations

import re
import signal
import socket
import subprocess

from gradscope.load import channel
from gradscope.load.failure import user_line
from gradscope.schema import GradscopeError

GRACE = 1.0  # seconds that a stuck process gets to say where it is, or a closed one to end
PAUSE = 0.1  # seconds of silence after which it has said everything


def death(process: subprocess.Popen[bytes], crash: socket.socket, stage: str) -> GradscopeError:
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


def timed_out(process: subprocess.Popen[bytes], crash: socket.socket, stage: str, timeout: float) -> GradscopeError:
    """The child had no answer in time: ask it where it is."""
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
            crash.settimeout(PAUSE)
    except (TimeoutError, BlockingIOError, ConnectionResetError):  # that was all of it
        pass
    frames = [(file, int(line)) for file, line in re.findall(r'File "(.+)", line (\d+)', text)]
    return user_line(reversed(frames))  # faulthandler writes the innermost first
