"""The loss that is chosen is what its words say, to the last digit."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradscope.load.objective import objective
from gradscope.schema import GradscopeError


def choose(output, *inputs, targets=None, loss=None, loss_name=None, seed=0):
    return objective(output, inputs, targets=targets, loss=loss, loss_name=loss_name, seed=seed)


@pytest.fixture
def logits() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return nn.Linear(6, 3)(torch.randn(50, 6, generator=generator))


def test_logits_get_a_cross_entropy_against_drawn_labels(logits):
    chosen = choose(logits)
    assert chosen.words == "cross-entropy over 3 classes, labels drawn with the seed"
    assert chosen.classes == 3 and set(chosen.targets.tolist()) == {0, 1, 2}
    assert torch.equal(chosen.loss(logits, chosen.targets), F.cross_entropy(logits, chosen.targets))
    assert torch.equal(chosen.targets, choose(logits).targets)
    assert not torch.equal(chosen.targets, choose(logits, seed=1).targets)


def test_drawing_labels_leaves_the_global_generator_alone(logits):
    before = torch.get_rng_state()
    choose(logits)
    assert torch.equal(before, torch.get_rng_state())


def test_token_logits_use_every_position():
    tokens = nn.Linear(6, 7)(torch.randn(5, 4, 6))
    chosen = choose(tokens)
    assert chosen.targets.shape == (5, 4)
    expected = F.cross_entropy(tokens.transpose(1, 2), chosen.targets)
    torch.testing.assert_close(chosen.loss(tokens, chosen.targets), expected)


def test_segmentation_logits_use_every_pixel():
    pixels = nn.Conv2d(3, 5, 1)(torch.randn(2, 3, 4, 6))
    chosen = choose(pixels)
    assert chosen.targets.shape == (2, 4, 6) and chosen.classes == 5
    torch.testing.assert_close(chosen.loss(pixels, chosen.targets), F.cross_entropy(pixels, chosen.targets))


def test_probabilities_are_not_taken_for_logits(logits):
    for output, words in ((logits.softmax(1), "of probabilities"), (logits.log_softmax(1), "of log-probabilities")):
        chosen = choose(output)
        assert words in chosen.words
        torch.testing.assert_close(chosen.loss(output, chosen.targets), F.cross_entropy(logits, chosen.targets))


def test_features_get_a_projection_of_the_order_of_their_rms():
    values = []
    for seed in range(200):
        features = torch.randn(8, 64, generator=torch.Generator().manual_seed(seed)).requires_grad_() * 3
        chosen = choose(features, seed=seed)
        values.append(chosen.loss(features, None).item() * math.sqrt(8) / 3)  # mean over samples -> one sample
    assert chosen.words == "a fixed random projection"
    spread = torch.tensor(values).std()
    assert 0.85 < spread < 1.15, spread


def test_the_gradient_of_the_projection_does_not_know_the_model():
    small = torch.randn(8, 64, requires_grad=True)
    chosen = choose(small * 1.0)
    (first,) = torch.autograd.grad(chosen.loss(small, None), small)
    (second,) = torch.autograd.grad(chosen.loss(100 * small, None), small)
    torch.testing.assert_close(100 * first, second)
    assert float(first.norm()) == pytest.approx(1 / math.sqrt(8), rel=0.1)  # 1 / B for each of B samples


def test_given_targets_choose_by_their_type(logits):
    labels, numbers = torch.zeros(50).long(), torch.zeros(50, 3)
    chosen = choose(logits, targets=labels)
    assert chosen.words == "cross-entropy over 3 classes, given labels"
    torch.testing.assert_close(chosen.loss(logits, labels), F.cross_entropy(logits, labels))
    chosen = choose(logits, targets=numbers)
    assert chosen.words == "mean squared error, given targets" and chosen.classes is None
    torch.testing.assert_close(chosen.loss(logits, numbers), F.mse_loss(logits, numbers))


def test_a_loss_of_the_users_is_called_with_the_whole_output(logits):
    seen = []

    def custom(output, targets):
        seen.append((output, targets))
        return output["logits"].mean()

    output = {"logits": logits}
    chosen = choose(output, targets="anything", loss=custom)
    assert seen == [(output, "anything")]
    assert chosen.words == "custom, given" and chosen.targets == "anything"


def test_losses_by_name(logits):
    for name, words in (("mse", "mean squared error"), ("l1", "mean absolute error"), ("bce", "binary")):
        chosen = choose(logits, loss_name=name)
        assert chosen.words.startswith(words) and chosen.targets.shape == (50, 3)
    assert choose(logits, loss_name="cross-entropy").classes == 3


def test_the_models_own_loss():
    chosen = choose({"loss": torch.ones(2, requires_grad=True).mean(), "logits": torch.zeros(3, 3)})
    assert chosen.words == "the model's own (output['loss'])"
    total = torch.ones((), requires_grad=True)
    assert choose(total).words == "the model's own"
    assert choose(total).loss(total, None) is total


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        (torch.full((50,), 3), "labels run from 3 to 3, but the output has 3 classes"),
        (torch.zeros(49).long(), "do not fit the output of shape"),
        (torch.zeros(50, 4), "do not fit the output of shape"),
        ([0, 1], "Targets of type list need a loss"),
    ],
)
def test_targets_that_do_not_fit(targets, says, logits):
    with pytest.raises(GradscopeError, match=says):
        choose(logits, targets=targets)


def test_a_language_model_of_transformers_is_trained_on_its_logits():
    import transformers

    config = transformers.GPT2Config(n_layer=1, n_embd=32, n_head=2, vocab_size=50, n_positions=16)
    output = transformers.GPT2LMHeadModel(config)(input_ids=torch.arange(10).view(2, 5))
    chosen = choose(output)
    assert chosen.words == "cross-entropy of output.logits over 50 classes, labels drawn with the seed"
    expected = F.cross_entropy(output.logits.flatten(0, 1), chosen.targets.flatten())
    torch.testing.assert_close(chosen.loss(output, chosen.targets), expected)


def test_the_projection_is_independent_of_the_inputs_of_the_same_seed_and_shape():
    from gradscope.load import subject

    found = subject(nn.Linear(64, 64))
    inputs = found.args[0]
    (direction,) = torch.autograd.grad(found.loss(x := inputs.clone().requires_grad_(), None), x)
    cosine = F.cosine_similarity(direction.flatten(), inputs.flatten(), dim=0)
    assert abs(float(cosine)) < 5 / math.sqrt(inputs.numel()), cosine
