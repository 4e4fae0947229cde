"""Write a user's broken file and hear the one sentence about it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from gradscope.load import subject
from gradscope.schema import GradscopeError, Subject

HEAD = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"  # three lines
NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 3)
{init}
    def forward(self, x):
{forward}
"""


def net(init: str = "", forward: str = "        return self.b(self.a(x).relu())") -> str:
    """The text of a file with a small model, with its own lines in the constructor or forward."""
    return HEAD + NET.format(init=_indented(init), forward=_indented(forward))


def _indented(lines: str) -> str:
    return "\n".join(line if line.startswith("        ") else f"        {line}" for line in lines.splitlines())


def load(text: str | bytes, folder: Path, **options: Any) -> Subject:
    """The subject of a file with this content."""
    path = folder / "model.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    before, modules = list(sys.path), set(sys.modules)
    try:
        return subject(str(path), **options)
    finally:
        sys.path[:] = before
        for name in set(sys.modules) - modules:
            if name.startswith("gradscope_target"):
                del sys.modules[name]


def check_sentence(text: str | bytes, says: str, folder: Path, **options: Any) -> None:
    """Loading fails with a single sentence that matches `says`."""
    with pytest.raises(GradscopeError) as caught:
        load(text, folder, **options)
    check_words(str(caught.value), says)


def check_words(sentence: str, says: str) -> None:
    """One line, ended, without a traceback, and it says what it should."""
    assert re.search(says, sentence), sentence
    assert "\n" not in sentence and sentence.endswith((".", "!", "?")), sentence
    assert "Traceback" not in sentence
    assert len(sentence) < 700, sentence
