"""The limits of a child process hold on Linux; they are set in processes of their own."""

from __future__ import annotations

import subprocess
import sys


def run(code: str) -> str:
    code = f"from gradscope.load import limits\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True).stdout


def test_memory_is_counted_from_what_is_mapped_already():
    code = (
        "held = bytearray(300 * 2**20)\nlimits.limit_memory(0.25)\nmore = bytearray(100 * 2**20)\n"
        "try: bytearray(300 * 2**20)\nexcept MemoryError: print('limited')"
    )
    assert run(code) == "limited\n"


def test_no_more_memory_than_is_free_may_be_mapped():
    code = (
        "import resource\nlimits.limit_memory(1e6)\n"
        "with open('/proc/meminfo') as f: total = int(f.readline().split()[1])\n"
        "print(resource.getrlimit(resource.RLIMIT_AS)[0] < 2 * total * 1024)"
    )
    assert run(code) == "True\n"


def test_the_system_ends_a_limited_process_first():
    assert run("limits.limit_memory(1)\nprint(open('/proc/self/oom_score_adj').read().strip())") == "1000\n"


def test_files_end_at_their_limit(tmp_path):
    code = (
        f"limits.limit_files(1 / 1024)\nwith open({str(tmp_path / 'f')!r}, 'wb') as f:\n"
        "    try: f.write(bytes(2**21)); f.flush()\n    except OSError as error: print(error.errno)"
    )
    assert run(code) == "27\n"  # EFBIG


def test_without_a_network_only_the_process_itself_can_be_talked_to():
    code = (
        "import socket\nis_offline = limits.leave_network()\n"
        "try: socket.create_connection(('192.0.2.1', 80), timeout=1); reached = True\n"
        "except OSError as error: reached = not str(error).endswith('Network is unreachable')\n"
        "print(is_offline, reached)\na, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))"
    )
    offline, talk = run(code).splitlines()
    assert talk == "b'x'"
    assert offline in ("True False", "False True", "False False")  # where the system allows it, nothing is reached
