"""The filters at the edges: equal weights, the bands beside them, and where there is none."""

from __future__ import annotations

import pytest
import torch

from tests.problems import DEFICIENT, TINY
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import preset
from torchmelinv.phase.edge_filters import MAIN_LOBES, edge_filters
from torchmelinv.transforms.constant_matrix import ConstantMatrix
from torchmelinv.transforms.mel_filterbank import MelFilterbank

FEW = MelConvention(sample_rate=8000, n_fft=256, hop_length=64, n_mels=3, filter_norm=None)


def edges_of(convention):
    return edge_filters(MelFilterbank(convention).matrix)


def test_with_the_edge_filters_all_bins_weigh_as_much_as_the_outer_centers():
    """Without a norm the weights of overlapping triangles add up to about 1."""
    edges, M = edges_of(FEW), MelFilterbank(FEW).table
    share = M.sum(0) + edges.lower.filter.sum(0) + edges.upper.filter.sum(0)
    bottom, top = int(M[0].argmax()), int(M[-1].argmax())
    torch.testing.assert_close(share[top:], M.sum(0)[top].expand(FEW.n_freqs - top))
    below = share[1 : bottom - MAIN_LOBES + 1]
    torch.testing.assert_close(below, M.sum(0)[bottom].expand(len(below)))
    assert share[0] == 0  # DC


def test_the_bands_have_the_density_beside_them_and_fall_on():
    edges, M = edges_of(FEW), MelFilterbank(FEW).table
    flat = M.sum(1)  # of a spectrum of ones
    extended = edges.extend(flat)
    torch.testing.assert_close(extended[0], edges.lower.filter.sum())
    torch.testing.assert_close(extended[-1], edges.upper.filter.sum())
    assert torch.equal(edges.mel(extended), flat)
    falling = edges.extend(flat * torch.tensor([0.25, 1.0, 0.5]))
    torch.testing.assert_close(falling[0], 0.25**2 * edges.lower.filter.sum())
    torch.testing.assert_close(falling[-1], 0.5**2 * edges.upper.filter.sum())
    rising = edges.extend(flat * torch.tensor([4.0, 1.0, 2.0]))
    torch.testing.assert_close(rising[0], 4 * edges.lower.filter.sum())
    torch.testing.assert_close(rising[-1], 2 * edges.upper.filter.sum())


def test_one_band_is_beside_both_edges():
    edges = edges_of(FEW.replace(n_mels=1))
    extended = edges.extend(torch.tensor([3.0]))
    assert len(extended) == 3
    assert (extended > 0).all()


@pytest.mark.parametrize("silent", [0, 1, 2])
def test_silent_bands_give_finite_bands_and_gradients(silent):
    mel = torch.ones(3, dtype=torch.float64)
    mel[silent] = 0
    mel.requires_grad_()
    extended = edges_of(FEW).extend(mel)
    assert extended.isfinite().all()
    (gradient,) = torch.autograd.grad(extended.sum(), mel)
    assert gradient.isfinite().all()


@pytest.mark.parametrize(("outer", "inner"), [(1, 1e-20), (1e-21, 1e-20), (1e-25, 1e-25)])
def test_tiny_bands_give_finite_gradients_in_float32(outer, inner):
    mel = torch.tensor([1.0, inner, outer], requires_grad=True)
    (gradient,) = torch.autograd.grad(edges_of(FEW).extend(mel).sum(), mel)
    assert gradient.isfinite().all()


def test_gradients_equal_finite_differences():
    mel = (torch.rand(2, 3, dtype=torch.float64) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(edges_of(FEW).extend, mel)


def test_narrow_first_filters_have_no_lower_edge():
    for name in ("hifigan_22k", "vocos_24k", "whisper_80"):
        assert len(edges_of(preset(name)).lower.filter) == 0
        assert len(edges_of(preset(name)).upper.filter) == 1


def test_the_last_bin_belongs_to_a_filter_that_ends_there():
    """Half the sampling rate, where the last filter has the weight 0, but not bins far above."""
    assert edges_of(TINY).upper.filter[0, -1] > 0
    assert edges_of(TINY.replace(f_max=3000.0)).upper.filter[0, -1] == 0


def test_empty_filters_and_empty_filterbanks():
    assert edges_of(DEFICIENT).extend(torch.ones(20)).isfinite().all()
    empty = edge_filters(ConstantMatrix(torch.zeros(3, 9, dtype=torch.float64)))
    mel = torch.ones(2, 3)
    assert torch.equal(empty.extend(mel), mel)
    assert torch.equal(empty.mel(mel), mel)
