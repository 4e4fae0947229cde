import pytest
import torch
from torch import nn

from tests.spectra.checks import assert_dense, normal

CASES = [
    ("ij,jk->ik", (3, 4), (4, 5), True),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4), True),
    ("bts,bsd->bdt", (2, 3, 4), (2, 4, 2), True),
    ("bi,bo->bio", (2, 3), (2, 4), True),
    ("i,i", (6,), (6,), True),
    ("bi,jk->b", (2, 3), (2, 2), False),
    ("...i,ij->...j", (2, 3, 4), (4, 2), False),
    ("bi,ij->bj", (3, 4), (4, 2), True),
    ("ii,ij->j", (3, 3), (3, 2), False),
]


@pytest.mark.parametrize(("equation", "a", "b", "is_product"), CASES)
def test_einsum_matches_dense(equation, a, b, is_product):
    a, b = normal(*a), normal(*b, seed=1)

    def einsum(x, y):
        return torch.einsum(equation, x, y)

    assert_dense(einsum, a, b)


@pytest.mark.parametrize(("equation", "a", "b", "is_product"), CASES)
def test_einsum_by_name_matches_dense(equation, a, b, is_product):
    a, b = normal(*a), normal(*b, seed=1)
    result = assert_dense(torch.einsum, equation, a, b)
    assert ("dense" not in result.spectral_norm.method) == is_product


def test_einsum_with_a_parameter_matches_dense():
    assert_dense(torch.einsum, "btd,df->btf", normal(2, 3, 4), nn.Parameter(normal(4, 5)))
    assert_dense(torch.einsum, "hd,bhtd->bht", nn.Parameter(normal(2, 4)), normal(3, 2, 5, 4))


def test_einsum_of_three_matches_dense():
    assert_dense(torch.einsum, "ij,jk,kl->il", normal(2, 3), normal(3, 2, seed=1), normal(2, 2, seed=2))
