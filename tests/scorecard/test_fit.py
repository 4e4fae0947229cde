"""The fit finds known coefficients, keeps its signs, and judges families by fits without them."""

import numpy as np
import pytest
from scipy.special import expit

from tests.scorecard import fit
from tests.scorecard.fit import KNOTS, PRIOR, Additive, Ramp, even, left_out, platt


def drawn(n: int = 3000, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Only a vanishing gradient matters: log-odds rise from -3 to 3 over its first ramp."""
    generator = np.random.default_rng(seed)
    columns = {name: generator.uniform(0, 8, n) for name in ("vanishing", "collapse")}
    logits = -3 + 6 * np.clip((columns["vanishing"] - 1) / 2, 0, 1)
    return columns, (generator.random(n) < expit(logits)).astype(float)


def equal(samples: np.ndarray) -> np.ndarray:
    return np.full(len(samples), 1 / len(samples))


def test_every_family_weighs_the_same() -> None:
    families = np.array(["a", "b", "b", "b"])

    assert even(families).tolist() == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6])


def test_a_family_of_twice_the_size_fits_as_one_that_is_written_down_once() -> None:
    columns, is_bad = drawn(400)
    families = np.where(np.arange(400) < 200, "a", "b")
    rows = np.concatenate([np.arange(400), np.arange(200)])
    once = fit.fit(columns, is_bad, even(families))
    twice = fit.fit({name: v[rows] for name, v in columns.items()}, is_bad[rows], even(families[rows]))

    assert np.allclose(once.weights, twice.weights, atol=1e-3)


def test_it_finds_the_curve_that_made_the_data() -> None:
    columns, is_bad = drawn()
    model = fit.fit(columns, is_bad, equal(is_bad), penalty=1e-5)
    ends = {name: np.array([0.0, 8.0]) for name in columns}
    low, high = model.logits(ends | {"collapse": np.zeros(2)})

    assert low == pytest.approx(-3, abs=0.4)
    assert high == pytest.approx(3, abs=0.6)


def test_weights_are_never_negative_though_the_data_say_so() -> None:
    columns, is_bad = drawn()
    columns["collapse"] = 8 * (1 - is_bad)

    assert (fit.fit(columns, is_bad, equal(is_bad)).weights >= 0).all()


def test_the_slope_is_the_derivative_of_the_objective() -> None:
    columns, is_bad = drawn(200)
    best = fit.fit(columns, is_bad, equal(is_bad))
    ramps = best.ramps
    sign = 2 * is_bad - 1
    x = np.stack([ramp(columns[ramp.feature]) for ramp in ramps], axis=1)
    prior = np.array([PRIOR.get((ramp.feature, ramp.end), 0.0) for ramp in ramps])

    def loss(weights: np.ndarray) -> float:
        fitted = np.logaddexp(0, -sign * (best.intercept + x @ weights)).mean()
        return fitted + fit.PENALTY * np.square(weights - prior).sum()

    for i in range(len(ramps)):
        for step in (-1e-3, 1e-3):
            moved = best.weights.copy()
            moved[i] = max(0.0, moved[i] + step)
            assert loss(moved) >= loss(best.weights) - 1e-8


def test_what_is_unknown_takes_the_mean() -> None:
    model = Additive((Ramp("vanishing", 0, 8),), np.array([2.0]), np.array([0.25]), -1.0)

    assert model.logits({"vanishing": np.array([np.nan, 8.0])}).tolist() == [-0.5, 1.0]


def test_a_family_is_judged_by_a_fit_that_has_not_seen_it() -> None:
    columns, is_bad = drawn(400)
    families = np.array(["a", "b"] * 200)
    flipped = np.where(families == "a", 1 - is_bad, is_bad)
    inside = families == "b"

    same = left_out(columns, is_bad, families)[inside]
    assert np.array_equal(same, left_out(columns, np.where(inside, flipped, is_bad), families)[inside])
    assert not np.array_equal(same, left_out(columns, flipped, families)[inside])


def test_platt_undoes_a_stretch() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, 20000)
    is_bad = (generator.random(20000) < expit(logits)).astype(float)
    slope, offset = platt(3 * logits + 1, is_bad, equal(is_bad))

    assert slope == pytest.approx(1 / 3, rel=0.05)
    assert offset == pytest.approx(-1 / 3, abs=0.05)


def test_priors_are_of_ramps_that_exist() -> None:
    assert all(end in KNOTS[name][1:] for name, end in PRIOR)
