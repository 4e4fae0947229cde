"""Candidates from what a model declares: example arrays, timm's input size, Hugging Face's configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradscope.load.inputs.facts import Facts
from gradscope.load.inputs.names import by_name
from gradscope.load.inputs.spec import Candidate, TensorSpec


def example_array(facts: Facts) -> Iterator[Candidate]:
    """`example_input_array` of a Lightning module."""
    example = getattr(facts.model, "example_input_array", None)
    if isinstance(example, Mapping):
        yield Candidate("example_input_array", example, is_likely=True)
    elif example is not None:
        args = example if isinstance(example, tuple) else (example,)
        yield Candidate("example_input_array", dict(zip(facts.positions, args, strict=False)), is_likely=True)


def input_size(facts: Facts) -> Iterator[Candidate]:
    """The input size in timm's configuration of the model."""
    for name in ("pretrained_cfg", "default_cfg"):
        size = (vars(facts.model).get(name) or {}).get("input_size")
        if size:
            yield Candidate(f"{name}['input_size']", {facts.positions[0]: TensorSpec(tuple(size))}, is_likely=True)


def arguments_by_name(facts: Facts) -> Iterator[Candidate]:
    """The main input that a Hugging Face model names, with what its kind needs beside it."""
    main = getattr(facts.model, "main_input_name", None)
    if not isinstance(main, str) or facts.setting("model_type") is None:
        return
    base = [*([main] if main in facts.parameters and main not in facts.required else []), *facts.required]
    for extra in _companions(facts):
        names = base + [name for name in extra if name not in base]
        inputs = {name: spec for name in names if (spec := by_name(name, facts)) is not None}
        yield Candidate("the configuration", inputs, is_likely=True)


def _companions(facts: Facts) -> Iterator[list[str]]:
    """Which further arguments to try, the most complete first."""
    sets = [["decoder_input_ids"]] if facts.setting("is_encoder_decoder") else []
    sets += [["input_ids", "pixel_values", "image_grid_thw"]]
    sets += [["input_ids", other] for other in ("pixel_values", "input_features", "input_values")]
    sets += [[], ["decoder_input_ids"], ["pixel_values"], ["input_ids"], ["bbox"], ["input_values"]]
    for index, names in enumerate(sets):
        if names not in sets[:index] and all(name in facts.parameters for name in names):
            yield names
