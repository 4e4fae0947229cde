"""Code that fails, or does too much, when it is imported or built."""

from __future__ import annotations

import pytest

from tests.faults.faulty import HEAD, check_sentence, load, net

BROKEN = {
    "missing package": ("import no_such_package\n", r"model.py:1: ModuleNotFoundError.*Install no_such_package"),
    "missing name": ("from torch import no_such_name\n", r"model.py:1: ImportError.*no_such_name"),
    "relative import without package": ("from .parts import Part\n", r"(No module|ImportError|ModuleNotFoundError)"),
    "division by zero": ("x = 1\n1 / 0\n", r"model.py:2: ZeroDivisionError: division by zero\."),
    "undefined name": ("Net = undefined\n", r"model.py:1: NameError"),
    "missing data file": ("open('weights.bin')\n", r"model.py:1: FileNotFoundError"),
    "exit": ("import sys\nsys.exit(0)\n", r"model.py:2: SystemExit: 0.*__main__"),
    "argparse": (
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--x', required=True)\np.parse_args()\n",
        r"model.py:4: SystemExit: 2.*__main__",
    ),
    "recursion": ("def f():\n    f()\nf()\n", r"model.py:2: RecursionError.*calls itself"),
    "assertion without words": ("assert False\n", r"model.py:1: AssertionError\."),
    "long message": ("raise ValueError('word ' * 10000)\n", r"ValueError: word .* \.\.\."),
    "message of many lines": ("raise ValueError('a\\nb\\n\\nc')\n", "ValueError: a b c"),
    "message that raises": (
        "class E(Exception):\n    def __str__(self): raise RuntimeError\nraise E()\n",
        "E: its own message cannot be shown",
    ),
    "unicode message": ("raise ValueError('größer als \u221e \U0001f600')\n", "größer als \u221e"),
    "error from a library": ("import json\njson.loads('{')\n", r"model.py:2: JSONDecodeError"),
    "exception group": ("raise ExceptionGroup('several', [ValueError('one')])\n", "ExceptionGroup: several"),
    "terabyte": (HEAD + "x = torch.empty(10**13)\n", r"model.py:4: RuntimeError.*--memory"),
    "cuda only": (HEAD + "x = torch.zeros(1, device='cuda:7')\n", r"model.py:4: .*(CUDA|NVIDIA).*on the CPU"),
    "constructor raises": (net("raise ValueError('bad width')"), r"Building .*model.py:Net failed at .*model.py:\d+"),
    "constructor exits": (net("raise SystemExit"), "Building .*SystemExit"),
    "no super().__init__()": (
        HEAD + "class Net(nn.Module):\n    def __init__(self): self.a = nn.Linear(1, 1)\n    def forward(self, x): 0\n",
        "AttributeError: cannot assign module before Module.__init__",
    ),
    "no super().__init__() and no parts": (
        HEAD + "class Net(nn.Module):\n    def __init__(self): self.n = 1\n    def forward(self, x): 0\n",
        "AttributeError",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_code_that_fails_on_import_gets_one_sentence(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_sentence(*BROKEN[name], tmp_path)


SOUND = {
    "prints": net() + "print('noise')\n",
    "warns": net() + "import warnings\nwarnings.warn('noise')\n",
    "sets the seed": net() + "torch.manual_seed(5)\n",
    "logs": net() + "import logging\nlogging.basicConfig(level='DEBUG')\nlogging.warning('noise')\n",
    "parses no arguments": "import argparse\nargparse.ArgumentParser().parse_args()\n" + net(),
}


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.filterwarnings("ignore")
def test_a_noisy_file_loads(name, tmp_path, monkeypatch):
    monkeypatch.setattr("logging.root.handlers", [])
    assert load(SOUND[name], tmp_path).info.class_name == "Net"


def test_a_neighbour_is_imported_and_nothing_is_written_beside_it(tmp_path):
    (tmp_path / "neighbour_of_model.py").write_text("WIDTH = 4\n")
    load("from neighbour_of_model import WIDTH\n" + net(), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.py", "neighbour_of_model.py"]
