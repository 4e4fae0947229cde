"""A deep model from shallow ones: the law of a repeated block, continued.

In a shallow run the moments of every layer of the block form a sequence over blocks. Its rate per block is constant (a
chain), dies out (a fixed point), or falls with a power of the depth to either (a residual stream that grows linearly,
samples that slowly become alike). Gradients also feel how far away the end is: their law is taken from the middle of
the run, and what the last blocks add to it is added again to the last blocks of all. They are told relative to the
gradient at the end of their block. What is behind the last block follows the stream by the power law that two runs
show. Two shallower runs foretell the deepest: by what they miss it, the intervals grow.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradscope.predict import _continuation as continuation
from gradscope.predict._axes import Array
from gradscope.predict._continuation import METHOD, NotPeriodic, activation, gradient
from gradscope.predict._profile import gradient_norm
from gradscope.predict._repetition import Repetition
from gradscope.predict._sequence import STEADY, continued
from gradscope.schema import Estimate, LayerProfile, ParameterProfile, Profile

SETTLED = 0.01  # relative change between the two deepest runs of a quantity that is kept
FEWEST = 6  # blocks that show a law


@dataclass(frozen=True)
class _Run:
    """A shallow run: layers before the blocks, block by block, and behind them; parameters likewise."""

    head: tuple[LayerProfile, ...]
    blocks: tuple[tuple[LayerProfile, ...], ...]
    tail: tuple[LayerProfile, ...]
    profile: Profile

    @property
    def layers(self) -> list[LayerProfile]:
        return list(self.profile.layers)

    @property
    def usual(self) -> tuple[tuple[LayerProfile, ...], ...]:
        """The blocks that look like the last one."""
        return tuple(b for b in self.blocks if len(b) == len(self.blocks[-1]))

    @property
    def end(self) -> LayerProfile:
        return _end(self.blocks[-1])


@dataclass(frozen=True)
class _Course:
    """Signal and gradient in the whole model, as logarithms of second moments.

    Attributes:
        grown: of the stream, from the last block that was run to the last of all.
        moved: of the stream, between the last blocks of the two deepest runs.
        gradients: at the ends of all blocks; the first may stand for several.
        before: the same in the deepest run.
    """

    grown: float
    moved: float
    gradients: Array
    before: Array


def extrapolated(profiles: Sequence[Profile], counts: Sequence[int], run: Repetition) -> Profile:
    """The profile of all blocks from three profiles of fewer, the shallowest first.

    Raises:
        NotPeriodic: the layers of the blocks are not alike.
    """
    runs = [_divided(profile, count, run) for profile, count in zip(profiles, counts, strict=True)]
    missed = _distance(_continued(runs[0], runs[1], counts[2])[0], runs[2].layers)
    farther = (run.blocks - counts[2]) / (counts[2] - counts[1])
    found, course = _continued(runs[1], runs[2], run.blocks)
    layers = tuple(continuation.widened(layer, missed * farther) for layer in found)
    deepest = profiles[2]
    added, last = len(layers) - len(deepest.layers), runs[2].blocks[-1][0].node.index
    outputs = tuple(i + added if i >= last else i for i in deepest.outputs)
    parameters = _parameters(runs[1], runs[2], run, course)
    share = f"{counts[2]:,} of {run.blocks:,} blocks of {run.path or 'the model'} run, the others extrapolated"
    network = {name: _settled(name, e, profiles[1].network) for name, e in deepest.network.items()}
    return replace(
        deepest,
        layers=layers,
        outputs=outputs,
        parameters=parameters,
        network=network
        | {
            "fallback_share": deepest.network["fallback_share"],
            "gradient_norm": gradient_norm(parameters),
            "gradient_gain": continuation.gain(layers, outputs),
            "blocks_run": Estimate.exact(float(counts[2]), METHOD, run.blocks),
        },
        coverage=replace(deepest.coverage, layers=len(layers), capture=f"{deepest.coverage.capture}; {share}"),
    )


def _divided(profile: Profile, count: int, run: Repetition) -> _Run:
    starts = []
    for block in range(count):
        prefix = run.member(block)
        found = (x.node.index for x in profile.layers if x.name == prefix or x.name.startswith(f"{prefix}."))
        starts.append(next(found, -1))
    lengths = {b - a for a, b in itertools.pairwise(starts[1:])}  # the first block may differ
    if min(starts) < 0 or count < FEWEST or len(lengths) != 1:
        raise NotPeriodic
    ends = [*starts[1:], starts[-1] + lengths.pop()]
    blocks = tuple(tuple(profile.layers[a:b]) for a, b in zip(starts, ends, strict=True))
    likes = zip(blocks[-2], blocks[-1], strict=True)
    if any(x.node.op != y.node.op or x.node.shape != y.node.shape for x, y in likes):
        raise NotPeriodic
    return _Run(tuple(profile.layers[: starts[0]]), blocks, tuple(profile.layers[ends[-1] :]), profile)


def _end(block: Sequence[LayerProfile]) -> LayerProfile:
    for layer in reversed(block):
        if math.isfinite(activation(layer) + gradient(layer)):
            return layer
    raise NotPeriodic


# --- laws --------------------------------------------------------------------------------------------


def _exponent(what: Callable[[LayerProfile], float], now: LayerProfile, before: LayerProfile, moved: float) -> float:
    """By which power of the stream's second moment something behind the last block goes."""
    own = what(now) - what(before)
    return own / moved if abs(moved) > STEADY and math.isfinite(own) else 0.0


