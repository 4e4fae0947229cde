"""Roots and makers, read from source text that is never run."""

import ast

from gradscope.load.mentions import makers, roots

FILE = ast.parse("""
class Part: ...
class Base: ...
class Net(Base):
    def __init__(self): self.part = helper()
class Other: ...
def helper(): return Part()
def net(): return Net()
def either(deep):
    if deep:
        return Net()
    return None
def called(): return net()
""")


def test_a_class_that_another_reaches_through_a_function_is_no_root() -> None:
    assert roots(FILE, {"Part", "Net", "Other"}) == ["Net", "Other"]


def test_a_base_class_is_no_part() -> None:
    assert roots(FILE, {"Base", "Net"}) == ["Base", "Net"]


def test_makers_return_the_object_of_a_class() -> None:
    assert makers(FILE, {"Net"}) == ["net", "either"]
    assert makers(FILE, {"Part"}) == ["helper"]
