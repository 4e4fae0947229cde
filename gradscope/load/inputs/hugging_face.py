"""Candidates for Hugging Face models: the arguments of `forward` by name, sized by the configuration."""

from __future__ import annotations

import re
from collections.abc import Generator

from gradscope.load.inputs.facts import Facts
from gradscope.load.inputs.names import by_name
from gradscope.load.inputs.spec import Candidate

ROUNDS = 6  # of adding the arguments that an error message asks for

Source = Generator[Candidate, BaseException | None, None]


def configured(facts: Facts) -> Source:
    """The main input that the model names, with what its kind needs beside it, repaired by the error's words."""
    main = getattr(facts.model, "main_input_name", None)
    if not isinstance(main, str) or facts.setting("model_type") is None:
        return
    base = [*([main] if main in facts.parameters and main not in facts.required else []), *facts.required]
    for extra in _companions(facts):
        names = base + [name for name in extra if name not in base]
        for _ in range(ROUNDS):
            kwargs = {name: spec for name in names if (spec := by_name(name, facts)) is not None}
            error = yield Candidate("the configuration", kwargs=kwargs)
            asked = _asked(error, facts, names)
            if not asked:
                break
            names += asked


def _companions(facts: Facts) -> list[list[str]]:
    """Which further arguments to try, the most complete first."""
    sets = [["decoder_input_ids"]] if facts.setting("is_encoder_decoder") else []
    if facts.setting("vision_config") is not None and facts.setting("text_config") is not None:
        sets.append(["input_ids", "pixel_values"])
    sets += [[], ["decoder_input_ids"], ["pixel_values"], ["input_ids"], ["bbox"], ["input_values"]]
    return [names for names in sets if all(name in facts.parameters for name in names)]


def _asked(error: BaseException | None, facts: Facts, given: list[str]) -> list[str]:
    """Arguments of `forward` that an error message mentions and that were not given."""
    words = set(re.findall(r"\w+", str(error or "")))
    return [name for name in facts.parameters if name in words and name not in given and by_name(name, facts)]
