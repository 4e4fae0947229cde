"""Every threshold and budget: its value, its unit and its source. A user's `[tool.gradscope]` overrides them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from gradscope.schema import GradscopeError, Threshold

_CORPUS = "separates small models that trained from models that did not"


@dataclass(frozen=True, slots=True)
class Config:
    """Thresholds (what a diagnostic compares with) and budgets (what the analysis may spend)."""

    # Thresholds. "decades" are powers of ten.
    vanishing_gradient_warning: Threshold = Threshold(3.0, "decades lost from output to input", _CORPUS)
    vanishing_gradient_error: Threshold = Threshold(4.5, "decades lost from output to input", _CORPUS)
    exploding_gradient_warning: Threshold = Threshold(3.0, "decades gained from output to input", _CORPUS)
    exploding_gradient_error: Threshold = Threshold(4.0, "decades gained from output to input", _CORPUS)
    vanishing_activation: Threshold = Threshold(2.5, "decades of rms lost between normalizations", _CORPUS)
    exploding_activation: Threshold = Threshold(2.5, "decades of rms gained between normalizations", _CORPUS)
    collapsed_correlation: Threshold = Threshold(1e-4, "one minus cosine between samples", _CORPUS)
    prediction_of_nothing: Threshold = Threshold(1e-7, "share of the output that differs between samples", _CORPUS)
    dead_relu_warning: Threshold = Threshold(0.5, "share of units", "SageMaker Debugger, rule DeadRelu")
    dead_relu_error: Threshold = Threshold(0.9, "share of units", _CORPUS)
    saturated_activation: Threshold = Threshold(0.5, "share of outputs", "TheDeepChecker, arXiv:2204.00694")
    expansive_jacobian: Threshold = Threshold(10.0, "rms gain of one layer", "Pennington et al. 2017, arXiv:1711.04735")
    contractive_jacobian: Threshold = Threshold(
        0.1, "rms gain of one layer", "Pennington et al. 2017, arXiv:1711.04735"
    )
    initial_loss_warning: Threshold = Threshold(
        3.0, "times the loss of an uninformed model", "TheDeepChecker, arXiv:2204.00694"
    )
    initial_loss_error: Threshold = Threshold(8.0, "times the loss of an uninformed model", _CORPUS)
    uncovered_parameters: Threshold = Threshold(
        0.5, "share of parameter elements", "an audit that sees less than half says so"
    )
    trial_gain: Threshold = Threshold(
        0.1, "share of the loss that doing nothing leaves", "less is within what seeds and batches vary by"
    )
    input_offset: Threshold = Threshold(3.0, "standard deviations between zero and the mean input", "LeCun et al. 1998")
    input_scale: Threshold = Threshold(10.0, "times larger or smaller than unit rms", "LeCun et al. 1998")
    unexpected_moment: Threshold = Threshold(
        1.0, "bits between measured and predicted second moment, beyond the predicted interval", "reports/benchmarks"
    )
    diverging_layers: Threshold = Threshold(0.1, "share of the layers", "a single layer may be a matter of chance")
    conforming_deviation: Threshold = Threshold(
        0.1, "relative difference of standard deviations", "less does not change what a layer computes"
    )
    conforming_errors: Threshold = Threshold(
        6.0, "standard errors of the difference", "one false alarm in a billion normal draws"
    )
    overscaled_weight: Threshold = Threshold(
        3.0, "times the scale that keeps the variance", "He et al. 2015; initializers in use stay within 2.5"
    )
    overscaled_before_norm: Threshold = Threshold(
        10.0, "times the scale that keeps the variance", "van Laarhoven 2017, arXiv:1706.05350: steps count 1/100"
    )
    underscaled_weight: Threshold = Threshold(
        0.02, "times the scale that keeps the variance", "He et al. 2015; initializers in use stay above 0.05"
    )
    misscaled_path: Threshold = Threshold(2.5, "decades lost or gained by the draws between normalizations", _CORPUS)
    symmetric_units: Threshold = Threshold(0.1, "share of units", "a random draw has none")
    off_center_weight: Threshold = Threshold(
        2.0, "times the random part's spectral norm", "Baik, Ben Arous & Peche 2005: from 1 on the mean dominates"
    )
    uninitialized_octaves: Threshold = Threshold(
        6.0, "standard deviation of log2 |w|", "1.6 of a normal draw; memory read as numbers exceeds 10"
    )
    smallest_normal: Threshold = Threshold(1.18e-38, "magnitude", "IEEE 754: the smallest normal float32")
    uninitialized_magnitude: Threshold = Threshold(1e4, "largest magnitude", "no initializer draws such numbers")
    dominating_bias: Threshold = Threshold(
        0.95, "share of the layer's mean square output", "what is left is all that depends on the input"
    )
    overscaled_logits: Threshold = Threshold(
        4.0, "rms of the scores over a vocabulary or over experts", "a softmax of such scores is one-hot"
    )
    shifted_normalization: Threshold = Threshold(
        0.5, "rms of the shift beside a scale of one", "a quarter of the variance of what is normalized"
    )
    small_scale: Threshold = Threshold(0.2, "initial scale of a branch", "Touvron et al. 2021: 1e-1 to 1e-6")
    drowned_embedding: Threshold = Threshold(
        20.0, "times the rms of what it is added to", "the weaker one is 1/400 of the variance"
    )
    optimizer_floor: Threshold = Threshold(
        1e-8, "rms of a weight's gradient", "epsilon of Adam: below, its steps shrink with the gradient"
    )
    flushed_gradient: Threshold = Threshold(0.05, "share of elements", "more is noise that no averaging removes")
    largest_half: Threshold = Threshold(65504.0, "magnitude", "IEEE 754: the largest binary16")
    smallest_half: Threshold = Threshold(2.0**-25, "magnitude", "IEEE 754: below, binary16 rounds to zero")

    # The recipe, as far as it is known; it changes how severe a finding is.
    optimizer: str | None = None  # "sgd", "adam", "adamw", ...
    precision: str | None = None  # "fp32", "bf16", "fp16"

    # Budgets
    spectral_tolerance: float = 1e-2  # relative error allowed in a layer's spectral norm
    confidence: float = 0.99  # of every upper bound, over the random start vectors of the whole model
    is_certified: bool = False  # iterate until high / low - 1 <= spectral_tolerance
    operator_samples: int = 2  # samples of the batch that block and network Jacobians are taken on
    network_iterations: int = 2  # bidiagonalization steps for the whole network and for the blocks, at least
    network_iterations_most: int = 10  # the same at most, where `network_work` allows
    network_probes: int = 2  # start vectors of which the spread of singular values is taken, where it allows
    network_work: float = 2e7  # entries of layer outputs that the products with the network's Jacobian may pass
    density_probes: int = 4  # start vectors of a density that was asked for
    density_steps: int = 24  # bidiagonalization steps of each: so many points stand for all singular values
    block_iterations: int = 3  # bidiagonalization steps for every block, where `network_work` allows
    input_fake_trials: int = 150  # inputs tried without data before the search for example inputs gives up
    input_real_trials: int = 30  # of those, inputs tried with real numbers, forward and backward
    trial_steps: int = 60  # of a short training
    trial_steps_least: int = 12  # of a short training of a large model; below nothing can be told
    trial_seeds: int = 3  # data orders and initializations a model is trained with
    trial_seconds: float = 20.0  # of one CPU thread that all short trainings together may take, as estimated
    trial_share: float = 0.5  # of `timeout` after which no further trial is begun, on a machine too busy for the plan
    prediction_seconds: float = 5.0  # of CPU time that theory beside a measurement may take forward; 0 leaves it out
    prediction_blocks: int = 160  # equal blocks that a static prediction runs; of more it runs a part and extrapolates
    attempt_steps: int = 40  # forward and backward passes of the verdict's trial steps
    attempt_samples: int = 8  # of an example batch that trial steps may try to learn by heart
    attempt_seconds: float = 20.0  # of one CPU thread, as estimated: where they would cost more, none is tried
    timeout: float = 600.0  # seconds a target may take in its own process
    memory: float = 16.0  # GiB of address space a target may take beyond what torch itself maps
    file_size: float = 1.0  # GiB a target may write into one file


def load(start: Path) -> Config:
    """The defaults, overridden by `[tool.gradscope]` of the nearest pyproject.toml at or above `start`.

    Raises:
        GradscopeError: the file is not TOML, or names an option that does not exist.
    """
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            try:
                table = tomllib.loads(path.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise GradscopeError(f"{path}: not valid TOML: {error}.") from None
            return override(Config(), table.get("tool", {}).get("gradscope", {}), where=str(path))
    return Config()


def override(config: Config, options: dict[str, Any], *, where: str = "options") -> Config:
    """`config` with some values replaced; a threshold keeps its unit and names the new source.

    Raises:
        GradscopeError: an unknown option, or a value of the wrong type.
    """
    known = {f.name: getattr(config, f.name) for f in fields(config)}
    changes: dict[str, Any] = {}
    for key, value in options.items():
        name = key.replace("-", "_")
        if name not in known:
            raise GradscopeError(f"{where}: [tool.gradscope] has no option {key!r}; known: {', '.join(sorted(known))}.")
        old = known[name]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if old is None or isinstance(old, str):
            if not isinstance(value, str):
                raise GradscopeError(f"{where}: {key} must be text, got {value!r}.")
            changes[name] = value
        elif isinstance(old, Threshold):
            if not is_number:
                raise GradscopeError(f"{where}: {key} must be a number in {old.unit}, got {value!r}.")
            changes[name] = replace(old, value=float(value), source=where)
        elif isinstance(old, bool) != isinstance(value, bool) or not (is_number or isinstance(old, bool)):
            raise GradscopeError(f"{where}: {key} must be a {type(old).__name__}, got {value!r}.")
        else:
            changes[name] = type(old)(value)
    return replace(config, **changes)
