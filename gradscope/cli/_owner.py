"""Another project of the name "gradscope" installs files of the same paths as ours; together neither is whole."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

from gradscope.schema import GradscopeError


def check_owner() -> None:
    """Make sure that no other project owns the package that is running.

    Raises:
        GradscopeError: the other project is installed too.
    """
    try:
        other = distribution("gradscope")
    except PackageNotFoundError:
        return
    raise GradscopeError(
        f"Another project called gradscope ({other.version}) is installed and overwrites files of this one; "
        "run `pip uninstall gradscope gradscope-torch` and install gradscope-torch again."
    )
