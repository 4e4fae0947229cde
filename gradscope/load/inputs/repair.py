"""Read an error message as a request: each rule turns inputs that failed into inputs that do what it asks for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from gradscope.load.inputs.facts import Facts
from gradscope.load.inputs.names import all_by_name, by_name, tokens
from gradscope.load.inputs.resize import channels, enlarged, exchanged, flattened, numbers, rank
from gradscope.load.inputs.spec import UNNAMED, Candidate, Fields, TensorSpec
from gradscope.raised import message_of

Rule = Callable[[str, Candidate, Facts], Iterator[Candidate]]


def repairs(error: BaseException, candidate: Candidate, facts: Facts) -> Iterator[Candidate]:
    """What to try instead of `candidate`, the most certain first."""
    message = f"{type(error).__name__}: {message_of(error)}"
    for rule in RULES:
        yield from rule(message, candidate, facts)


def asked_argument(message: str, candidate: Candidate, facts: Facts) -> Iterator[Candidate]:
    """ "You must specify pixel_values": add every argument of `forward` that the message names."""
    words = set(re.findall(r"\w+", message))
    missing = [n for n in facts.parameters if n in words and n not in candidate.inputs]
    specs = {name: spec for name in missing if (spec := by_name(name, facts)) is not None}
    if specs:
        yield candidate.changed(**specs)
    for name, spec in specs.items() if len(specs) > 1 else ():
        yield candidate.changed(**{name: spec})


def placeholders(message: str, candidate: Candidate, facts: Facts) -> Iterator[Candidate]:
    """ "Image features and image tokens do not match, tokens: 0, features: 196": put in as many placeholders."""
    match = re.search(r"features?:? *\D{0,20}(\d+)", message) if "token" in message else None
    identifier = facts.placeholder
    if match is None or identifier is None or "input_ids" not in candidate.inputs:
        return
    features = int(match[1])
    text = tokens(facts)
    length = candidate.inputs["input_ids"].shape
    for count in dict.fromkeys((features // candidate.batch, features)):
        if not count or count * candidate.batch < features:
            continue
        longer = (text.shape[0] + count,)
        along = {  # what goes with every token grows with the text, and marks the same places
            name: replace(spec, shape=longer, placeholder=(1, count) if spec.values == "constant" else None)
            for name, spec in candidate.inputs.items()
            if isinstance(spec, TensorSpec) and spec.shape == length and spec.values in ("constant", "ones")
        }
        yield candidate.changed(**along, input_ids=replace(text, shape=longer, placeholder=(identifier, count)))


def integers(message: str, candidate: Candidate, facts: Facts) -> Iterator[Candidate]:
    """ "Expected tensor for argument #1 'indices' to have ... Long, Int; but got float": give ids."""
    if candidate.main is None or not re.search(r"scalar types?:? .*Long|indices must be|must be .*[Ll]ong", message):
        return
    name, spec = candidate.main
    if spec.is_floating:
        yield candidate.changed(**{name: tokens(facts)})


def dictionary(message: str, candidate: Candidate, facts: Facts) -> Iterator[Candidate]:
    """ "KeyError: 'image'", "no attribute 'edge_index'": the argument is a record with that entry."""
    if len(candidate.inputs) != 1:
        return
    ((name, value),) = candidate.inputs.items()
    if isinstance(value, TensorSpec):
        kind = Fields if "'Tensor' object has no attribute" in message else dict
        is_indexed = re.search(r"too many indices|only integers, slices|'str'|not a string|must be tuple", message)
        if is_indexed or kind is Fields:
            yield candidate.changed(**{name: kind({UNNAMED: value})})
        return
    entry = re.search(r"KeyError: '(\w+)'|'Fields' object has no attribute '(\w+)'", message)
    if entry and isinstance(value, dict):
        key = entry[1] or entry[2]
        known = [spec for k, spec in value.items() if k != key]
        others = {k: spec for k, spec in value.items() if k != UNNAMED}
        for spec in (*all_by_name(key, facts), *known):
            yield candidate.changed(**{name: type(value)({UNNAMED: known[0], **others, key: spec})})


RULES: tuple[Rule, ...] = (
    asked_argument, placeholders, integers, channels, rank, exchanged, flattened, dictionary, enlarged, numbers,
)  # fmt: skip
