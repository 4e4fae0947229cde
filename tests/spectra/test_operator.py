"""Operators that are one for every sample, and steps from one product, against dense matrices."""

from dataclasses import replace

import pytest
import torch

from gradscope.spectra import _attention_gram, operator_norm, operator_spectrum
from gradscope.spectra._attention_gram import AttentionGram
from gradscope.spectra._attention_systems import attention_systems
from gradscope.spectra._bidiagonal import Bidiagonal
from gradscope.spectra._lanczos import OfProducts, bidiagonalizations
from gradscope.spectra._steps import OneSided, TwoSided
from tests.spectra.checks import normal

SCALES = torch.tensor([0.2, 1.0, 0.97])


def blocks(rows: int = 30, columns: int = 40) -> torch.Tensor:
    return normal(3, rows, columns) * SCALES[:, None, None] / 8


@pytest.mark.parametrize("is_certified", [False, True])
@pytest.mark.parametrize("tolerance", [1e-2, 1e-3])
def test_one_run_a_sample_finds_the_norm_of_them_all(tolerance: float, is_certified: bool) -> None:
    matrices = blocks()
    truth = torch.linalg.matrix_norm(matrices.double(), 2)
    norm = operator_norm(
        lambda v: torch.einsum("bij,bj->bi", matrices, v.flatten(1)).view(3, 5, 6),
        lambda u: torch.einsum("bij,bi->bj", matrices, u.flatten(1)).view(3, 4, 10),
        normal(3, 4, 10, seed=7),
        tolerance=tolerance,
        probability=1e-2,
        is_certified=is_certified,
        samples=3,
    )
    assert norm.low <= truth.max() <= norm.high
    assert norm.value == pytest.approx(truth.max().item(), rel=tolerance)


def test_gain_and_spread_of_all_samples_are_those_of_the_block_diagonal_operator() -> None:
    matrices = blocks(20, 12)
    whole = torch.block_diag(*matrices)

    def spectrum(samples: int | None, matvec, rmatvec, shape):
        return operator_spectrum(
            matvec,
            rmatvec,
            normal(*shape, seed=3),
            probes=[normal(*shape, seed=seed) for seed in range(4, 60)],
            tolerance=1e-3,
            probability=1e-2,
            iterations=12,
            samples=samples,
        )

    apart = spectrum(
        3,
        lambda v: torch.einsum("bij,bj->bi", matrices, v),
        lambda u: torch.einsum("bij,bi->bj", matrices, u),
        (3, 12),
    )
    values = torch.linalg.svdvals(whole.double())
    assert apart.rms_gain.value == pytest.approx(values.square().mean().sqrt().item(), rel=0.05)
    assert apart.quantities["log_spread"].value == pytest.approx(values.log().std(correction=0).item(), rel=0.05)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_steps_from_one_product_have_the_coefficients_of_two(scale: float) -> None:
    matrices = scale * blocks(50, 9).double()
    start = normal(3, 9).double()

    class Dense:
        rows = 50

        def matvec(self, v):
            return torch.einsum("bij,bj->bi", matrices, v)

        def rmatvec(self, u):
            return torch.einsum("bij,bi->bj", matrices, u)

        def gram(self, v):
            return self.rmatvec(self.matvec(v))

    one, two = OneSided(Dense(), start), TwoSided(Dense(), start)
    for _ in range(5):
        expected = two.advance()
        for found, wanted in zip(one.advance(), expected, strict=True):
            assert found == pytest.approx(wanted, rel=1e-6)
    assert one.rows == two.rows == 50


def test_what_lies_below_the_upper_bound_is_told_without_it() -> None:
    matrix = normal(60, 40)
    run = next(b for b in bidiagonalizations(OfProducts(matrix.mv, matrix.T.mv, normal(40, seed=2))) if len(b) == 8)
    high = run.high(1e-2)
    assert run.is_below(1.001 * high, 1e-2)
    assert not run.is_below(run.low() + 0.9 * (high - run.low()), 1e-2)
    assert not run.is_below(0.99 * run.low(), 1e-2)
    assert Bidiagonal(4, 4, [2.0], [0.0], is_exhausted=True).is_below(2.0, 1e-2)


@pytest.mark.parametrize("entries", [10**6, 100])
@pytest.mark.parametrize("inputs", [(0, 1, 2), (None, None, 0), (0, 0, 1), (0, 0, 0), (0, None, None)])
def test_attention_s_one_product_is_the_two_in_turn(
    inputs: tuple[int | None, ...], entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_attention_gram, "_CACHE", entries)
    q, k, v = (normal(2, 3, 7, 4, seed=seed) for seed in range(3))
    systems = replace(attention_systems(q, k, v, mask=None, is_causal=True, scale=0.5), inputs=inputs)
    systems = systems.with_dropout((normal(*systems.weights.shape, seed=5) > 0).float())
    gram = AttentionGram.of(systems)
    start = normal(6, gram.columns, seed=6)
    whole = systems.matvec(systems.rmatvec(start))
    torch.testing.assert_close(gram.gram(start), whole)
    some = gram.keep(torch.tensor([1, 4])).keep(torch.tensor([0, 1]))
    torch.testing.assert_close(some.gram(start[[1, 4]]), whole[[1, 4]])
    torch.testing.assert_close(some.keep(torch.tensor([1])).gram(start[[4]]), whole[[4]])
