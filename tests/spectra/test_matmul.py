import pytest
import torch
from torch import nn

from tests.spectra.checks import assert_dense, normal

PAIRS = [
    ((3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 2)),
    ((2, 2, 5, 3), (2, 2, 3, 5)),
    ((6, 1), (1, 6)),
    ((2, 36, 34), (2, 34, 1)),
    ((4,), (4, 3)),
    ((3, 4), (4,)),
]


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_product_matches_dense(a, b):
    assert_dense(torch.matmul, normal(*a), normal(*b, seed=1))


@pytest.mark.parametrize(("a", "b"), PAIRS[:5])
def test_product_with_a_parameter_matches_dense(a, b):
    assert_dense(torch.matmul, normal(*a), nn.Parameter(normal(*b, seed=1)))
    assert_dense(torch.matmul, nn.Parameter(normal(*a)), normal(*b, seed=1))


def test_product_of_a_batch_with_one_matrix_matches_dense():
    assert_dense(torch.matmul, normal(3, 4, 5), normal(5, 2, seed=1))
    assert_dense(torch.matmul, normal(3, 4, 5), nn.Parameter(normal(5, 2, seed=1)))


def test_gram_matrix_of_one_tensor_matches_dense():
    x = normal(5, 5)
    assert_dense(torch.matmul, x, x)


@pytest.mark.parametrize("size", [3, 10, 33])
def test_vector_products_match_dense(size):
    assert_dense(torch.mv, normal(4, size), normal(size, seed=1))
    assert_dense(torch.dot, normal(size), normal(size, seed=1))
    assert_dense(torch.bmm, normal(2, 4, size), normal(2, size, 3, seed=1))
