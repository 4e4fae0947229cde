"""GS690: parameters that nothing initializes."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._signal import exact, names
from gradscope.schema import Finding, Profile


@diagnostic("GS690", severity="error")
def uninitialized_parameter(profile: Profile, config: Config) -> Iterator[Finding]:
    """A parameter was allocated and never written: it starts as whatever lay in memory.

    ## Why it matters
    The numbers may be zero on one machine, and NaN or 1e30 on the next. Nothing after such a layer can be relied on.

    ## How it is decided
    In a static analysis the model is built on the meta device, where every operation that writes to a parameter is
    seen. `torch.empty`, `to_empty` and `new_empty` write nothing.

    ## What to do
    Initialize it, with a function of torch.nn.init in the module's constructor or in reset_parameters(); call
    reset_parameters() after to_empty(). Where a checkpoint is always loaded over it, ignore this code.

    ## References
    PyTorch, torch.nn.Module.to_empty: the storage is moved "without copying" and holds no defined values.
    """
    wild = [p.name for p in profile.parameters if p.rms.method == "never initialized"]
    if profile.origin == "predicted" and wild:
        yield Finding(
            code="GS690",
            name="uninitialized-parameter",
            severity="error",
            layers=tuple(dict.fromkeys(name.rpartition(".")[0] for name in wild)),
            message=f"Nothing initializes {names(wild)}: what memory holds is what it starts with.",
            evidence={"parameters": exact(float(len(wild)), "recorded")},
        )
