"""Options of a user's pyproject.toml."""

from pathlib import Path

import pytest

from gradscope.config import Config, load, override
from gradscope.schema import GradscopeError


def test_text_numbers_and_thresholds_are_overridden(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.gradscope]\noptimizer = "adamw"\ntimeout = 5\ndead-relu-error = 0.8\n'
    )
    config = load(tmp_path)

    assert config.optimizer == "adamw"
    assert config.timeout == 5.0
    assert config.dead_relu_error.value == 0.8
    assert config.dead_relu_error.unit == Config().dead_relu_error.unit
    assert str(tmp_path) in config.dead_relu_error.source


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"precision": 16}, "precision must be text, got 16"),
        ({"timeout": "long"}, "timeout must be a float"),
        ({"dead-relu-error": "0.8"}, "dead-relu-error must be a number in share of units"),
        ({"learning": 1}, "has no option 'learning'"),
    ],
)
def test_a_wrong_option_is_one_sentence(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(GradscopeError, match=sentence):
        override(Config(), options)