def _course(shallow: _Run, deep: _Run, blocks: int) -> _Course:
    usual = deep.usual
    count = blocks - len(deep.blocks) + len(usual)
    stream = continued([activation(_end(b)) for b in usual], count, has_end=False)
    grown, moved = float(stream[-1] - stream[len(usual) - 1]), activation(deep.end) - activation(shallow.end)
    before = np.array([gradient(_end(b)) for b in usual])
    gradients = continued(before, count, has_end=True)
    at_end = before[-1] + _exponent(gradient, deep.end, shallow.end, moved) * grown
    return _Course(grown, moved, gradients - gradients[-1] + at_end, before)


def _continued(shallow: _Run, deep: _Run, blocks: int) -> tuple[list[LayerProfile], _Course]:
    """The layers of a model with so many blocks, and the course that they follow."""
    course, usual = _course(shallow, deep, blocks), deep.usual
    count, first = len(course.gradients), len(deep.blocks) - len(usual)
    amplified = float(course.gradients[0] - course.before[0])
    ahead = (*deep.head, *(x for b in deep.blocks[:first] for x in b))
    further = float(_widths([_end(b) for b in usual], count)[1][0] / continuation.width(_end(usual[0]).gradient))
    layers = [continuation.scaled(x, 0.0, amplified, (None, further * continuation.width(x.gradient))) for x in ahead]
    laws = []
    for position in range(len(usual[-1])):
        own = [b[position] for b in usual]
        relative = [gradient(x) - s for x, s in zip(own, course.before, strict=True)]
        gradients = course.gradients + continued(relative, count, has_end=True)
        activations = continued([activation(x) for x in own], count, has_end=False)
        laws.append((activations, gradients, *_widths(own, count)))
    for block in range(count):
        step = max(0, block - len(usual) + 1)
        for layer, before, (own, gradients, forward, back) in zip(usual[block - step], usual[-2], laws, strict=True):
            more = float(own[block] - activation(layer)) if step else 0.0
            back_by = float(gradients[block] - gradient(layer))
            later = continuation.scaled(layer, more, back_by, (float(forward[block]), float(back[block])))
            layers.append(continuation.moved(later, before, step) if step else later)
    added = (blocks - len(deep.blocks)) * len(usual[-1])
    for layer, before in zip(deep.tail, shallow.tail, strict=True):
        forward, back = (_exponent(what, layer, before, course.moved) * course.grown for what in (activation, gradient))
        inputs = tuple(i + added if i >= usual[-1][0].node.index else i for i in layer.node.inputs)
        node = replace(layer.node, index=layer.node.index + added, inputs=inputs)
        layers.append(replace(continuation.scaled(layer, forward, back), node=node))
    return layers, course


