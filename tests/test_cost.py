"""Small steps get one thread; larger models cost more."""

from dataclasses import replace

import pytest
import torch

from gradscope.cost import SMALL_STEP, step_seconds, threads_for
from gradscope.schema import LayerNode


@pytest.mark.parametrize(("step", "expected"), [(SMALL_STEP / 10, 1), (SMALL_STEP * 10, 2)])
def test_only_small_steps_run_on_one_thread(step, expected):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(RuntimeError), threads_for(step):
            assert torch.get_num_threads() == expected
            raise RuntimeError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_step_costs_what_its_layers_do() -> None:
    one = LayerNode(0, "linear", "module", "Linear", "linear", 0, (), (64, 100), "float32", fan_in=100)
    wide = replace(one, shape=(64, 1000), fan_in=1000)
    assert step_seconds([one] * 2, 0) == pytest.approx(2 * step_seconds([one], 0))
    assert step_seconds([wide], 0) > 10 * step_seconds([one], 0)
    assert step_seconds([one], 10**9) > 1
