"""Activations beyond the range of half precision."""

from gradscope import diagnose
from gradscope.config import Config
from tests.diagnose.profiles import layer, profile

FP16 = Config(precision="fp16")


def test_only_of_a_training_in_half_precision() -> None:
    large = profile([layer(1), layer(2, activation=3e4)])  # their largest is three times that

    assert [f.layers for f in diagnose.findings(large, FP16, select=["GS403"])] == [("layer2",)]
    assert not diagnose.findings(large, Config(precision="bf16"), select=["GS403"])
    assert not diagnose.findings(large, Config(), select=["GS403"])
    assert not diagnose.findings(profile([layer(1, activation=2e4)]), FP16, select=["GS403"])
