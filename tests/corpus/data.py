"""Real data that needs no download: scikit-learn's bundled sets and the text of Python's own manual."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, partial
from pydoc_data.topics import topics

import torch
from sklearn import datasets
from torch import Tensor

ALPHABET = "\n abcdefghijklmnopqrstuvwxyz.,'`()#"
"""The characters of the text task; "#" stands for every other one."""

TEXT_CHARACTERS = 40_000
CONTEXT = 8
"""Characters that a language model sees at once."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a model is to learn.

    Attributes:
        inputs: (samples, ...), as the data come: not scaled.
        targets: class indices (samples,) or (samples, tokens), or values (samples, outputs).
        classes: number of classes, 0 for values.
        per_feature: whether standardizing treats each column by itself.
    """

    inputs: Tensor
    targets: Tensor
    classes: int
    per_feature: bool = False

    @property
    def features(self) -> int:
        """Size of the last input dimension, or of the alphabet where inputs are tokens."""
        return len(ALPHABET) if self.inputs.dtype == torch.long else self.inputs.shape[-1]

    @property
    def outputs(self) -> int:
        """Width of the model's output."""
        return self.classes or self.targets.shape[-1]


def _digits(shape: tuple[int, ...]) -> Task:
    images, labels = datasets.load_digits(return_X_y=True)
    return Task(torch.tensor(images, dtype=torch.float32).view(-1, *shape), torch.tensor(labels), 10)


def _digit_rows(blank: int) -> Task:
    """An image row by row, then `blank` empty rows: the answer is due long after the evidence."""
    rows = _digits((8, 8))
    lag = rows.inputs.mean().expand(len(rows.inputs), blank, 8)  # the mean, so that standardized rows are zero
    return Task(torch.cat([rows.inputs, lag], dim=1), rows.targets, 10)


def _autoencoder() -> Task:
    images = _digits((64,)).inputs
    return Task(images, (images - images.mean()) / images.std(), 0)


def _table(load: str, classes: int) -> Task:
    table, labels = getattr(datasets, load)(return_X_y=True)
    targets = torch.tensor(labels) if classes else torch.tensor(labels, dtype=torch.float32)[:, None]
    return Task(torch.tensor(table, dtype=torch.float32), targets, classes, per_feature=True)


def _text() -> Task:
    """Predict each next character from those before it."""
    text = re.sub(r" +", " ", "\n".join(topics[name] for name in sorted(topics)))[:TEXT_CHARACTERS].lower()
    codes = torch.tensor([ALPHABET.find(c) if c in ALPHABET else len(ALPHABET) - 1 for c in text])
    windows = codes.unfold(0, CONTEXT + 1, CONTEXT // 2)
    return Task(windows[:, :-1].contiguous(), windows[:, 1:].contiguous(), len(ALPHABET))


_TASKS = {
    "digits": partial(_digits, (64,)),
    "digits-image": partial(_digits, (1, 8, 8)),
    "digits-rows": partial(_digit_rows, 0),
    "digits-rows-lag8": partial(_digit_rows, 8),
    "digits-rows-lag24": partial(_digit_rows, 24),
    "digits-rows-lag48": partial(_digit_rows, 48),
    "digits-autoencoder": _autoencoder,
    "cancer": partial(_table, "load_breast_cancer", 2),
    "wine": partial(_table, "load_wine", 3),
    "diabetes": partial(_table, "load_diabetes", 0),
    "text": _text,
}
TASKS = tuple(_TASKS)


@cache
def task(name: str) -> Task:
    """The data set of that name."""
    return _TASKS[name]()


def _standardized(data: Task) -> Tensor:
    across = 0 if data.per_feature else tuple(range(data.inputs.dim()))
    mean, std = data.inputs.mean(across), data.inputs.std(across)
    return (data.inputs - mean) / std


INPUTS = {
    "standardized": _standardized,
    "raw": lambda data: data.inputs,
    "tenfold": lambda data: 10 * _standardized(data),
    "thousandfold": lambda data: 1e3 * _standardized(data),
    "millionfold": lambda data: 1e6 * _standardized(data),
    "thousandth": lambda data: 1e-3 * _standardized(data),
    "millionth": lambda data: 1e-6 * _standardized(data),
    "offset-10": lambda data: _standardized(data) + 10,
    "offset-1000": lambda data: _standardized(data) + 1000,
    "one-column-huge": lambda data: _standardized(data).index_fill(-1, torch.tensor([0]), 1e4),
    "zero": lambda data: torch.zeros_like(data.inputs),
    "same-sample": lambda data: _standardized(data)[:1].expand_as(data.inputs),
}


def _permuted(targets: Tensor) -> Tensor:
    return targets[torch.randperm(len(targets), generator=torch.Generator().manual_seed(0))]


def _standard(targets: Tensor) -> Tensor:
    return (targets - targets.mean()) / targets.std()


TARGETS = {
    "given": lambda targets: targets,
    "standardized": _standard,
    "thousandfold": lambda targets: 1e3 * _standard(targets),
    "millionfold": lambda targets: 1e6 * _standard(targets),
    "offset-100": lambda targets: _standard(targets) + 100,
    "permuted": _permuted,
}


@cache
def tensors(name: str, inputs: str, targets: str) -> tuple[Tensor, Tensor]:
    """Inputs and targets as the model meets them; token inputs are never scaled."""
    data = task(name)
    scaled = data.inputs if data.inputs.dtype == torch.long else INPUTS[inputs](data).contiguous()
    return scaled, TARGETS[targets](data.targets)