def _widths(layers: Sequence[LayerProfile], count: int) -> tuple[Array, Array]:
    """How far the intervals of activations and gradients reach: their squares grow from the start, and from the end."""
    forward = np.array([continuation.width(x.activation) for x in layers])
    back = np.array([continuation.width(x.gradient) for x in layers])
    with np.errstate(invalid="ignore"):
        grown = np.sqrt(np.maximum(continued(forward**2, count, has_end=False), forward[-1] ** 2))
        grown[: forward.size] = forward
        from_end = np.sqrt(np.maximum(continued((back**2)[::-1], count, has_end=False), back[-1] ** 2))
    return grown, from_end[::-1]


def _parameters(shallow: _Run, deep: _Run, run: Repetition, course: _Course) -> tuple[ParameterProfile, ...]:
    """Those that were in the model, and those of the blocks that were not.

    A gradient of a parameter is that of infinite width, those of layers are typical ones: their ratio grows with the
    distance from the end, at the rate by which the two deepest runs differ.
    """
    own, known = continuation.parameter_gradient, {p.name: p for p in shallow.profile.parameters}
    size, before = len(course.before), [gradient(_end(b)) for b in shallow.usual]
    count, apart = len(course.gradients), size - len(before)
    amplified = float(course.gradients[0] - course.before[0])

    def drift(parameter: ParameterProfile, block: int) -> float:
        relative = own(parameter) - course.before[block], own(known[parameter.name]) - before[block]
        return float(relative[0] - relative[1]) / apart

    inside: dict[tuple[int, str], list[ParameterProfile]] = {}
    ahead, behind = [], []
    for parameter in deep.profile.parameters:
        if run.block_of(parameter.name) is not None:
            inside.setdefault(run.within(parameter.name), []).append(parameter)
        elif inside:
            change = own(parameter) - own(known[parameter.name])
            power = change / course.moved * course.grown if abs(course.moved) > STEADY else 0.0
            behind.append(continuation.scaled_parameter(parameter, power))
        else:
            further = drift(parameter, 0) * (count - size)
            ahead.append(continuation.scaled_parameter(parameter, amplified + further))
    first = len(deep.blocks) - size
    laws = []
    for series in inside.values():
        if len(series) != len(deep.blocks):
            raise NotPeriodic
        rate = drift(series[first], 0)
        relative = np.array([own(p) for p in series[first:]]) - course.before - rate * np.arange(size)[::-1]
        later = continued(relative, count, has_end=True) + rate * np.arange(count)[::-1]
        laws.append((series, course.gradients + later))
    blocks = []
    for block in range(-first, count):
        step = max(0, block - size + 1)
        for series, gradients in laws:
            last = series[first + block - step]
            power = amplified if block < 0 else float(gradients[block]) - own(last)
            name = continuation.counted_on(series[-2].name, series[-1].name, step) if step else last.name
            blocks.append(replace(continuation.scaled_parameter(last, power), name=name))
    return (*ahead, *blocks, *behind)


def _settled(name: str, deepest: Estimate, before: dict[str, Estimate]) -> Estimate:
    """A quantity of the network that no longer depends on the depth; unknown if it does."""
    other = before.get(name)
    is_settled = other is not None and abs(deepest.value - other.value) <= SETTLED * abs(deepest.value)
    return deepest if is_settled else Estimate.unknown("it depends on blocks that were not run")


def _distance(foretold: Sequence[LayerProfile], found: Sequence[LayerProfile]) -> float:
    """The largest miss of a logarithm of a second moment."""
    if len(foretold) != len(found):
        raise NotPeriodic
    missed = [abs(what(a) - what(b)) for a, b in zip(foretold, found, strict=True) for what in (activation, gradient)]
    return max((m for m in missed if math.isfinite(m)), default=math.inf)
