"""GS603: parameters that differ from what all their siblings in other layers are drawn like."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._draws import agrees, family
from gradscope.schema import Estimate, Finding, ParameterProfile, Profile


@diagnostic("GS603", severity="warning")
def differing_sibling(profile: Profile, config: Config) -> Iterator[Finding]:
    """The same parameter of repeated layers is drawn alike everywhere but in a few of them.

    ## Why it matters
    Layers that are the same in the code are meant to start the same. One that was replaced, added later or missed
    by a loop of the initializer keeps another scale, and nothing else tells.

    ## How it is decided
    Siblings have the same name up to the indices of layers, the same role, and modules of the same shapes. If most of
    them agree in standard deviation and mean, those that do not are named. A schedule over depth, where no majority
    agrees, is no finding.

    ## What to do
    Run the initializer over the whole model after it is complete; check conditions on names and indices.

    ## References
    Ben Braiek & Khomh 2023, TheDeepChecker (arXiv:2204.00694), for testing the variance of draws.
    """
    shapes: dict[str, list[tuple[int, ...]]] = defaultdict(list)  # of all parameters of a module: a bias has its fan
    for parameter in profile.parameters:
        shapes[_owner(parameter)].append(parameter.shape)
    groups: dict[tuple[object, ...], list[ParameterProfile]] = defaultdict(list)
    for parameter in profile.parameters:
        if parameter.draw is not None and parameter.use is not None and parameter.trainable:
            key = family(parameter.name), parameter.shape, parameter.use.role, *shapes[_owner(parameter)]
            groups[key].append(parameter)
    for siblings in groups.values():
        outliers = _outliers(siblings, config)
        if outliers:
            usual = next(p for p in siblings if p not in outliers)
            assert outliers[0].draw is not None
            assert usual.draw is not None
            yield Finding(
                code="GS603",
                name="differing-sibling",
                severity="warning",
                layers=tuple(p.name for p in outliers),
                message=(
                    f"{outliers[0].name} is drawn with {_words(outliers[0])}, {len(siblings) - len(outliers)} of its "
                    f"{len(siblings) - 1} siblings with {_words(usual)}."
                ),
                evidence={"std": outliers[0].draw.std, "usual_std": usual.draw.std},
                threshold=config.conforming_deviation,
            )


def _owner(parameter: ParameterProfile) -> str:
    return parameter.name.rpartition(".")[0]


def _outliers(siblings: Sequence[ParameterProfile], config: Config) -> list[ParameterProfile]:
    """Those that differ from a sibling with which more than half of all agree; the median one, if there is one."""
    ordered = sorted(siblings, key=lambda p: p.rms.value)
    middle = ordered[len(ordered) // 2]
    different = [p for p in siblings if not _is_alike(p, middle, config)]
    return different if len(siblings) > _LEAST and 2 * len(different) < len(siblings) - 1 else []


_LEAST = 3  # siblings: of fewer, nobody can say which is the odd one


def _is_alike(one: ParameterProfile, other: ParameterProfile, config: Config) -> bool:
    assert one.draw is not None
    assert other.draw is not None
    is_constant = one.draw.std.value == other.draw.std.value == 0
    if is_constant:
        return one.draw.mean.value == other.draw.mean.value
    return agrees(one.draw.std, other.draw.std, other.draw.kurtosis, config)


def _words(parameter: ParameterProfile) -> str:
    assert parameter.draw is not None
    std: Estimate = parameter.draw.std
    return f"std {std.value:.3g}" if std.value else f"the constant {parameter.draw.mean.value:.3g}"
