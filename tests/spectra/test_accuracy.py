"""Value and interval on operators with hard spectra; the long version is a benchmark."""

import pytest
import torch

from gradscope.spectra import operator_norm
from tests.spectra.hard import FAMILIES, draw

SEEDS = range(5000, 5003)


@pytest.mark.parametrize(
    "options", [{"tolerance": 1e-2}, {"tolerance": 1e-3}, {"tolerance": 1e-2, "is_certified": True}], ids=str
)
def test_hard_spectra(options):
    missed, outside = [], []
    for name in FAMILIES:
        for seed in SEEDS:
            matrix = draw(name, seed, size=200)
            truth, single = torch.linalg.svdvals(matrix)[0].item(), matrix.float()
            start = torch.randn(matrix.shape[1], generator=torch.Generator().manual_seed(seed))
            norm = operator_norm(single.mv, single.mT.mv, start, probability=1e-2, **options)
            if abs(norm.value / truth - 1) > options["tolerance"]:
                missed.append((name, seed, norm, truth))
            if not norm.low * (1 - 1e-5) <= truth <= norm.high * (1 + 1e-5):
                outside.append((name, seed, norm, truth))
    allowed = 0.01 * len(FAMILIES) * len(SEEDS)
    assert len(missed) <= allowed and len(outside) <= allowed, (missed, outside)


def test_equal_arguments_draw_equal_operators():
    assert all(torch.equal(draw(name, 7, size=120), draw(name, 7, size=120)) for name in FAMILIES)
    assert not any(torch.equal(draw(name, 7, size=120), draw(name, 8, size=120)) for name in FAMILIES)
