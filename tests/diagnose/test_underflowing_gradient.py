"""Gradients that half precision rounds to zero."""

import math

import pytest
import torch

from gradscope import diagnose
from gradscope.config import Config
from tests.diagnose.profiles import layer, profile

FP16 = Config(precision="fp16")


def test_the_share_is_that_of_a_real_cast() -> None:
    rms = 5e-8
    gradient = rms * torch.randn(100_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lost = (gradient.half() == 0).double().mean().item()
    (finding,) = diagnose.findings(profile([layer(1, gradient=rms)]), FP16, select=["GS402"])

    assert finding.evidence["flushed_share"].value == pytest.approx(lost, abs=4 * math.sqrt(0.25 / 100_000))


def test_only_of_a_training_in_half_precision() -> None:
    small = profile([layer(1, gradient=1e-9)])

    assert [f.severity for f in diagnose.findings(small, FP16, select=["GS402"])] == ["error"]
    assert not diagnose.findings(small, Config(), select=["GS402"])
    assert not diagnose.findings(small, Config(precision="bf16"), select=["GS402"])
    assert not diagnose.findings(profile([layer(1, gradient=1e-5)]), FP16, select=["GS402"])
    assert not diagnose.findings(profile([layer(1, gradient=0.0)]), FP16, select=["GS402"])  # a branch at zero
