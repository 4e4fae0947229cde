"""What a child process may use: memory, file size, network, and a life no longer than its parent's."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # <linux/sched.h>
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
GIB = 2**30


def limit_files(largest_gib: float) -> None:
    """Write no core dumps, and no file larger than `largest_gib`."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_FSIZE, int(largest_gib * GIB))


def limit_memory(memory_gib: float) -> None:
    """Map at most `memory_gib` of address space beyond what is mapped now, and no more than is free; Linux only.

    Should memory run out all the same, the system ends this process first and not an innocent one.
    """
    if not sys.platform.startswith("linux"):  # macOS accepts the limit and does not enforce it
        return
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
    with open("/proc/self/statm", encoding="ascii") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    _lower(resource.RLIMIT_AS, mapped + min(int(memory_gib * GIB), _free_memory()))


def _free_memory() -> int:
    """Bytes that a new process can use without pushing others out."""
    with open("/proc/meminfo", encoding="ascii") as file:
        available = next(line for line in file if line.startswith("MemAvailable:"))
    return int(available.split()[1]) * 1024


def leave_network() -> bool:
    """Move into a network namespace without interfaces; False where the system does not allow it.

    An unprivileged process needs a user namespace first, in which it keeps its own user and group. It must run
    before any thread is started.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) == 0:
        return True
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return False
    for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(line)
    return True


def die_with_parent() -> None:
    """Be killed when the parent dies, however it dies; Linux only."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _lower(kind: int, value: int) -> None:
    """Set a soft and hard limit, never above the hard limit in force."""
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))
