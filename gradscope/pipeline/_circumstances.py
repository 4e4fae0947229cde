"""What ran an audit, and how long each stage of it took."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gradscope import __version__
from gradscope.schema import Environment


def environment() -> Environment:
    """The versions and the machine that every report names."""
    import torch

    return Environment(
        gradscope=__version__,
        python=platform.python_version(),
        torch=str(torch.__version__),
        platform=f"{platform.system()} {platform.machine()}",
        threads=torch.get_num_threads(),
    )


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Note the wall-clock seconds of what is done inside, also of what fails."""
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = time.perf_counter() - start
