"""The kernels of single-pass spectrogram inversion in emulation, against the reference."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.host_cuda import needs_compiler, needs_nvrtc, registers_without_spills
from tests.problems import TINY, apart, stft_convention, tones
from torchmelinv.cuda import spsi_cuda
from torchmelinv.cuda.backend import backend
from torchmelinv.errors import InputError
from torchmelinv.phase.spsi import spsi
from torchmelinv.transforms.stft import STFT


def assert_same_angles(angles: Tensor, expected: Tensor, tolerance: float) -> None:
    """Compare on the circle; angles must be within [0, 2π]."""
    assert angles.dtype == torch.float32
    assert ((angles >= 0) & (angles <= torch.tensor(2 * math.pi))).all()
    assert apart(angles, expected) <= tolerance


def spsi_by_kernels(magnitude: Tensor, convention, previous: Tensor | None = None) -> Tensor:
    with backend("cuda"):
        return spsi(magnitude, convention, previous)


# Each frame adds angles of up to a hundred radians (a hundred bins of glide) in float32: at most
# 1e-5 per frame.
@needs_compiler
@pytest.mark.parametrize("n_fft", [16, 130])
@pytest.mark.parametrize("continued", [False, True])
def test_angles_are_those_of_the_reference(host_kernels, n_fft, continued):
    convention = stft_convention(n_fft=n_fft, hop_length=n_fft // 4)
    magnitude = torch.rand(2, 9, convention.n_freqs) ** 4
    magnitude[0, 3:5], magnitude[1, 6, 2:] = 0, 0
    magnitude[1, 2] = 0.25  # flat
    previous = 6 * torch.rand(2, convention.n_freqs) if continued else None
    expected = spsi(magnitude, convention, previous)
    for seed in (0, 1, 2):
        host_kernels.seed = seed
        angles = spsi_by_kernels(magnitude, convention, previous)
        assert host_kernels.launched[-2:] == ["spsi_advance", "spsi_angles"]
        assert_same_angles(angles, expected, 1e-4)
        assert torch.equal(angles, spsi_by_kernels(magnitude, convention, previous))
        for item in (slice(0, 1), slice(1, 2)):
            before = None if previous is None else previous[item]
            alone = spsi_by_kernels(magnitude[item], convention, before)
            assert torch.equal(angles[item], alone)


@needs_compiler
def test_tones_of_many_frames(host_kernels):
    magnitude = STFT(TINY)(tones(1000, (2,))).abs().mT.contiguous()
    angles = spsi_by_kernels(magnitude, TINY.stft)
    assert_same_angles(angles, spsi(magnitude, TINY.stft), 1e-3)


@needs_compiler
def test_threads_with_several_bins(host_kernels, monkeypatch):
    monkeypatch.setattr(spsi_cuda, "MAX_THREADS", 32)
    for n_fft in (128, 190):
        convention = stft_convention(n_fft=n_fft, hop_length=n_fft // 4)
        magnitude = torch.rand(1, 7, convention.n_freqs)
        angles = spsi_by_kernels(magnitude, convention)
        assert_same_angles(angles, spsi(magnitude, convention), 1e-4)


@needs_compiler
def test_the_smallest_shapes(host_kernels):
    convention = stft_convention(n_fft=16, hop_length=4)
    for shape in ((1, 1, 9), (0, 3, 9)):
        magnitude = torch.rand(shape)
        assert torch.equal(spsi_by_kernels(magnitude, convention), spsi(magnitude, convention))


@needs_compiler
def test_nan_stays_in_its_item_and_in_bounds(host_kernels):
    convention = stft_convention(n_fft=16, hop_length=4)
    magnitude = torch.rand(2, 4, 9)
    expected = spsi_by_kernels(magnitude, convention)[1]
    magnitude[0, 1] = math.nan
    assert torch.equal(spsi_by_kernels(magnitude, convention)[1], expected)


@needs_compiler
def test_unsupported_sizes_and_dtypes_are_refused(host_kernels):
    convention = stft_convention(n_fft=20000, hop_length=5000)
    magnitude = torch.rand(1, 2, 10001)
    with pytest.raises(InputError, match="init 'spsi': 10001 bins are more than 9216"):
        spsi_by_kernels(magnitude, convention)
    with pytest.raises(InputError, match="written for float32"):
        spsi_by_kernels(magnitude.double(), convention)


@needs_nvrtc
def test_they_compile_without_spills():
    assert all(registers_without_spills(kernel) <= 64 for kernel in spsi_cuda.kernels())


@pytest.mark.gpu
def test_on_a_device():
    magnitude = STFT(TINY)(tones(2000, (3,))).abs().mT.contiguous()
    angles = spsi_by_kernels(magnitude.cuda(), TINY.stft).cpu()
    assert_same_angles(angles, spsi(magnitude, TINY.stft), 1e-3)
