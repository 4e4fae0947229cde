"""Models that ask whether something is finite before they go on."""

import torch
from torch import Tensor, nn

from gradscope import predict
from tests.predict.checks import Between
from tests.subjects import random


def asked(question: str) -> tuple[dict[str, int], list[str]]:
    """The gaps of a model that clamps where the answer is no, and the layers that it ran."""

    def clamped(h: Tensor) -> Tensor:
        is_fine = torch.isfinite(h).all() if question == "isfinite" else not getattr(torch, question)(h).any()
        return h if is_fine else nn.functional.dropout(h)

    run = predict.forward(predict.plan(lambda: Between(clamped)), (random(8, 64),))
    return dict(run.trace.fallbacks.reasons), [layer.op for layer in run.layers.list]


def test_a_prediction_answers_what_holds_for_any_draw() -> None:
    for question in ("isfinite", "isinf", "isnan"):
        gaps, layers = asked(question)

        assert not gaps and "dropout" not in layers, (question, gaps, layers)


def test_what_depends_on_the_draw_stays_a_gap() -> None:
    model = lambda: Between(lambda h: h if (h > 0).all() else 2 * h)  # noqa: E731
    run = predict.forward(predict.plan(model), (random(8, 64),))

    assert dict(run.trace.fallbacks.reasons) == {"a decision that depends on data": 1}
