"""Only what was measured to help is accepted; everything else is rejected with its reason, never with a crash."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradscope.borrow import borrowed
from gradscope.config import Config
from gradscope.prescribe import verify
from gradscope.prescribe._verify import Facts
from gradscope.schema import Finding, Prescription, Subject, Verification
from tests.prescribe.cases import finding, graph_of, profile_of, seeded
from tests.prescribe.sick import batches, tower
from tests.subjects import subject

CONFIG = replace(Config(), trial_steps=24)
QUICK = replace(CONFIG, trial_steps=6)  # where only what is asked matters, not what is reached
HELPFUL = """\
import torch
for module in model.modules():
    if isinstance(module, torch.nn.Linear):
        torch.nn.init.orthogonal_(module.weight, gain=1.6)
        torch.nn.init.zeros_(module.bias)"""
USELESS = "model.note = 'nothing was done'"
HARMFUL = HELPFUL.replace("gain=1.6", "gain=100.0")
NO_MODEL = "model = None"
BROKEN = "model.no_such_layer.weight.zero_()"
UNTRAINABLE = "model.requires_grad_(False)"


def prescription(remedy: str, code: str) -> Prescription:
    return Prescription(remedy, ("GS201",), ("0",), code, "safe", "because")


@cache
def sick() -> Subject:
    """A deep tanh network, whose signal dies out."""
    inputs, targets = next(batches()(0))
    model = seeded(lambda: tower(8, nn.Tanh, gain=0.25, width=32))
    return subject(model, inputs, loss=F.cross_entropy, targets=targets, classes=10, batches=batches(size=32))


def examine(one: Subject) -> Facts:
    """GS201 if the first layer's gradient is a thousand times smaller than the last one's."""
    with borrowed(one.model, training=True, seed=0):
        loss = one.loss(one.model(*one.args), one.targets)
        weights = [p for p in one.model.parameters() if p.dim() == 2]
        norms = [float(g.norm()) for g in torch.autograd.grad(loss, weights)]
    found: tuple[Finding, ...] = (finding("GS201"),) if norms[0] < 1e-3 * norms[-1] else ()
    return profile_of(graph_of(one), initial_loss=loss.item(), expected_loss=2.303), found


def verified(
    *texts: tuple[str, str], again=examine, of: Subject | None = None, config: Config = QUICK
) -> dict[str, Verification]:
    one = of or sick()
    found, _ = verify([prescription(*text) for text in texts], one, examine(one), again=again, config=config)
    return {v.remedy: v for v in found}


@cache
def everything() -> tuple[tuple[Verification, ...], dict]:
    texts = {"useless": USELESS, "broken": BROKEN, "no-model": NO_MODEL, "helpful": HELPFUL, "harmful": HARMFUL}
    listed = [prescription(name, code) for name, code in texts.items()]
    return verify(listed, sick(), examine(sick()), again=examine, config=CONFIG)


def verification(remedy: str) -> Verification:
    return next(v for v in everything()[0] if v.remedy == remedy)


def test_a_helpful_remedy_is_accepted_and_comes_first() -> None:
    first = everything()[0][0]
    print(first)
    assert first.remedy == "helpful"
    assert first.accepted
    assert first.trial is not None
    assert first.untouched is not None
    assert first.trial.final_loss.value < 0.5 * first.untouched.final_loss.value
    assert (first.trial.seeds, first.trial.steps) == (3, 24)
    assert first.before["GS201_findings"].value == 1
    assert first.after["GS201_findings"].value == 0


def test_a_remedy_that_leaves_the_finding_is_not_even_trained() -> None:
    found = verification("useless")
    assert not found.accepted
    assert found.trial is None
    assert "there is still GS201" in found.note


def test_a_harmful_initialization_is_rejected_by_the_trial() -> None:
    found = verification("harmful")
    print(found)
    assert found.after["GS201_findings"].value == 0, "the measurement alone would have accepted it"
    assert not found.accepted
    assert found.trial is not None
    assert "in none of 3 seeds" in found.note


@pytest.mark.parametrize(("remedy", "reason"), [("broken", "no_such_layer"), ("no-model", "left a NoneType")])
def test_a_text_that_fails_is_rejected_with_its_reason(remedy: str, reason: str) -> None:
    found = verification(remedy)
    assert not found.accepted
    assert reason in found.note
    assert found.trial is None


def test_the_rejected_come_last() -> None:
    assert [v.accepted for v in everything()[0]] == [True, False, False, False, False]


def test_a_cured_model_gets_a_recipe() -> None:
    recipe = everything()[1]
    print(recipe)
    assert 0 < recipe["learning_rate"]["value"] <= recipe["learning_rate"]["largest_stable"] / 4


def never(one: Subject) -> Facts:
    raise AssertionError("measured again")


def test_no_prescriptions_cost_nothing() -> None:
    one = replace(sick(), batches=None)
    assert verify([], one, examine(one), again=never, config=CONFIG) == ((), {})


def test_a_healthy_model_gets_a_recipe_on_its_users_data() -> None:
    inputs, targets = next(batches()(0))
    model = seeded(lambda: tower(2, nn.Tanh, gain=1.2, width=32))
    one = subject(model, inputs, loss=F.cross_entropy, targets=targets, classes=10, batches=batches(size=32))
    found, recipe = verify([], one, examine(one), again=never, config=CONFIG)
    print(recipe)
    assert found == ()
    assert recipe["learning_rate"]["value"] > 0


def test_a_copy_that_cannot_be_trained_is_rejected_with_its_reason() -> None:
    found = verified(("untrainable", UNTRAINABLE), again=lambda one: (examine(sick())[0], ()))["untrainable"]
    assert not found.accepted
    assert "cannot be trained" in found.note


def test_a_change_of_the_optimizer_is_judged_by_the_trial_alone() -> None:
    faster = "for group in optimizer.param_groups:\n    group['lr'] *= 0"
    found = verified(("frozen", faster), again=never)["frozen"]
    assert not found.accepted
    assert found.trial is not None
    assert found.trial.curve[0] == pytest.approx(found.trial.final_loss.value, rel=0.1)


def test_a_failing_measurement_is_a_reason_too() -> None:
    def fails(one: Subject) -> Facts:
        raise ZeroDivisionError("no such luck")

    assert "ZeroDivisionError: no such luck" in verified(("helpful", HELPFUL), again=fails)["helpful"].note


def test_an_untrainable_model_rejects_everything_with_one_reason() -> None:
    def no_data(seed: int):
        yield torch.zeros(3, 7), torch.zeros(3)

    found = verified(("helpful", HELPFUL), of=replace(sick(), batches=no_data))["helpful"]
    assert not found.accepted
    assert "a copy of the model cannot be trained: RuntimeError" in found.note


def test_a_model_that_cannot_be_copied_rejects_everything_with_one_reason() -> None:
    class Uncopyable(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)

        def __deepcopy__(self, memo: object) -> nn.Module:
            raise TypeError("one of a kind")

    inputs, targets = next(batches()(0))
    one = subject(Uncopyable(), inputs, loss=F.cross_entropy, targets=targets, classes=10)
    found = verified(("helpful", HELPFUL), of=one)["helpful"]
    assert "TypeError: one of a kind" in found.note


def test_without_expected_loss_and_batches_it_still_judges() -> None:
    def again(one: Subject) -> Facts:
        profile, findings = examine(one)
        return replace(profile, network={}), findings

    found = verified(("helpful", HELPFUL), again=again, of=replace(sick(), batches=None), config=CONFIG)["helpful"]
    print(found)
    assert found.accepted


def test_the_users_model_and_generators_are_untouched() -> None:
    one = sick()
    before = [p.detach().clone() for p in one.model.parameters()]
    state = torch.get_rng_state()
    verified(("helpful", HELPFUL), ("harmful", HARMFUL))
    assert all(map(torch.equal, before, (p.detach() for p in one.model.parameters())))
    assert all(p.grad is None for p in one.model.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_the_same_question_has_the_same_answer() -> None:
    assert verified(("helpful", HELPFUL)) == verified(("helpful", HELPFUL))


def test_a_remedy_beyond_the_budget_says_so() -> None:
    one, facts = sick(), examine(sick())
    poor = replace(CONFIG, trial_seconds=0.05)
    listed = [prescription("helpful", HELPFUL), prescription("helpful-too", HELPFUL)]
    found, _ = verify(listed, one, facts, again=examine, config=poor)
    assert "not tried" in found[-1].note
    assert found[0].trial is not None
    assert found[0].trial.steps == poor.trial_steps_least


def test_a_model_that_is_far_too_large_is_not_tried() -> None:
    found = verified(("helpful", HELPFUL), config=replace(CONFIG, trial_seconds=1e-6))["helpful"]
    assert not found.accepted
    assert found.note.startswith("not tried: a training step of this model takes about")


def test_progress_is_told() -> None:
    told: list[tuple[str, float]] = []
    one = sick()
    verify(
        [prescription("broken", BROKEN)],
        one,
        examine(one),
        again=examine,
        config=QUICK,
        progress=lambda what, fraction: told.append((what, fraction)),
    )
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions)
    assert any("broken" in what for what, _ in told)
