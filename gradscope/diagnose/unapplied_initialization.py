"""GS602: an initialization that the model's own code declares, and that its parameters do not have."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._draws import agrees, families, family, uncertainty
from gradscope.schema import Estimate, Finding, ParameterProfile, Profile


@diagnostic("GS602", severity="warning")
def unapplied_initialization(profile: Profile, config: Config) -> Iterator[Finding]:
    """The model's code says how parameters are drawn, and they are drawn otherwise.

    ## Why it matters
    An initializer that is skipped raises no error. A condition on a name that never holds, a hook that is never
    called, an order that lets a later default overwrite it: the model trains, only worse, and every measured norm
    stays inside usual bounds. GPT-2's residual projections lost their 1/sqrt(2 * layers) in this way in a released
    library.

    ## How it is decided
    Two kinds, each from two sides so that trained or deliberately changed weights are none. By name: the source of an
    initializer draws parameters of certain names with one standard deviation, these parameters exist, and they have
    the one that the same initializer leaves when it is run again over a twin of the model. By module: the model's
    initializer, run again, leaves another standard deviation than the module's own `reset_parameters`, and the
    parameter and all its siblings in other layers have that of `reset_parameters`. Standard deviations differ if they
    do so by more than the relative threshold and by more standard errors than the draws explain; a parameter too small
    to tell a factor of two apart is left out of the second kind.

    ## What to do
    By name: compare the condition with the names of `model.named_parameters()`, prefixes included. By module: call the
    initializer at the end of `__init__`, in Hugging Face models by `self.post_init()`.

    ## References
    Radford et al. 2019 (GPT-2) for the scaling; Ben Braiek & Khomh 2023 (arXiv:2204.00694) for testing draws.
    """
    by_line: dict[str, list[ParameterProfile]] = {}
    by_family: dict[str, list[ParameterProfile]] = {}
    for parameter in profile.parameters:
        by_family.setdefault(family(parameter.name), []).append(parameter)
        if _is_unreached(parameter, config):
            assert parameter.declaration.by_name is not None
            by_line.setdefault(parameter.declaration.by_name.method, []).append(parameter)
    whole = [siblings for siblings in by_family.values() if all(_is_default(p, config) for p in siblings)]
    skipped = [p for siblings in whole for p in siblings if _is_skipped(p, config)]
    for line, parameters in by_line.items():
        yield _finding(
            parameters,
            parameters[0].declaration.by_name,
            config,
            f"{line.removeprefix('the source, ')} names them, and never reaches them",
        )
    if skipped:
        yield _finding(
            skipped,
            skipped[0].declaration.by_initializer,
            config,
            "the model's initializer leaves that, and they have what their module's reset_parameters left",
        )


def _is_unreached(parameter: ParameterProfile, config: Config) -> bool:
    """Whether the source names another standard deviation than the one that its initializer leaves, and left."""
    by_name, by_initializer = parameter.declaration.by_name, parameter.declaration.by_initializer
    if by_name is None or by_initializer is None:
        return False
    return _is_drawn_as(parameter, by_initializer, config) and not _is_drawn_as(parameter, by_name, config)


def _is_default(parameter: ParameterProfile, config: Config) -> bool:
    """Whether a parameter can be what its module left."""
    by_default = parameter.declaration.by_default
    return by_default is not None and _is_drawn_as(parameter, by_default, config)


def _is_skipped(parameter: ParameterProfile, config: Config) -> bool:
    """Whether a parameter that is what its module left is plainly not what the initializer leaves."""
    draw, by_initializer = parameter.draw, parameter.declaration.by_initializer
    if draw is None or by_initializer is None or uncertainty(draw.std.n, draw.kurtosis, config) > math.log(2):
        return False
    return not _is_drawn_as(parameter, by_initializer, config)


def _is_drawn_as(parameter: ParameterProfile, other: Estimate, config: Config) -> bool:
    draw = parameter.draw
    return draw is not None and agrees(draw.std, other, draw.kurtosis, config)


def _finding(parameters: list[ParameterProfile], declared: Estimate | None, config: Config, why: str) -> Finding:
    assert declared is not None
    assert parameters[0].draw is not None
    realised = parameters[0].draw.std
    return Finding(
        code="GS602",
        name="unapplied-initialization",
        severity="warning",
        layers=tuple(p.name for p in parameters),
        message=(
            f"{len(parameters)} parameters ({families(parameters)}) are not drawn as declared: "
            f"{parameters[0].name} has std {realised.value:.3g} for {declared.value:.3g}; {why}."
        ),
        evidence={"std": realised, "declared_std": declared},
        threshold=config.conforming_deviation,
    )
