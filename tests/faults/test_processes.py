"""Code that attacks its own process: the caller survives, hears one sentence, and nothing is left."""

from __future__ import annotations

import concurrent.futures
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from gradscope.load import run_isolated
from gradscope.schema import GradscopeError
from tests.faults.faulty import HEAD, check_words, net

ENTRY = "tests.load.entries:subject_words"
PATIENCE = 120.0  # seconds: a busy machine must not fail a test


def inspect(text: str, folder: Path, *, timeout: float = PATIENCE) -> dict[str, object]:
    """What the analysis would say of a file, loaded in a process of its own."""
    (folder / "model.py").write_text(text)
    arguments = {"target": str(folder / "model.py")}
    return msgspec.json.decode(run_isolated(ENTRY, arguments, timeout=timeout, memory_gib=2.0))


DEADLY = {
    "exits in forward": (net(forward="import os; os._exit(0)"), "ended the process with status 0"),
    "crashes in forward": (net(forward="import ctypes; ctypes.string_at(0)"), r"SIGSEGV at .*model.py:\d+"),
    "eats memory in forward": (
        net(forward="kept = []\nwhile True: kept.append(bytearray(10**8))"),
        r"model.py:\d+: MemoryError.*allow more with --memory",
    ),
    "answers instead of us": (
        "import os, stat, time\nfor fd in range(3, 64):\n    try:\n"
        "        if stat.S_ISSOCK(os.fstat(fd).st_mode): os.write(fd, b'\\0' * 7 + b'\\x01\\xc1' * 50)\n"
        "    except OSError: pass\ntime.sleep(60)\n",
        "private channel",
    ),
    "kills its own group": ("import os, signal\nos.killpg(0, signal.SIGKILL)\n", "was killed"),
    "deletes what Python needs": ("import sys\nsys.modules.clear()\nimport torch\n", "."),
}


@pytest.mark.parametrize("name", DEADLY)
def test_a_deadly_file_gets_one_sentence(name, tmp_path):
    text, says = DEADLY[name]
    with pytest.raises(GradscopeError) as caught:
        inspect(text, tmp_path)
    check_words(str(caught.value), says)


def test_a_loop_that_ignores_every_signal_is_stopped(tmp_path):
    deaf = "for n in range(1, 32):\n    if n not in (9, 10, 19): signal.signal(n, signal.SIG_IGN)\n"
    text = HEAD + f"import signal, time\n{deaf}while True:\n    time.sleep(1)\n"
    with pytest.raises(GradscopeError) as caught:
        inspect(text, tmp_path, timeout=2.0)
    check_words(str(caught.value), r"No answer after 2 s at .*model.py:8")


HARMLESS = {
    "a flood of output": net() + "print('x' * 50_000_000)\n",
    "a closed stdout": net() + "import os\nos.close(1)\nos.close(2)\n",
    "another working directory": net() + "import os, tempfile\nos.chdir(tempfile.mkdtemp())\n",
    "no signal handlers": net() + "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n",
    "a thread that never ends": net() + "import threading, time\n"
    "threading.Thread(target=time.sleep, args=(600,)).start()\n",
    "gradients switched off": net() + "torch.set_grad_enabled(False)\n",
    "deterministic algorithms": net() + "torch.use_deterministic_algorithms(True)\n",
    "another default type": net() + "torch.set_default_dtype(torch.float64)\n",
    "a replaced function of torch": net() + "torch.manual_seed = None\n",
    "many at once": net() + "import multiprocessing as m\n"
    "if __name__ != '__mp_main__':\n    p = m.get_context('fork').Process(target=print)\n    p.start(); p.join()\n",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_rude_but_sound_file_is_analysed(name, tmp_path):
    described = inspect(HARMLESS[name], tmp_path)
    assert described["class_name"] == "Net"
    assert "cross-entropy over 3 classes" in str(described["loss"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.py"]


def test_a_default_device_without_memory_is_named(tmp_path):
    with pytest.raises(GradscopeError, match="meta device"):
        inspect(HEAD + "torch.set_default_device('meta')\n" + net(), tmp_path)


def test_runs_at_the_same_time_do_not_meet(tmp_path):
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    texts = [net().replace("nn.Linear(8, 3)", f"nn.Linear(8, {classes})") for classes in (5, 6, 7)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        described = list(pool.map(inspect, texts, folders))
    for classes, words in zip((5, 6, 7), described, strict=True):
        assert f"over {classes} classes" in str(words["loss"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_when_the_caller_ends_so_does_the_child(number, tmp_path):
    (tmp_path / "model.py").write_text(
        f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whatever the shell left ignored
        "from gradscope.load import run_isolated\n"
        f"run_isolated({ENTRY!r}, {{'target': {str(tmp_path / 'model.py')!r}}}, timeout=600, memory_gib=2)"
    )
    caller = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    child = int(_wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    caller.send_signal(number)
    caller.wait(PATIENCE)
    _wait_for(lambda: not _is_running(child))


def _wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)
    return value


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
