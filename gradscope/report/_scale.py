"""The depth profile: which layers make it up, and the scale of their signal."""

from __future__ import annotations

from gradscope.report._words import root
from gradscope.schema import LayerProfile, Moments, Profile

_FEWEST = 4  # layers that make a profile


def depth_layers(profile: Profile) -> list[LayerProfile]:
    """The layers that set the scale: sums over a fan-in, and the ends of residual branches.

    Inside a branch the scale is another one, so branches are left out where the trunk alone is long enough.
    """
    exits = {b.block.exit for b in profile.blocks}
    inside = {i for b in profile.blocks for i in b.block.nodes if i != b.block.exit}
    scaling = [x for x in profile.layers if x.node.fan_in is not None or x.node.index in exits]
    trunk = [x for x in scaling if x.node.index not in inside]
    everything = [x for x in profile.layers if x.node.kind != "input"]
    return next((layers for layers in (trunk, scaling) if len(layers) >= _FEWEST), everything)


def rms(moments: Moments | None) -> float | None:
    """Root of the second moment; NaN or infinity where it is that, None where it is not known."""
    if moments is None or moments.second_moment.status not in ("ok", "nonfinite"):
        return None
    return root(moments.second_moment)
