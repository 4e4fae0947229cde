"""What a rule says where it has no answer."""


class NoRule(Exception):  # noqa: N818 - an outcome, not an error
    """A rule that does not cover this call; the message says what is missing."""
