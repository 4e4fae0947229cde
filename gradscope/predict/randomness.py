"""Random draws during the forward pass: dropout masks and noise."""

from __future__ import annotations

from gradscope.predict import _distribution as distribution
from gradscope.predict._combine import added, multiplied
from gradscope.predict._rules import Call, NoRule, rule
from gradscope.predict._table import Table, constant, independent


@rule("native_dropout", "dropout", "feature_dropout")
def dropout(call: Call) -> list[Table | None] | Table:
    """x times an independent mask of ones and zeros, rescaled: E of squares grows by 1 / (1 - p)."""
    x, p = call.args[0], float(call.args[1])
    is_training = call.args[2] is not False
    out = multiplied(x, independent(x.shape, 1.0, 1.0 / (1.0 - p))) if is_training and p > 0 else x
    if "attention" in x.notes:
        out.notes["attention"] = x.notes["attention"].dropped(p if is_training else 0.0)
    return [out, None] if len(call.shapes) > 1 else out


@rule("bernoulli")
def bernoulli(call: Call) -> Table:
    """Ones with a given probability; over an input of probabilities their average."""
    p = call.given(1, "p", 0.5)
    if not isinstance(p, float):
        raise NoRule("a draw whose probability depends on data")
    out = independent(call.shape, p, p)
    out.notes["keep"] = p
    return out


@rule("fill", "zero")
def fill(call: Call) -> Table:
    """Every entry the same number."""
    number = 0.0 if call.name == "zero" else call.args[1]
    if isinstance(number, Table):
        raise NoRule("filling with a tensor")
    return constant(call.shape, float(number))


@rule("copy")
def overwrite(call: Call) -> Table:
    """The numbers of another tensor."""
    source = call.args[1]
    return source if source.shape == call.shape else added(source, constant(call.shape, 0.0))


@rule("randn", "rand", "normal", "uniform", "randn_like", "rand_like", "exponential")
def noise(call: Call) -> Table:
    """Fresh independent noise."""
    if call.name in ("rand", "rand_like", "uniform"):
        drawn = (
            distribution.uniform(*(float(a) for a in call.args[1:3]))
            if call.name == "uniform"
            else distribution.uniform()
        )
    elif call.name == "normal":
        drawn = distribution.normal(*(float(a) for a in call.args[1:3]))
    else:
        drawn = distribution.normal()
    return independent(call.shape, drawn.mean, drawn.second_moment)
