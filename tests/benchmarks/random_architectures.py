"""A thousand random architectures: state bit for bit as before, gradients those of autograd, replay that of the run."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from pathlib import Path

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from torch import nn

from tests.borrow.architectures import models
from tests.borrow.test_random_architectures import assert_nothing_is_left_and_all_is_seen

RESULT = Path("reports/benchmarks/random_architectures.md")
EXAMPLES = 1000


def main(examples: int = EXAMPLES) -> None:
    """Check as many random models and write reports/benchmarks/random_architectures.md."""
    torch.set_num_threads(1)
    failures: list[str] = []
    kinds: Counter[str] = Counter()
    sizes: list[int] = []

    @seed(0)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(model=models(), training=st.booleans())
    def examine(model: nn.Module, training: bool) -> None:
        kinds.update({type(m).__name__ for m in model.modules()})
        sizes.append(sum(1 for _ in model.modules()))
        try:
            assert_nothing_is_left_and_all_is_seen(model, training)
        except Exception as error:  # the failure is the result
            failures.append(f"{type(error).__name__}: {str(error).splitlines()[0]}: {' '.join(repr(model).split())}")

    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old spectral_norm is deprecated, and still in use
        examine()
    lines = [
        "# Random architectures",
        "",
        f"`python -m tests.benchmarks.random_architectures`, torch {torch.__version__}, 1 thread, "
        f"{time.process_time() - start:.0f} s of CPU time.",
        "",
        "Each model is captured and differentiated inside `borrowed`. Held bit for bit: the state of model and process "
        "before and after, every layer's streamed gradient and autograd's, the replay of the fx graph and the run.",
        "",
        "| what | result |",
        "|---|---|",
        f"| models | {len(sizes)}, of {min(sizes)} to {max(sizes)} modules |",
        f"| as they should be | {len(sizes) - len(failures)} |",
        "",
        f"Parts, and how many models have them: {', '.join(f'{k} {n}' for k, n in kinds.most_common())}.",
        *(["", *(f"- {f}" for f in failures)] if failures else []),
    ]
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
