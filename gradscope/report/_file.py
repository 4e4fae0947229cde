"""A file is written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from gradscope.schema import GradscopeError


def write(path: Path, text: str) -> None:
    """Put `text` at `path` in UTF-8: through a new file beside it that takes its place.

    A device or a pipe is written to directly, and a link keeps pointing where it did.

    Raises:
        GradscopeError: the folder does not exist, or may not be written to.
    """
    target = path.resolve()
    try:
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")
        else:
            _replace(target, text)
    except OSError as error:
        raise GradscopeError(f"{path}: cannot write: {error.strerror}.") from None


def _replace(target: Path, text: str) -> None:
    new = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with new.open("x", encoding="utf-8") as file:  # "x" and the umask give it the rights of any new file
            file.write(text)
        os.replace(new, target)
    finally:
        new.unlink(missing_ok=True)
