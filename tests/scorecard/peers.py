"""What other tools would say of the same models: their published rules and defaults, on the same batches and steps.

Each rule is re-implemented from its source or its manual and looks at a `Snapshot`: one forward and backward pass at
initialisation, and one after `STEPS` steps of Adam at 1e-3. A rule gives a number: how many decades the quantity that
it watches is beyond its threshold (several conditions joined by "or": the largest; by "and": the smallest). It fires
where the number is positive; as a score the number itself is used, which is kinder than the rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

STEPS, RATE = 40, 1e-3
"""Training before the second snapshot."""

FAR = 20.0
"""Decades beyond a threshold at which scores are cut off; what is not finite is this far."""

_RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU)
_BOUNDED = (nn.Tanh, nn.Sigmoid, nn.Hardtanh, nn.Softsign)
_ACTIVATIONS = (*_RECTIFIERS, *_BOUNDED, nn.GELU, nn.SiLU, nn.SELU, nn.ELU, nn.Softplus)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the rules look at. Lists run from the input to the output; gradients and weights are of weight matrices.

    Attributes:
        loss: of the batch.
        gradient_norms: L2.
        gradient_means: mean absolute gradient.
        gradient_zeros: share of entries that are exactly zero.
        gradient_ranges: 95th minus 5th percentile.
        weight_norms: L2.
        weight_variances: of all entries.
        activation_gradients: L2 norm of the gradient at each module's output.
        activation_stds: of each activation function's output.
        rectifier_variances: of each rectifier's input.
        dead: share of units of each rectifier that are never above zero.
        nonpositive: share of outputs of each rectifier at or below zero.
        saturated: share of inputs of each bounded activation outside [-5, 5].
        extreme: share of each module's outputs beyond 0.95 in size.
        zero: share of each module's outputs below 1e-6 in size.
    """

    loss: float
    gradient_norms: tuple[float, ...]
    gradient_means: tuple[float, ...]
    gradient_zeros: tuple[float, ...]
    gradient_ranges: tuple[float, ...]
    weight_norms: tuple[float, ...]
    weight_variances: tuple[float, ...]
    activation_gradients: tuple[float, ...]
    activation_stds: tuple[float, ...]
    rectifier_variances: tuple[float, ...]
    dead: tuple[float, ...]
    nonpositive: tuple[float, ...]
    saturated: tuple[float, ...]
    extreme: tuple[float, ...]
    zero: tuple[float, ...]


def snapshot(model: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], inputs: Tensor, targets: Tensor) -> Snapshot:
    """One forward and backward pass; the model keeps the gradients and nothing else."""
    seen: list[tuple[nn.Module, Tensor, Tensor]] = []

    def note(module: nn.Module, args: tuple[Tensor, ...], output: Tensor | tuple[Tensor, ...]) -> None:
        main = output[0] if isinstance(output, tuple) else output
        if main.requires_grad:
            main.retain_grad()
        seen.append((module, args[0].detach(), main))

    leaves = [module for module in model.modules() if not any(module.children())]
    handles = [module.register_forward_hook(note) for module in leaves]
    model.zero_grad(set_to_none=True)
    try:
        value = loss(model(inputs), targets)
    finally:
        for handle in handles:
            handle.remove()
    if value.isfinite() and value.requires_grad:
        value.backward()
    weights = [p.detach().double() for p in model.parameters() if p.ndim > 1]
    zeros = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters() if p.ndim > 1]
    gradients = [g.detach().double() for g in zeros]
    rectified = [(x.double(), y.detach()) for module, x, y in seen if isinstance(module, _RECTIFIERS)]

    def share(mask: Tensor) -> float:
        return mask.double().mean().item()

    def spread(g: Tensor) -> float:
        low, high = torch.quantile(g.flatten(), torch.tensor([0.05, 0.95], dtype=g.dtype)).tolist()
        return high - low

    return Snapshot(
        loss=value.item(),
        gradient_norms=tuple(g.norm().item() for g in gradients),
        gradient_means=tuple(g.abs().mean().item() for g in gradients),
        gradient_zeros=tuple(share(g == 0) for g in gradients),
        gradient_ranges=tuple(map(spread, gradients)),
        weight_norms=tuple(w.norm().item() for w in weights),
        weight_variances=tuple(w.var().item() for w in weights),
        activation_gradients=tuple(y.grad.double().norm().item() for _, _, y in seen if y.grad is not None),
        activation_stds=tuple(y.detach().double().std().item() for m, _, y in seen if isinstance(m, _ACTIVATIONS)),
        rectifier_variances=tuple(x.var().item() for x, _ in rectified),
        dead=tuple(share(y.flatten(0, -2 if y.ndim == 2 else 0).amax(0) <= 0) for _, y in rectified),
        nonpositive=tuple(share(y <= 0) for _, y in rectified),
        saturated=tuple(share(x.abs() > 5) for m, x, _ in seen if isinstance(m, _BOUNDED)),
        extreme=tuple(share(y.detach().abs() > 0.95) for _, _, y in seen),
        zero=tuple(share(y.detach().abs() < 1e-6) for _, _, y in seen),
    )


def snapshots(
    build: Callable[[], nn.Module],
    loss: Callable[[Tensor, Tensor], Tensor],
    batches: Sequence[tuple[Tensor, Tensor]],
) -> tuple[Snapshot, Snapshot]:
    """At initialisation, and after training on the batches."""
    model = build().train()
    first = snapshot(model, loss, *batches[0])
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    for inputs, targets in batches:
        optimizer.zero_grad(set_to_none=True)
        value = loss(model(inputs), targets)
        if not value.isfinite():
            break
        value.backward()
        optimizer.step()
    return first, snapshot(model, loss, *batches[-1])


