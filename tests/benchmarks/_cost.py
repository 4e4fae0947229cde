"""CPU time and peak memory of a call."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def seconds_of(function: Callable[[], None]) -> float:
    """CPU seconds of a call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def peak_of(function: Callable[[], None]) -> float:
    """MB of memory that a call takes at its peak beyond what was there before, in a fork of this process (Linux).

    Memory that was freed earlier in this process would be used again and not be seen: call it before anything else.
    """
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_peak, args=(function, sender))
    child.start()
    sender.close()
    peak = receiver.recv()  # EOFError if the child has crashed
    child.join()
    return peak


def _peak(function: Callable[[], None], sender: Any) -> None:
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    function()
    sender.send(_status("VmHWM") - before)


def _status(key: str) -> float:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(key))
    return int(line.split()[1]) / 1024
