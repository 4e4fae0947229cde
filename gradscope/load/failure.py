"""An exception of the user's code as one sentence: what went wrong, where, and what to try."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path

from gradscope.raised import message_of, sentence
from gradscope.schema import GradscopeError

USER_ERRORS = (Exception, SystemExit)  # what user code may raise; a KeyboardInterrupt is the user himself

Frame = tuple[str, int]  # file, line

_MEMORY = ("allocate memory", "not enough memory", "out of memory", "bad_alloc")


def failure(doing: str, error: BaseException, *, hint: str = "") -> GradscopeError:
    """The sentence for an exception that user code raised while Gradscope was `doing` something.

    Args:
        doing: what was under way, e.g. "importing model.py".
        error: the exception; its traceback tells the line of the user's code.
        hint: what to try, where the type of the exception does not tell.
    """
    if isinstance(error, GradscopeError):
        return error
    if isinstance(error, SyntaxError) and error.filename:
        return GradscopeError(f"{shown(error.filename)}:{error.lineno}: {type(error).__name__}: {error.msg}.")
    line = user_line(_frames(error))
    where = f" at {line}" if line else ""
    advice = _advice(error) or hint
    return GradscopeError(f"{doing} failed{where}: {sentence(error)}{' ' + advice if advice else ''}")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: Python's own error, or what torch's allocators say."""
    return isinstance(error, MemoryError) or any(part in message_of(error) for part in _MEMORY)


def our_line(error: BaseException) -> str | None:
    """ "file:line" of the innermost frame of Gradscope's, where none is of the user's or of a package; else None."""
    frames = _frames(error)
    ours = [f"gradscope{os.sep}{file.removeprefix(_OURS)}:{line}" for file, line in frames if file.startswith(_OURS)]
    return ours[-1] if ours and user_line(frames) is None else None


def user_line(frames: Iterable[Frame]) -> str | None:
    """ "file:line" of the innermost frame in the user's own files, else in another package; None without any.

    Args:
        frames: outermost first.
    """
    best: Frame | None = None
    best_rank = 0
    for frame in frames:
        rank = _rank(frame[0])
        if rank and rank >= best_rank:
            best, best_rank = frame, rank
    return f"{shown(best[0])}:{best[1]}" if best else None


def shown(path: str) -> str:
    """A path as the user would type it: relative where it lies below the working directory."""
    try:
        relative = os.path.relpath(path)
    except (ValueError, OSError):  # another drive, or a working directory that is gone
        return path
    return path if relative.startswith("..") else relative


def _frames(error: BaseException) -> list[Frame]:
    return [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]


def _rank(path: str) -> int:
    """2: the user's file. 1: a package that may be the user's. 0: Python, torch or Gradscope."""
    if path.startswith("<") or not os.path.isabs(path):
        return 0
    if path.startswith((_TORCH, _OURS)):
        return 0
    if any(path.startswith(folder) for folder in _packages()):
        return 1
    return 0 if path.startswith(_STANDARD_LIBRARY) else 2


def _packages() -> list[str]:
    return [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), site.getusersitepackages()]


def _advice(error: BaseException) -> str:
    if is_out_of_memory(error):
        return "Use a smaller model or batch, or allow more with --memory."
    if isinstance(error, ModuleNotFoundError):
        return f"Install {error.name} where {sys.executable} finds it, or set PYTHONPATH."
    if isinstance(error, SystemExit):
        return "Keep what belongs to a script under `if __name__ == '__main__':`."
    if isinstance(error, RecursionError):
        return "Something calls itself without end."
    if any(word in message_of(error) for word in ("CUDA", "NVIDIA driver")):
        return "Build and run the model on the CPU."
    return ""


_OURS = str(Path(__file__).parents[1]) + os.sep
_TORCH = os.path.join(sysconfig.get_path("purelib"), "torch") + os.sep
_STANDARD_LIBRARY = sysconfig.get_path("stdlib") + os.sep
