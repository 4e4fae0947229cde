"""Starting is light: what a user types most loads no torch. Modules are counted: seconds depend on the machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "scipy", "networkx", "numpy", "transformers", "sklearn"}
STARTS = {
    "import gradscope": "import gradscope",
    "gradscope --help": "from gradscope.cli import run; assert run(['--help']) == 0",
    "gradscope analyze --help": "from gradscope.cli import run; assert run(['analyze', '--help']) == 0",
    "gradscope --version": "from gradscope.cli import run; assert run(['--version']) == 0",
    "gradscope rules": "from gradscope.cli import run; assert run(['rules']) == 0",
    "gradscope explain GS201": "from gradscope.cli import run; assert run(['explain', 'GS201']) == 0",
    "gradscope with a wrong option": "from gradscope.cli import run; assert run(['analyze', '--nope', 'x']) == 2",
    "pytest --help": "import pytest; assert pytest.main(['--help', '-p', 'no:cacheprovider']) == 0",
    "pytest --collect-only": "import pytest; pytest.main(['--collect-only', '-q', '-p', 'no:cacheprovider'])",
}
MOST = {"import gradscope": 100, "gradscope --help": 400}  # modules, the standard library included


def modules_after(code: str, cwd) -> set[str]:
    """Names of all modules that a fresh interpreter has loaded after running `code`."""
    script = f"{code}\nimport sys\nprint('\\nLOADED', *sys.modules)"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=cwd)
    assert answer.returncode == 0, answer.stderr
    return set(answer.stdout.rpartition("LOADED ")[2].split())


@pytest.mark.parametrize("start", STARTS)
def test_starting_loads_nothing_heavy(start: str, tmp_path) -> None:
    loaded = modules_after(STARTS[start], tmp_path)
    assert not HEAVY & loaded
    assert "gradscope" in loaded
    print(f"{start}: {len(loaded)} modules")


@pytest.mark.parametrize("start", MOST)
def test_starting_loads_few_modules(start: str, tmp_path) -> None:
    assert len(modules_after(STARTS[start], tmp_path)) <= MOST[start]


def test_the_plugin_is_loaded_by_pytest(tmp_path) -> None:
    assert "gradscope.pytest_plugin" in modules_after(STARTS["pytest --help"], tmp_path)
