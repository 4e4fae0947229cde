"""`gradscope demo`: audit an example, so that one sees what to expect."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import rich_click as click

from gradscope import config as configuration
from gradscope.cli._command import Exit, command
from gradscope.cli._output import put, show
from gradscope.cli._progress import progress
from gradscope.report import FORMATS, render, write

_EXAMPLE = Path(__file__).parent / "_examples" / "deep_tanh.py"
_FOLDER = Path("gradscope-demo")


@command
@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=_FOLDER,
    show_default=True,
    help="Where the files go.",
)
def demo(folder: Path) -> int:
    """Audit a packaged example: a network that will not train, what helps, and its healthy twin."""
    from gradscope.cli._owner import check_owner
    from gradscope.pipeline import Options, Request, analyze_target

    check_owner()
    options = Options(configuration.load(Path.cwd()))
    with progress() as on_progress:
        report = analyze_target(Request(str(_EXAMPLE), options), on_progress)
        twin = Request(f"{_EXAMPLE}:make_healthy_model", replace(options, prescribe=False))
        healthy = analyze_target(twin, on_progress)
    show(report, "terminal")
    folder.mkdir(parents=True, exist_ok=True)
    files = {folder / f"audit{form.suffix}": form.name for form in FORMATS if form.suffix}
    for path, name in files.items():
        write(path, render(report, name))
    names = " ".join(path.name for path in files)
    put(
        f"\nIts healthy twin, with orthogonal weights: {healthy.verdict.label}, risk {healthy.verdict.risk:.2f}\n\n"
        f"  the example     {_EXAMPLE}\n"
        f"  this audit      {folder}{os.sep} {names}\n"
        "  your own model  gradscope analyze model.py\n"
    )
    return Exit.CLEAN
