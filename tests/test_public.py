"""The names that `import gradscope` offers."""

import pytest

import gradscope


@pytest.mark.parametrize("name", gradscope.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(gradscope, name) is not None
    assert name in dir(gradscope)


def test_no_other_name_is() -> None:
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        gradscope.analyse  # noqa: B018
