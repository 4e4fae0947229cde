"""What an exception that somebody's code raised says, on one line."""

from __future__ import annotations

LONGEST = 300  # characters of a foreign message that are worth showing


def message_of(error: BaseException) -> str:
    """The text of an exception, also of one of the user's that cannot say what it is."""
    try:
        return str(error)
    except Exception:  # its own __str__ raises
        return "its own message cannot be shown"


def words(error: BaseException) -> str:
    """Type and message of an exception."""
    message = " ".join(message_of(error).split())
    if len(message) > LONGEST:
        message = message[:LONGEST].rsplit(" ", 1)[0] + " ..."
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def sentence(error: BaseException) -> str:
    """The same, ended as a sentence is."""
    text = words(error)
    return text if text.endswith((".", "!", "?")) else text + "."
