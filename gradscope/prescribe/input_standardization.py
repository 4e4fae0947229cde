"""Input standardization: subtract the mean of the inputs and divide by their standard deviation.

Inputs far from zero mean and unit variance make every sample look alike to the first layer (a common offset), or
shift all scales of the network at once. Columns of a table are standardized one by one, everything else (images,
audio, sequences) by one mean and one standard deviation.

Helps when the data is the trouble, which no initialization can repair and some make worse. Do it in the data
pipeline, with the statistics of the whole training set; the hook shows that it works.

References:
    LeCun, Bottou, Orr, Müller 1998, Efficient BackProp, section 4.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor

from gradscope.prescribe._remedy import SIGNAL_PROPAGATION, Case, Change, remedy
from gradscope.prescribe._text import program

HOOK = """\
mean, std = {statistics}  # better: of all training inputs
model.register_forward_pre_hook(lambda module, args: ((args[0] - mean) / std, *args[1:]))"""

COLUMNS = "inputs.mean(0), inputs.std(0) + 1e-3 * inputs.std(0).max()"
WHOLE = "inputs.mean(), inputs.std()"


@remedy(resolves=SIGNAL_PROPAGATION, applicability="unsafe")
def input_standardization(case: Case) -> Iterator[Change]:
    """One change, where the model takes one tensor of real data whose scale or offset is off."""
    inputs = case.inputs
    if case.subject.batches is None or not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        return
    offset = abs(float(inputs.mean() / inputs.std()))
    scale = float(inputs.square().mean().sqrt())
    widest, limit = max(scale, 1 / scale) if scale else math.inf, case.config.input_scale.value
    if offset > case.config.input_offset.value or limit < widest < math.inf:
        yield Change(
            program(HOOK.format(statistics=COLUMNS if inputs.dim() == 2 else WHOLE)),
            ("input",),
            f"The inputs have mean {float(inputs.mean()):.3g} and standard deviation {float(inputs.std()):.3g}, "
            "where layers are initialized for 0 and 1.",
        )
