"""The line that defines what builds the model, and layers of plain containers that have no line of their own."""

import pytest

from gradscope import load
from gradscope.borrow import borrowed
from gradscope.capture import graph

FILE = """\
from torch import nn

class Net(nn.Sequential):
    def __init__(self, width=3):
        super().__init__(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))

def make_model():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))

nets: dict = {}
model = Net()
"""


@pytest.mark.parametrize(
    ("suffix", "line"), [("", 7), (":make_model", 7), (":Net", 3), (":Net(width=5)", 3), (":model", 11)]
)
def test_layers_of_a_plain_container_have_the_line_of_what_builds_them(suffix, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(FILE)
    subject = load.subject(f"model.py{suffix}")
    with borrowed(subject.model, training=True, seed=0):
        captured, _ = graph(subject)
    lines = {node.source for node in captured.nodes if node.kind != "input"}
    assert lines == {f"model.py:{line}"}


def test_a_live_container_has_none():
    from torch import nn

    assert load.subject(nn.Sequential(nn.Linear(4, 2))).info.source is None
