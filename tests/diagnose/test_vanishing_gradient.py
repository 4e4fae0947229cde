"""Decades lost on the way back."""

from gradscope.config import Config
from gradscope.diagnose.vanishing_gradient import vanishing_gradient
from tests.diagnose.profiles import chain, layer, profile


def test_fires_and_names_the_layers_that_lose_it() -> None:
    path = [layer(i, gradient=1e-6 if i < 5 else 1.0) for i in range(1, 10)]
    (finding,) = vanishing_gradient(profile(path), Config())

    assert finding.severity == "error"
    assert finding.layers == ("layer5",)
    assert abs(finding.evidence["decades_lost"].value - 6) < 1e-9


def test_a_smaller_loss_is_a_warning() -> None:
    (finding,) = vanishing_gradient(chain(10, gradient_gain=10 ** (-3.5 / 9)), Config())

    assert finding.severity == "warning"


def test_silent_when_the_gradient_keeps_its_size_or_grows() -> None:
    assert not list(vanishing_gradient(chain(50), Config()))
    assert not list(vanishing_gradient(chain(50, gradient_gain=2.0), Config()))


def test_a_small_residual_branch_is_no_alarm() -> None:
    branch = layer(2, gradient=1e-9)
    add = layer(3, op="add", inputs=[1, 2])

    assert not list(vanishing_gradient(profile([layer(1), branch, add]), Config()))


def test_an_exact_zero_is_meant() -> None:
    assert not list(vanishing_gradient(profile([layer(1, gradient=0.0), layer(2, gradient=0.0), layer(3)]), Config()))


def test_a_profile_without_gradients_is_silent() -> None:
    assert not list(vanishing_gradient(profile([layer(1, gradient=None), layer(2, gradient=None)]), Config()))
