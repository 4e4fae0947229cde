"""Which model of a file is meant when the user named none: small functions that build one of the file's classes."""

import pytest

from gradscope import load
from gradscope.schema import GradscopeError

NET = """\
from torch import nn

class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer = nn.Linear(4, width)

    def forward(self, x):
        return self.layer(x)

"""
SMALL = "def small():\n    return Net(3)\n\n"
LARGE = "def large(width=30):\n    net = 1\n    return Net(width)\n\n"
OTHERS = "def sized(width):\n    return Net(width)\n\ndef test():\n    print(Net(2))\n"


def chosen(text, folder):
    (folder / "model.py").write_text(text)
    return load.subject(str(folder / "model.py"))


@pytest.mark.parametrize(("text", "width"), [(SMALL + OTHERS, 3), (LARGE + OTHERS, 30)])
def test_the_one_function_that_builds_a_class_of_the_file(text, width, tmp_path):
    subject = chosen(NET + text, tmp_path)
    assert subject.model.layer.out_features == width


def test_several_are_listed(tmp_path):
    with pytest.raises(GradscopeError, match=r"2 models, small and large; choose one, as in .*model.py:large"):
        chosen(NET + SMALL + LARGE, tmp_path)


def test_none_is_as_before(tmp_path):
    with pytest.raises(GradscopeError, match=r"Net needs width to be built; write .*model.py:Net\(width=...\)"):
        chosen(NET + OTHERS, tmp_path)
