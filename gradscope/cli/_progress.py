"""What is being done, on standard error, and only where a person is looking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

OnProgress = Callable[[str, float], None]


@contextmanager
def progress() -> Iterator[OnProgress | None]:
    """Yields a function to call with a stage and the fraction of it that is done; None where nobody is looking."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("load", total=1.0)
        yield lambda stage, fraction: bar.update(task, description=stage, completed=fraction)
