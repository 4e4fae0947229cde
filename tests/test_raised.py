"""Exceptions of others on one line, whatever they say."""

import pytest

from gradscope.raised import LONGEST, sentence, words


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (ValueError(), "ValueError"),
        (MuteError(), "MuteError: its own message cannot be shown"),
    ],
)
def test_an_exception_is_its_type_and_its_message(error: Exception, said: str) -> None:
    assert words(error) == said
    assert sentence(error) == said + "."


def test_a_long_message_is_cut_between_words() -> None:
    said = words(ValueError("word " * 1000))
    assert said.endswith("word ...") and len(said) < LONGEST + 20


@pytest.mark.parametrize("end", ".!?")
def test_a_sentence_that_has_ended_is_not_ended_again(end: str) -> None:
    assert sentence(ValueError("so" + end)) == "ValueError: so" + end
