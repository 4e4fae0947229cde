"""How the user is told that there is no answer."""

from __future__ import annotations


class GradscopeError(Exception):
    """A failure the user can act on: one sentence that says what, where and what to try."""

    __module__ = "gradscope"  # where it is exported; a short name leaves room for the sentence
