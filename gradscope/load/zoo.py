"""Models that a library describes: Hugging Face configurations, timm and torchvision names; never the network."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable
from typing import Any

from torch import nn

from gradscope.load.failure import USER_ERRORS, failure
from gradscope.load.target import Target
from gradscope.schema import GradscopeError

Factory = Callable[[], nn.Module]

_HEADS = (  # what a model type is usually trained for; a language model is also listed under narrower heads
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING",
    "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING",
    "MODEL_FOR_MASKED_LM_MAPPING",
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING",
    "MODEL_FOR_CAUSAL_LM_MAPPING",
    "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING",
    "MODEL_FOR_CTC_MAPPING",
    "MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING",
    "MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING",
    "MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING",
    "MODEL_FOR_OBJECT_DETECTION_MAPPING",
    "MODEL_FOR_TIME_SERIES_PREDICTION_MAPPING",
    "MODEL_FOR_PRETRAINING_MAPPING",
    "MODEL_MAPPING",
)


def factory(target: Target) -> Factory:
    """What builds the model that a target of a library names.

    Raises:
        GradscopeError: the library is missing or broken, or knows no such model.
    """
    build = {"hf": _hugging_face, "timm": _timm, "torchvision": _torchvision}[target.kind]
    return build(target)


def _library(name: str, what_for: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            raise GradscopeError(f"{name} is not installed; `pip install {name}` to analyse {what_for}.") from error
        raise failure(f"Importing {name}", error) from error
    except USER_ERRORS as error:  # a torchvision built for another torch raises a RuntimeError
        hint = f"The installed {name} does not fit the installed torch; install builds of the same release."
        raise failure(f"Importing {name}", error, hint=hint) from error


def _timm(target: Target) -> Factory:
    timm = _library("timm", "its models")
    if not timm.is_model(target.place.split(".")[0]):
        raise GradscopeError(f"timm has no model {target.place!r}{_alike(target.place, timm.list_models())}.")
    return lambda: timm.create_model(target.place, *target.args, pretrained=False, **target.kwargs)


def _torchvision(target: Target) -> Factory:
    _library("torchvision", "its models")
    models = _library("torchvision.models", "its models")
    names = models.list_models()
    if target.place not in names:
        raise GradscopeError(f"torchvision has no model {target.place!r}{_alike(target.place, names)}.")
    defaults = {"weights": None, "weights_backbone": None} if "_backbone" in _signature(models, target.place) else {}
    return lambda: models.get_model(target.place, *target.args, **(defaults | target.kwargs))


def _signature(models: Any, name: str) -> str:
    import inspect

    return str(inspect.signature(models.get_model_builder(name)))


def _hugging_face(target: Target) -> Factory:
    transformers = _library("transformers", "Hugging Face models")
    config = _configuration(transformers, target)
    for name, value in target.settings.items():
        _set(config, name, value)
    architecture = _architecture(transformers, config)
    return lambda: architecture(config)


def _configuration(transformers: Any, target: Target) -> Any:
    """The configuration a target names: a file or folder, a class, or a model type with its default sizes."""
    place = target.place
    if os.path.exists(place):
        return _configuration_of_file(transformers, place)
    if place.endswith(".json"):
        raise GradscopeError(f"{place}: no such file.")
    cls = getattr(transformers, place, None)
    if cls is None:
        types = transformers.models.auto.configuration_auto.CONFIG_MAPPING
        if place not in types:
            raise GradscopeError(
                f"transformers has no model type or configuration class {place!r}{_alike(place, list(types.keys()))}; "
                "models are described by a local config.json, never downloaded."
            )
        cls = types[place]
    if not isinstance(cls, type) or not issubclass(cls, transformers.PreTrainedConfig):
        raise GradscopeError(f"{place} is no configuration class of transformers; write for example hf:GPT2Config.")
    try:
        return cls(*target.args, **target.kwargs)
    except USER_ERRORS as error:
        raise failure(f"Building {place}", error) from error


def _set(config: Any, name: str, value: Any) -> None:
    """Replace a value of a configuration, `text_config.num_hidden_layers` inside a part of it.

    Raises:
        GradscopeError: it has no such value.
    """
    *parts, last = name.split(".")
    for part in parts:
        config = getattr(config, part, None)
    known = getattr(config, "to_dict", dict)()
    if last not in known and not hasattr(config, last):
        kind = type(config).__name__ if config is not None else name.rpartition(".")[0]
        raise GradscopeError(f"{kind} has no setting {last!r}{_alike(last, list(known))}.")
    setattr(config, last, value)


def _configuration_of_file(transformers: Any, path: str) -> Any:
    path = os.path.join(path, "config.json") if os.path.isdir(path) else path
    try:
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
        kind = values.pop("model_type")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise GradscopeError(f"{path} is no Hugging Face configuration (JSON with a model_type): {error}.") from error
    types = transformers.models.auto.configuration_auto.CONFIG_MAPPING
    if kind not in types:
        raise GradscopeError(f"{path}: the installed transformers knows no model_type {kind!r}.")
    try:
        return types[kind].from_dict(values)
    except USER_ERRORS as error:
        raise failure(f"Reading {path}", error) from error


def _architecture(transformers: Any, config: Any) -> Callable[[Any], nn.Module]:
    """The class that the configuration names, else the first usual head of its model type."""
    for name in getattr(config, "architectures", None) or ():
        cls = getattr(transformers, name, None)
        if cls is not None:
            return cls
    modeling = transformers.models.auto.modeling_auto
    for name in _HEADS:
        mapping = getattr(modeling, name, {})
        if type(config) in mapping:
            cls = mapping[type(config)]
            return cls[0] if isinstance(cls, tuple | list) else cls
    raise GradscopeError(f"transformers has no model for {type(config).__name__}; add architectures to the config.")


def _alike(name: str, known: list[str]) -> str:
    import difflib

    alike = difflib.get_close_matches(name, known, n=3)
    return f"; similar names: {', '.join(alike)}" if alike else ""
