"""Numbers that theory or careful simulation has established, reproduced by the predicted profile.

Closed forms hold to 1 %, simulated numbers to 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from gradscope import predict
from gradscope.schema import Profile

WIDE = 1 << 20  # as good as infinite
CLOSED, SIMULATED = 1e-2, 5e-2


def linear(width: int, weight: float, bias: float = 0.0) -> nn.Linear:
    """A layer with weight variance `weight` / width and bias variance `bias`."""
    layer = nn.Linear(width, width)
    nn.init.normal_(layer.weight, 0.0, math.sqrt(weight / width))
    nn.init.normal_(layer.bias, 0.0, math.sqrt(bias))
    return layer


def perceptron(
    activation: Callable[[], nn.Module], *, depth: int, width: int = WIDE, weight: float = 1.0, bias: float = 0.0
) -> Callable[[], nn.Sequential]:
    """A builder of a deep perceptron, whose last module is an activation."""
    return lambda: nn.Sequential(*(m for _ in range(depth) for m in (linear(width, weight, bias), activation())))


def signal(*shape: int, **moments: float) -> predict.Signal:
    return predict.Signal(shape, **moments)


def predicted(build: Callable[[], nn.Module], *inputs: predict.Signal) -> Profile:
    return predict.profile(predict.forward(predict.plan(build), inputs))


def second_moments(profile: Profile) -> dict[str, float]:
    return {layer.name: layer.activation.second_moment.value for layer in profile.layers if layer.activation}


def gradients(profile: Profile) -> dict[str, float]:
    return {layer.name: layer.gradient.second_moment.value for layer in profile.layers if layer.gradient}


def correlation(profile: Profile, samples: int) -> float:
    """Between the outputs of two samples: what differs is a share (1 - c) (1 - 1 / samples)."""
    return 1.0 - profile.network["output_variation"].value * samples / (samples - 1)


# --- one layer ---------------------------------------------------------------------------------------

ACTIVATIONS = {  # E f, E f^2, E f'^2 over a standard Gaussian
    nn.ReLU: (0.39894, 0.5, 0.5),
    nn.Tanh: (0.0, 0.39429, 0.46440),
    nn.Sigmoid: (0.5, 0.29338, 0.04484),
    nn.GELU: (0.28209, 0.42522, 0.45585),
    nn.SiLU: (0.20662, 0.35578, 0.37948),
    nn.Mish: (0.24040, 0.45234, 0.47908),
    nn.ELU: (0.16052, 0.64495, 0.66810),
    nn.SELU: (0.0, 1.0, 1.07145),
    nn.Softplus: (0.80606, 0.92125, 0.29338),
    nn.Hardswish: (0.16622, 0.33157, 0.35853),
    nn.Softsign: (0.0, 0.18301, 0.22767),
    nn.ReLU6: (0.39894, 0.5, 0.5),
}


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.__name__)
def test_an_activation_of_a_standard_gaussian(activation: type[nn.Module]) -> None:
    mean, second, chi = ACTIVATIONS[activation]
    profile = predicted(perceptron(activation, depth=1), signal(8, WIDE))
    after = profile.by_name["1"].activation
    assert after is not None
    assert after.mean.value == pytest.approx(mean, rel=CLOSED, abs=1e-4)
    assert after.second_moment.value == pytest.approx(second, rel=CLOSED)
    assert gradients(profile)["0"] / gradients(profile)["1"] == pytest.approx(chi, rel=CLOSED)


def test_pytorchs_default_halves_twice_and_thirds() -> None:
    profile = predicted(lambda: nn.Sequential(nn.Linear(WIDE, WIDE), nn.ReLU()), signal(8, WIDE))
    assert second_moments(profile)["1"] == pytest.approx(1 / 6, rel=CLOSED)


def test_truncation_at_two_deviations_shrinks_a_weight() -> None:
    def build() -> nn.Module:
        layer = nn.Linear(WIDE, 8, bias=False)
        nn.init.trunc_normal_(layer.weight, std=1.0, a=-2.0, b=2.0)
        return nn.Sequential(layer)

    moment = second_moments(predicted(build, signal(8, WIDE)))["0"]
    assert math.sqrt(moment / WIDE) == pytest.approx(0.879626, rel=CLOSED)


def test_dropout_grows_the_second_moment_and_parts_the_samples() -> None:
    profile = predicted(lambda: nn.Sequential(nn.Linear(64, 64), nn.Dropout(0.1)), signal(8, 64))
    assert second_moments(profile)["1"] / second_moments(profile)["0"] == pytest.approx(1 / 0.9, rel=CLOSED)
    alike = signal(8, WIDE, sample_correlation=1.0)
    blocks = perceptron(lambda: nn.Sequential(nn.Tanh(), nn.Dropout(0.1)), depth=30, weight=1.5, bias=0.05)
    assert correlation(predicted(blocks, alike), 8) < 0.99


@pytest.mark.parametrize(("rows", "columns"), [(800, 400), (300, 1200)])
def test_the_spectral_norm_of_a_default_linear_layer(rows: int, columns: int) -> None:
    norm = predicted(lambda: nn.Sequential(nn.Linear(columns, rows)), signal(8, columns)).by_name["0"].spectral_norm
    weight = nn.init.kaiming_uniform_(
        torch.empty(rows, columns), a=math.sqrt(5), generator=torch.Generator().manual_seed(0)
    )
    true = float(torch.linalg.matrix_norm(weight.double(), 2))
    assert norm is not None
    assert norm.value == pytest.approx((math.sqrt(rows) + math.sqrt(columns)) / math.sqrt(3 * columns), rel=2e-2)
    assert norm.value == pytest.approx(true, rel=CLOSED)
    assert norm.low <= true <= norm.high


# --- depth -------------------------------------------------------------------------------------------

SCHOENHOLZ = {  # tanh at bias variance 0.05: q*, chi, c*, depth scales of variance, correlation, gradient
    1.0: (0.1936, 0.7590, 1.0, 1.748, 3.627, 3.627),
    1.3: (0.3153, 0.8802, 1.0, 1.785, 7.834, 7.834),
    2.5: (1.0640, 1.1335, 0.4468, 1.180, 11.796, 7.979),
    4.0: (2.1955, 1.3424, 0.1651, 0.873, 6.980, 3.396),
}


@pytest.mark.parametrize("weight", SCHOENHOLZ)
def test_tanh_networks_have_the_depth_scales_of_schoenholz(weight: float) -> None:
    fixed_point, chi, common, variance, correlated, gradient = SCHOENHOLZ[weight]
    profile = predicted(
        perceptron(nn.Tanh, depth=60, weight=weight, bias=0.05), signal(8, WIDE, sample_correlation=0.3)
    )
    law = {name: e.value for name, e in profile.network.items()}
    assert second_moments(profile)["118"] == pytest.approx(fixed_point, rel=CLOSED)
    assert law["block_gradient_gain"] ** 2 == pytest.approx(chi, rel=CLOSED)
    before_tanh = perceptron(nn.Tanh, depth=60, weight=weight, bias=0.05)
    unbent = predicted(lambda: before_tanh()[:-1], signal(8, WIDE, sample_correlation=0.3))
    assert correlation(unbent, 8) == pytest.approx(common, rel=CLOSED)
    assert law["variance_depth_scale"] == pytest.approx(variance, rel=2 * CLOSED)  # a slope of the last changes
    assert law["correlation_depth_scale"] == pytest.approx(correlated, rel=CLOSED)
    assert law["gradient_depth_scale"] == pytest.approx(gradient, rel=CLOSED)


CRITICAL = {  # activation -> weight variance, bias variance, fixed point of q on the critical line
    "tanh 0.05": (nn.Tanh, 1.7610, 0.05, 0.5700),
    "tanh 0.01": (nn.Tanh, 1.4242, 0.01, 0.2733),
    "tanh 0.001": (nn.Tanh, 1.1892, 0.001, 0.1073),
    "gelu 1": (nn.GELU, 2.1937, 0.0672, 1.0),
    "gelu 5": (nn.GELU, 1.9663, 0.2144, 5.0),
    "silu 1": (nn.SiLU, 2.6352, 0.0625, 1.0),
    "silu 5": (nn.SiLU, 2.0997, 0.2739, 5.0),
}


@pytest.mark.parametrize("name", CRITICAL)
def test_on_the_critical_line_the_gradient_neither_grows_nor_shrinks(name: str) -> None:
    activation, weight, bias, fixed_point = CRITICAL[name]
    start = signal(8, WIDE, second_moment=(fixed_point - bias) / weight, sample_correlation=0.5)
    profile = predicted(perceptron(activation, depth=12, weight=weight, bias=bias), start)
    gradient, moment = gradients(profile), second_moments(profile)
    assert moment["0"] == pytest.approx(fixed_point, rel=CLOSED)
    first = perceptron(activation, depth=1, weight=weight, bias=bias)
    at_fixed_point = predicted(first, start)
    assert gradients(at_fixed_point)["input"] / gradients(at_fixed_point)["1"] == pytest.approx(1.0, rel=CLOSED)
    assert gradient["14"] / gradient["16"] == pytest.approx(1.0, rel=SIMULATED)


def test_selu_networks_stay_at_unit_variance_and_their_gradient_grows_slowly() -> None:
    profile = predicted(perceptron(nn.SELU, depth=30), signal(8, WIDE))
    assert second_moments(profile)["58"] == pytest.approx(1.0, rel=CLOSED)
    assert profile.network["block_gradient_gain"].value ** 2 == pytest.approx(1.07145, rel=CLOSED)


@pytest.mark.parametrize(("depth", "common"), [(1, 0.318310), (2, 0.493731), (10, 0.871536), (100, 0.996423)])
def test_rectifiers_turn_samples_towards_each_other(depth: int, common: float) -> None:
    profile = predicted(perceptron(nn.ReLU, depth=depth, weight=2.0), signal(8, WIDE))
    assert 1 - correlation(profile, 8) == pytest.approx(1 - common, rel=CLOSED)


@pytest.mark.parametrize("depth", [10, 100])
def test_the_variance_of_tanh_at_the_edge_decays_as_a_power_of_depth(depth: int) -> None:
    profile = predicted(perceptron(nn.Tanh, depth=depth), signal(8, WIDE))
    simulated = {10: 0.05220, 100: 0.00507}[depth]
    product_of_chi = {10: 7.137e-2, 100: 7.134e-3}[depth]
    assert second_moments(profile)[str(2 * depth - 1)] == pytest.approx(simulated, rel=0.1)  # of one layer more or less
    assert gradients(profile)["input"] == pytest.approx(product_of_chi, rel=0.1)


def test_batch_norm_makes_the_gradient_grow_by_pi_over_pi_minus_one() -> None:
    def build(activation: type[nn.Module]) -> nn.Module:
        blocks = [(nn.Linear(WIDE, WIDE, bias=False), nn.BatchNorm1d(WIDE, eps=1e-12), activation()) for _ in range(10)]
        return nn.Sequential(*(layer for block in blocks for layer in block))

    rectified = gradients(predicted(lambda: build(nn.ReLU), signal(512, WIDE)))
    straight = gradients(predicted(lambda: build(nn.Identity), signal(512, WIDE)))
    assert rectified["13"] / rectified["16"] == pytest.approx(math.pi / (math.pi - 1), rel=CLOSED)
    assert straight["13"] / straight["16"] == pytest.approx(1.0, rel=CLOSED)


# --- residual networks -------------------------------------------------------------------------------


class Residual(nn.Module):
    """x + scale * branch(x), optionally normalized before the branch or after the sum."""

    def __init__(self, width: int, *, scale: float = 1.0, norm: str = "none") -> None:
        super().__init__()
        self.first, self.second = linear(width, 2.0), linear(width, 1.0)
        self.norm = nn.Identity() if norm == "none" else nn.LayerNorm(width)
        self.scale, self.is_after = scale, norm == "after"

    def forward(self, x: Tensor) -> Tensor:
        entering = x if self.is_after else self.norm(x)
        total = x + self.scale * self.second(torch.relu(self.first(entering)))
        return self.norm(total) if self.is_after else total


def tower(depth: int, **options) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*(Residual(WIDE, **options) for _ in range(depth)))


def test_an_unscaled_residual_sum_doubles_the_variance() -> None:
    profile = predicted(tower(10), signal(8, WIDE))
    assert second_moments(profile)["9.add_1"] == pytest.approx(2.0**10, rel=CLOSED)


def test_branches_scaled_by_the_root_of_the_depth_grow_to_e() -> None:
    profile = predicted(tower(20, scale=20**-0.5), signal(8, WIDE))
    assert second_moments(profile)["19.add_1"] == pytest.approx((1 + 1 / 20) ** 20, rel=CLOSED)


def test_pre_norm_gradients_grow_harmonically_towards_the_input() -> None:
    depth = 24
    profile = predicted(tower(depth, norm="before"), signal(8, WIDE))
    gradient, moment = gradients(profile), second_moments(profile)
    for layer in (0, 5, 11):
        assert moment[f"{layer}.add_1"] == pytest.approx(layer + 2, rel=CLOSED)
        assert gradient[f"{layer}.add_1"] == pytest.approx((depth + 1) / (layer + 2), rel=CLOSED)


def test_post_norm_halves_what_every_branch_and_skip_brings() -> None:
    profile = predicted(tower(8, norm="after"), signal(8, WIDE))
    assert second_moments(profile)["7.norm"] == pytest.approx(1.0, rel=CLOSED)
    assert gradients(profile)["3.norm"] == pytest.approx(1.0, rel=CLOSED)


# --- attention ---------------------------------------------------------------------------------------


class Uniform(nn.Module):
    """Attention whose scores are zero."""

    def __init__(self, *, is_causal: bool) -> None:
        super().__init__()
        self.is_causal = is_causal
        self.keys, self.show = nn.Linear(64, 64, bias=False), nn.Identity()
        nn.init.zeros_(self.keys.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unsqueeze(1)
        return self.show(scaled_dot_product_attention(x, self.keys(x), x, is_causal=self.is_causal))


@pytest.mark.parametrize("is_causal", [False, True])
def test_uniform_attention_averages_what_it_sees(is_causal: bool) -> None:
    tokens = 256
    seen = sum(1 / t for t in range(1, tokens + 1)) / tokens if is_causal else 1 / tokens
    profile = predicted(lambda: Uniform(is_causal=is_causal), signal(2, tokens, 64))
    assert second_moments(profile)["show"] == pytest.approx(seen, rel=SIMULATED if is_causal else CLOSED)


@pytest.mark.parametrize(
    ("size", "variance", "expected"), [(64, 0.0, 1.0), (64, 1.0, 2.479), (1024, 1.0, 2.685), (64, 4.0, 9.787)]
)
def test_a_softmax_concentrates_with_the_variance_of_its_logits(size: int, variance: float, expected: float) -> None:
    logits = signal(64, size, second_moment=variance)
    profile = predicted(lambda: nn.Sequential(nn.Softmax(-1)), logits)
    assert size * size * second_moments(profile)["0"] == pytest.approx(expected, rel=SIMULATED)


# --- recurrence --------------------------------------------------------------------------------------

RECURRENT = {
    nn.LSTM: (0.0194, 0.0219),
    nn.GRU: (0.0826, 0.0903),
    nn.RNN: (0.243, 0.259),
}  # 64 units, 20 steps, 20 draws


@pytest.mark.parametrize("layer", RECURRENT, ids=lambda layer: layer.__name__)
def test_a_recurrent_layer_with_pytorchs_defaults(layer: type[nn.Module]) -> None:
    output, gradient = RECURRENT[layer]
    profile = predicted(lambda: layer(64, 64, batch_first=True), signal(4, 20, 64))
    last = profile.layers[-1].activation
    assert last is not None
    assert last.second_moment.value == pytest.approx(output, rel=0.1)
    assert gradients(profile)["input"] == pytest.approx(gradient, rel=SIMULATED)


# --- finite width ------------------------------------------------------------------------------------


def test_the_logarithm_of_a_rectifier_networks_scale_varies_by_five_layers_over_width() -> None:
    depth, width = 40, 100
    estimate = predicted(perceptron(nn.ReLU, depth=depth, width=width, weight=2.0), signal(1, width)).layers[-1]
    assert estimate.activation is not None
    second = estimate.activation.second_moment
    deviation = math.log(second.high / second.low) / 4
    assert deviation == pytest.approx(math.sqrt(5 * depth / width), rel=0.1)
    assert math.log(second.value) == pytest.approx(-2.5 * depth / width, abs=0.2)


def test_the_band_holds_as_many_draws_as_it_says() -> None:
    depth, width, draws = 10, 64, 100
    build = perceptron(nn.Tanh, depth=depth, width=width, weight=1.5, bias=0.05)
    last = predicted(build, signal(4, width)).by_name[str(2 * depth - 2)].activation
    assert last is not None
    found = []
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for _ in range(draws):
            found.append(build()[:-1](torch.randn(4, width)).square().mean().item())
    inside = np.mean([(last.second_moment.low <= value <= last.second_moment.high) for value in found])
    print(inside, last.second_moment, np.exp(np.mean(np.log(found))))
    assert inside >= 0.9


def test_prediction_touches_no_global_random_state() -> None:
    before = torch.random.get_rng_state()
    predicted(perceptron(nn.GELU, depth=2), signal(4, WIDE))
    assert torch.equal(before, torch.random.get_rng_state())
