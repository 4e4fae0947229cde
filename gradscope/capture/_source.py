"""The line of the user's code that is running."""

from __future__ import annotations

import os
import sys

import torch

_TORCH = os.path.dirname(torch.__file__) + os.sep
_OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep
_ENTRY = os.path.join(os.path.dirname(__file__), "__init__.py")  # its frames called the model


class Lines:
    """Finds the user's line on the stack, and remembers how files are called."""

    def __init__(self) -> None:
        self._shown: dict[str, str | None] = {}  # None: torch, this package, or no file

    def current(self) -> str | None:
        """ "file:line" of the nearest frame outside torch and this package, relative to the import path.

        None if the model is made of torch's own modules only, so that no user code runs inside it.
        """
        frame = sys._getframe(1)
        while frame is not None:
            file = frame.f_code.co_filename
            if file == _ENTRY:
                return None
            if file not in self._shown:
                self._shown[file] = None if file.startswith((_TORCH, _OURS, "<")) else _relative(file)
            shown = self._shown[file]
            if shown is not None:
                return f"{shown}:{frame.f_lineno}"
            frame = frame.f_back
        return None


def _relative(file: str) -> str:
    roots = [os.getcwd(), *(p for p in sys.path if p)]
    inside = [root for root in roots if file.startswith(os.path.join(root, ""))]
    return os.path.relpath(file, max(inside, key=len)) if inside else file
