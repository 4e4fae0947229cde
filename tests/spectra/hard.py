"""Operators whose largest singular value is hard to find, drawn by family and seed, as dense float64 matrices."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def draw(family: str, seed: int, *, size: int = 600) -> Tensor:
    """One matrix of a family with sides up to about `size`; equal arguments give equal matrices."""
    generator = Generator().manual_seed(seed)
    return FAMILIES[family](generator, size)


def _normal(generator: Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _between(generator: Generator, low: float, high: float) -> float:
    return low + (high - low) * torch.rand((), generator=generator).item()


def _sides(generator: Generator, size: int) -> tuple[int, int]:
    """Two sides between size / 6 and size, evenly on a logarithmic scale."""
    first, second = (int(size * 6 ** -torch.rand((), generator=generator).item()) for _ in range(2))
    return first, second


def _with_values(generator: Generator, values: Tensor, rows: int | None = None) -> Tensor:
    n = len(values)
    left = torch.linalg.qr(_normal(generator, rows or n, n))[0]
    right = torch.linalg.qr(_normal(generator, n, n))[0]
    return left * values @ right


def gaussian(generator: Generator, size: int) -> Tensor:
    return _normal(generator, *_sides(generator, size))


def cluster(generator: Generator, size: int) -> Tensor:
    """A group of nearly equal values at the top, far above the rest."""
    rows, columns = _sides(generator, size)
    n = min(rows, columns)
    count, width = int(_between(generator, 2, min(80, n // 2))), 10 ** _between(generator, -4, -1.3)
    top = 1 - width * torch.rand(count, generator=generator, dtype=torch.float64)
    rest = torch.linspace(0.01, _between(generator, 0.3, 0.95), n - count, dtype=torch.float64)
    return _with_values(generator, torch.cat((top, rest)), max(rows, columns))


def spike(generator: Generator, size: int) -> Tensor:
    """A Gaussian matrix and a few outer products, hidden in its bulk or far above it."""
    rows, columns = _sides(generator, size)
    matrix = _normal(generator, rows, columns) / (math.sqrt(rows) + math.sqrt(columns))
    for _ in range(int(_between(generator, 1, 4))):
        left, right = (F.normalize(_normal(generator, n), dim=0) for n in (rows, columns))
        matrix += _between(generator, 0.5, 5) * torch.outer(left, right)
    return matrix


def power_law(generator: Generator, size: int) -> Tensor:
    n = max(_sides(generator, size))
    return _with_values(generator, torch.arange(1, n + 1, dtype=torch.float64) ** -_between(generator, 0.2, 2.5))


def rank_deficient(generator: Generator, size: int) -> Tensor:
    rows, columns = _sides(generator, size)
    rank = int(_between(generator, 1, 30))
    return _normal(generator, rows, rank) @ _normal(generator, rank, columns)


def heavy_tail(generator: Generator, size: int) -> Tensor:
    """Student's t entries with 1.5 to 5 degrees of freedom: a few entries rule."""
    shape, degrees = _sides(generator, size), _between(generator, 1.5, 5)
    squares = 2 * torch._standard_gamma(torch.full(shape, degrees / 2, dtype=torch.float64), generator=generator)
    return _normal(generator, *shape) / (squares / degrees).sqrt()


def orthogonal(generator: Generator, size: int) -> Tensor:
    """Orthonormal columns and a little noise."""
    rows, columns = _sides(generator, size)
    matrix = torch.linalg.qr(_normal(generator, max(rows, columns), min(rows, columns)))[0]
    return matrix + 10 ** _between(generator, -8, -2) * _normal(generator, *matrix.shape) / math.sqrt(len(matrix))


def gaussian_product(generator: Generator, size: int) -> Tensor:
    n = max(_sides(generator, size))
    matrix = torch.eye(n, dtype=torch.float64)
    for _ in range(int(_between(generator, 2, 9))):
        matrix = _normal(generator, n, n) @ matrix / math.sqrt(n)
    return matrix


def residual_product(generator: Generator, size: int) -> Tensor:
    n, scale = max(_sides(generator, size)), _between(generator, 0.1, 0.7)
    matrix = torch.eye(n, dtype=torch.float64)
    for _ in range(int(_between(generator, 1, 9))):
        matrix = matrix + scale * _normal(generator, n, n) @ matrix / math.sqrt(n)
    return matrix


def positive(generator: Generator, size: int) -> Tensor:
    """Uniform entries with a mean: one outlier, and a bulk below it."""
    shape = _sides(generator, size)
    return torch.rand(shape, generator=generator, dtype=torch.float64) + _between(generator, -0.5, 0.5)


