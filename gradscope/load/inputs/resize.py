"""Error messages that ask for other sizes, and inputs of the sizes they ask for."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from gradscope.load.inputs.facts import LARGEST_SIDE, Facts
from gradscope.load.inputs.layers import SIDES
from gradscope.load.inputs.names import LENGTH
from gradscope.load.inputs.spec import Candidate, TensorSpec

NUMBERS_TRIED = 4  # of a message
FRAMES = 4  # of a clip
ENLARGEMENT = 4  # of a side that is too small
ESTIMATE_ERROR = 8  # pixels or steps around an estimated size


def channels(message: str, candidate: Candidate, facts: Facts) -> Iterator[Candidate]:
    """ "expected input[8, 3, 32, 32] to have 1 channels, but got 3": give that many."""
    match = re.search(r"to have (\d+) channels, but got (\d+)|Expected (\d+) but got (\d+)", message)
    if match is None or candidate.main is None:
        return
    name, spec = candidate.main
    wanted, got = (int(group) for group in match.groups() if group)
    if got == wanted * candidate.batch and len(spec.shape) == 3:  # a clip whose frames were made samples
        yield candidate.resized(name, FRAMES, *spec.shape)
    elif len(spec.shape) > 1 and spec.shape[0] == got:
        yield candidate.resized(name, wanted, *spec.shape[1:])
    else:
        yield from _joined(candidate, got, wanted)


def flattened(message: str, candidate: Candidate, facts: Facts) -> Iterator[Candidate]:
    """ "mat1 and mat2 shapes cannot be multiplied (8x400 and 256x10)": scale the sides so that 256 come out."""
    match = re.search(r"\(\d+x(\d+) and (\d+)x\d+\)|\[\d+, (\d+)\] X \[(\d+), \d+\]", message)
    if match is None or candidate.main is None:
        return
    got, wanted = (int(group) for group in match.groups() if group)
    name, spec = candidate.main
    yield from _joined(candidate, got, wanted)
    if not spec.is_floating:
        return
    if len(spec.shape) == 3 and spec.shape[-1] == spec.shape[-2]:
        sides = _near(round(spec.shape[-1] * math.sqrt(wanted / got)))
        yield from (candidate.resized(name, spec.shape[0], side, side) for side in sides)
    elif len(spec.shape) == 2:
        yield from (candidate.resized(name, spec.shape[0], n) for n in _near(round(spec.shape[-1] * wanted / got)))


def exchanged(message: str, candidate: Candidate, facts: Facts) -> Iterator[Candidate]:
    """ "input2 size does not match weight size: got 3 but expected 4": 4 for a 3, in one input or another."""
    match = re.search(r"got (\d+),? but expected (\d+)|[Ee]xpected (\d+),? (?:but )?got (\d+)", message)
    if match is None:
        return
    got, wanted = (match[1], match[2]) if match[1] else (match[4], match[3])
    for name, spec in reversed(list(candidate.inputs.items())):
        if isinstance(spec, TensorSpec) and spec.is_floating and int(got) in spec.shape:
            shape = tuple(int(wanted) if size == int(got) else size for size in spec.shape)
            yield candidate.changed(**{name: spec.resized(*shape)})


def rank(message: str, candidate: Candidate, facts: Facts) -> Iterator[Candidate]:
    """ "not enough values to unpack (expected 5, got 4)": one more dimension, or one less."""
    named = re.search(r"must be a (\d)D tensor of shape \(batch_size, (\d+),", message)
    more = re.search(
        r"not enough values to unpack \(expected \d+, got (\d)\)|Dimension out of range|got (\d)D", message
    )
    less = re.search(r"too many values to unpack \(expected (\d)\)", message)
    for name, spec in candidate.inputs.items():
        if not isinstance(spec, TensorSpec):
            continue
        dimensions = len(spec.shape) + 1
        if named and dimensions < int(named[1]):
            yield candidate.resized(name, int(named[2]), *spec.shape)
        elif more and dimensions == int(more[1] or more[2] or dimensions):
            counts = (LENGTH, 1) if len(spec.shape) == 1 else (1, 2, FRAMES)
            yield from (candidate.resized(name, count, *spec.shape) for count in counts)
        elif less and dimensions > int(less[1]):
            yield candidate.resized(name, *spec.shape[1:])


def enlarged(message: str, candidate: Candidate, facts: Facts) -> Iterator[Candidate]:
    """ "Kernel size can't be greater than actual input size": an image of four times the side."""
    if not re.search(r"Kernel size can't be greater|[Oo]utput size is too small|too small", message):
        return
    for name, spec in candidate.inputs.items():
        if isinstance(spec, TensorSpec) and spec.is_floating and len(spec.shape) >= 2:
            kept = spec.shape[:-2] if len(spec.shape) >= 3 else spec.shape[:-1]
            larger = (size * ENLARGEMENT for size in spec.shape[len(kept) :])
            yield candidate.resized(name, *kept, *larger)


def numbers(message: str, candidate: Candidate, facts: Facts) -> Iterator[Candidate]:
    """ "Input height (32) doesn't match model (224)": try every number of the message as side or length."""
    is_about_size = re.search(r"size|height|width|resolution|length|pixel|position", message)
    if not is_about_size or re.search(r"tensor a \(|[Kk]ernel", message):
        return
    said = [int(number) for number in re.findall(r"\d+", message) if 4 <= int(number) <= LARGEST_SIDE]
    for name, spec in candidate.inputs.items():
        if not isinstance(spec, TensorSpec) or (spec.is_floating and len(spec.shape) < 3):
            continue
        for number in list(dict.fromkeys(n for n in said if n not in spec.shape))[:NUMBERS_TRIED]:
            if spec.is_floating:
                shape = (*spec.shape[:-2], number, number)
                yield candidate.changed(**{name: spec.resized(*shape)})
                yield candidate.resized(name, *shape)
            elif spec.values == "ids" and len(spec.shape) == 1 and number < spec.shape[0]:
                yield candidate.resized(name, number)


def _joined(candidate: Candidate, got: int, wanted: int) -> Iterator[Candidate]:
    """Vectors that the model joins before a layer: one of them gives or takes the difference, or all share alike."""
    joined = [
        (n, s) for n, s in candidate.inputs.items() if isinstance(s, TensorSpec) and s.is_floating and len(s.shape) == 1
    ]
    for name, spec in joined:
        if spec.shape[0] + wanted - got > 0:
            yield candidate.changed(**{name: spec.resized(spec.shape[0] + wanted - got)})
    if len(joined) > 1 and sum(spec.shape[0] for _, spec in joined) == got and wanted >= len(joined):
        sizes = [wanted // len(joined)] * (len(joined) - 1)
        sizes.append(wanted - sum(sizes))
        pairs = zip(joined, sizes, strict=True)
        yield candidate.changed(**{name: spec.resized(size) for (name, spec), size in pairs})


def _near(estimate: int) -> list[int]:
    """Sizes around an estimate, which is rough because strides round down: usual ones first, then the nearest."""
    near = [n for n in range(estimate - ESTIMATE_ERROR, estimate + ESTIMATE_ERROR + 1) if 1 < n <= LARGEST_SIDE]
    return sorted(near, key=lambda n: (n not in SIDES, abs(n - estimate)))