Rule = Callable[[Snapshot], float]


def _decades(ratio: float) -> float:
    if math.isnan(ratio):
        return FAR
    return max(-FAR, min(FAR, math.log10(ratio))) if ratio > 0 else -FAR


def _below(values: Sequence[float], threshold: float) -> float:
    """Decades by which the smallest is below a threshold."""
    return max((-_decades(v / threshold) for v in values), default=-FAR)


def _above(values: Sequence[float], threshold: float) -> float:
    """Decades by which the largest is above a threshold."""
    return max((_decades(v / threshold) for v in values), default=-FAR)


def _nonfinite(s: Snapshot) -> float:
    return -FAR if all(map(math.isfinite, (s.loss, *s.gradient_norms, *s.weight_norms))) else FAR


def _ratio(values: Sequence[float]) -> float:
    if not values:
        return 1.0
    return max(values) / min(values) if min(values) > 0 else math.inf if max(values) > 0 else 1.0


def _first_over_last(s: Snapshot) -> float:
    first, last = s.gradient_norms[0], s.gradient_norms[-1]
    return first / last if last else math.inf if first else 0.0


def sagemaker_gradients(s: Snapshot) -> float:
    """SageMaker Debugger, VanishingGradient (mean |g| < 1e-7) or ExplodingTensor (not finite)."""
    return max(_below(s.gradient_means, 1e-7), _nonfinite(s))


def sagemaker_initialization(s: Snapshot) -> float:
    """SageMaker Debugger, PoorWeightInitialization: variances of rectifier inputs apart by more than 10."""
    return max(_decades(_ratio(s.rectifier_variances) / 10), _nonfinite(s))


def autotrainer(s: Snapshot) -> float:
    """AUTOTRAINER: first/last < 1e-3 and first < 1e-4; first/last > 70; 70 % zero gradients; loss > 1e3."""
    ratio = _first_over_last(s)
    vanishing = min(_below([ratio], 1e-3), _below(s.gradient_norms[:1], 1e-4))
    return max(vanishing, _above([ratio], 70), _above(s.gradient_zeros, 0.7), _above([s.loss], 1e3), _nonfinite(s))


def deep_diagnosis(s: Snapshot) -> float:
    """DeepDiagnosis: mean |g| < 1e-7; 70 % of a rectifier at or below zero; half of the inputs of a bound beyond 5."""
    signal = max(_above(s.nonpositive, 0.7), _above(s.saturated, 0.5))
    return max(_below(s.gradient_means, 1e-7), signal, _nonfinite(s))


def deep_checker(s: Snapshot) -> float:
    """TheDeepChecker, gradients: mean |g| < 1e-6 or > 1e6."""
    return max(_below(s.gradient_means, 1e-6), _above(s.gradient_means, 1e6), _nonfinite(s))


def deep_checker_activations(s: Snapshot) -> float:
    """TheDeepChecker, activations: standard deviation outside [0.5, 2], dead or saturated in half of the units."""
    spread = max(_below(s.activation_stds, 0.5), _above(s.activation_stds, 2.0))
    return max(spread, _above(s.dead, 0.5), _above(s.saturated, 0.5), _nonfinite(s))


def torchlens(s: Snapshot) -> float:
    """TorchLens gradient_flow_audit: norm of a gradient at a layer's output < 1e-7 or > 1e4."""
    return max(_below(s.activation_gradients, 1e-7), _above(s.activation_gradients, 1e4), _nonfinite(s))


def torchmortem_flow(s: Snapshot) -> float:
    """torchmortem, gradient flow: last/first > 100, a norm > 1e3, all norms < 1e-8."""
    ratio = _first_over_last(s)
    last_over_first = 1 / ratio if ratio else math.inf
    stalled = -_above(s.gradient_norms, 1e-8)
    return max(_above([last_over_first], 100), _above(s.gradient_norms, 1e3), stalled, _nonfinite(s))


def torchmortem(s: Snapshot) -> float:
    """torchmortem, all: gradient flow, half of a layer's outputs zero or beyond 0.95, update ratio off [1e-5, 0.1]."""
    updates = [RATE * g / w for g, w in zip(s.gradient_norms, s.weight_norms, strict=True) if w]
    ratio = max(_below(updates, 1e-5), _above(updates, 0.1))
    return max(torchmortem_flow(s), _above(s.zero, 0.5), _above(s.extreme, 0.5), ratio)


def first_gradient(s: Snapshot) -> float:
    """Baseline: decades of the first layer's gradient norm away from one."""
    return abs(_decades(s.gradient_norms[0]))


def gradient_ratio(s: Snapshot) -> float:
    """Baseline: decades between the gradient norms of the first and the last weight."""
    return abs(_decades(_first_over_last(s)))


def gain_product(s: Snapshot) -> float:
    """Baseline: decades between the gradients at the first and the last module's output, the product of all gains."""
    g = s.activation_gradients
    return abs(_decades(g[0] / g[-1])) if g and g[-1] else FAR


PEERS: dict[str, Rule] = {
    "SageMaker Debugger, gradients": sagemaker_gradients,
    "SageMaker Debugger, initialization": sagemaker_initialization,
    "AUTOTRAINER": autotrainer,
    "DeepDiagnosis": deep_diagnosis,
    "TheDeepChecker, gradients": deep_checker,
    "TheDeepChecker, activations": deep_checker_activations,
    "TorchLens": torchlens,
    "torchmortem, gradient flow": torchmortem_flow,
    "torchmortem, all": torchmortem,
}
BASELINES: dict[str, Rule] = {
    "first gradient": first_gradient,
    "first / last gradient": gradient_ratio,
    "product of gains": gain_product,
}