def block_diagonal(generator: Generator, size: int) -> Tensor:
    count = int(_between(generator, 4, 16))
    sides = [[int(_between(generator, 5, size / 10)) for _ in range(2)] for _ in range(count)]
    return torch.block_diag(*(_between(generator, 0.5, 1) * _normal(generator, *side) for side in sides))


def laplacian(generator: Generator, size: int) -> Tensor:
    """Second differences on a line: values crowd at the top."""
    n = int(_between(generator, size / 6, size))
    step = torch.diag(torch.ones(n - 1, dtype=torch.float64), 1)
    return 2 * torch.eye(n, dtype=torch.float64) - step - step.T


def toeplitz(generator: Generator, size: int) -> Tensor:
    """A random filter on a line."""
    n = int(_between(generator, size / 6, size))
    taps = _normal(generator, int(_between(generator, 2, 8)))
    shifts = [i - len(taps) // 2 for i in range(len(taps))]
    ones = [torch.ones(n - abs(shift), dtype=torch.float64) for shift in shifts]
    return sum(
        (tap * torch.diag(one, shift) for tap, one, shift in zip(taps, ones, shifts, strict=True)),
        start=torch.zeros(n, n, dtype=torch.float64),
    )


def convolution(generator: Generator, size: int) -> Tensor:
    """3 x 3, zero padding, stride 1 or 2, on a small image."""
    inputs, outputs = (int(_between(generator, 2, 9)) for _ in range(2))
    side = int(_between(generator, 4, 0.5 + math.sqrt(size / inputs)))
    weight = _normal(generator, outputs, inputs, 3, 3)
    basis = torch.eye(inputs * side * side, dtype=torch.float64).view(-1, inputs, side, side)
    stride = 1 if _between(generator, 0, 1) < 0.7 else 2
    return F.conv2d(basis, weight, padding=1, stride=stride).flatten(1).T


def lognormal(generator: Generator, size: int) -> Tensor:
    n = max(_sides(generator, size))
    return _with_values(generator, torch.exp(_between(generator, 0.2, 2) * _normal(generator, n)))


def tanh_network(generator: Generator, size: int) -> Tensor:
    """The Jacobian of a plain network of 3 to 30 layers."""
    n, scale = int(_between(generator, size / 6, size / 2)), _between(generator, 0.8, 2)
    x, matrix = _normal(generator, n), torch.eye(n, dtype=torch.float64)
    for _ in range(int(_between(generator, 3, 30))):
        weight = scale * _normal(generator, n, n) / math.sqrt(n)
        x = torch.tanh(weight @ x)
        matrix = (1 - x * x)[:, None] * (weight @ matrix)
    return matrix


def attention(generator: Generator, size: int) -> Tensor:
    """The Jacobian of one small attention head in query, key and value."""
    length, width = int(_between(generator, 6, size / 25)), int(_between(generator, 4, size / 50))
    inputs = tuple(_between(generator, 0.2, 2) * _normal(generator, length, width) for _ in range(3))
    allowed = torch.ones(length, length, dtype=torch.bool)
    allowed = allowed.tril() if _between(generator, 0, 1) < 0.5 else allowed

    def head(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return (q @ k.T / math.sqrt(width)).masked_fill(~allowed, -math.inf).softmax(-1) @ v

    blocks = torch.autograd.functional.jacobian(head, inputs, vectorize=True)
    return torch.cat([b.reshape(length * width, -1) for b in blocks], 1)


def low_rank_and_noise(generator: Generator, size: int) -> Tensor:
    rows, columns = _sides(generator, size)
    rank = int(_between(generator, 1, 8))
    signal = _normal(generator, rows, rank) @ _normal(generator, rank, columns) / math.sqrt(rows * columns)
    noise = _normal(generator, rows, columns) / (math.sqrt(rows) + math.sqrt(columns))
    return _between(generator, 0.5, 4) * signal + 10 ** _between(generator, -4, 0) * noise


def scaled(generator: Generator, size: int) -> Tensor:
    """A Gaussian matrix whose rows and columns differ in size."""
    rows, columns = _sides(generator, size)
    left = torch.exp(_between(generator, 0.1, 1.2) * _normal(generator, rows))
    right = torch.exp(_between(generator, 0.1, 1.2) * _normal(generator, columns))
    return left[:, None] * _normal(generator, rows, columns) * right


FAMILIES: dict[str, Callable[[Generator, int], Tensor]] = {
    f.__name__: f
    for f in (
        *(gaussian, cluster, spike, power_law, rank_deficient, heavy_tail, orthogonal, gaussian_product),
        *(residual_product, positive, block_diagonal, laplacian, toeplitz, convolution, lognormal, tanh_network),
        *(attention, low_rank_and_noise, scaled),
    )
}
