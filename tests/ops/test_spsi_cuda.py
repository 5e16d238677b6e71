"""SPSI's kernels on the host: the reference's angles, frame after frame, whatever runs beside."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.host_cuda import needs_compiler, needs_nvrtc, registers_without_spills
from tests.problems import TINY, apart, frame_convention, tones
from torchmelinv.errors import InputError
from torchmelinv.frame import Frame
from torchmelinv.ops import spsi_cuda
from torchmelinv.ops.backend import backend
from torchmelinv.phase.spsi import spsi


def assert_same_angles(found: Tensor, expected: Tensor, tolerance: float) -> None:
    """On the circle; and within [0, 2π]."""
    assert found.dtype == torch.float32
    assert ((found >= 0) & (found <= torch.tensor(2 * math.pi))).all()
    assert apart(found, expected) <= tolerance


def by_kernel(magnitude: Tensor, convention, previous: Tensor | None = None) -> Tensor:
    with backend("cuda"):
        return spsi(magnitude, convention, previous)


# Each frame adds angles of up to a hundred radians (a hundred bins of glide) in float32: 1e-5 a frame at the very most.
@needs_compiler
@pytest.mark.parametrize("n_fft", [16, 130])
@pytest.mark.parametrize("continued", [False, True])
def test_angles_are_the_references(host_kernels, n_fft, continued):
    convention = frame_convention(n_fft=n_fft, hop_length=n_fft // 4)
    magnitude = torch.rand(2, 9, convention.n_freqs) ** 4
    magnitude[0, 3:5], magnitude[1, 6, 2:] = 0, 0
    magnitude[1, 2] = 0.25  # flat
    previous = 6 * torch.rand(2, convention.n_freqs) if continued else None
    expected = spsi(magnitude, convention, previous)
    for seed in (0, 1, 2):
        host_kernels.seed = seed
        found = by_kernel(magnitude, convention, previous)
        assert host_kernels.launched[-2:] == ["spsi_advance", "spsi_angles"]
        assert_same_angles(found, expected, 1e-4)
        assert torch.equal(found, by_kernel(magnitude, convention, previous))
        for item in (0, 1):
            one = None if previous is None else previous[item : item + 1]
            assert torch.equal(found[item : item + 1], by_kernel(magnitude[item : item + 1], convention, one))


@needs_compiler
def test_tones_of_many_frames(host_kernels):
    magnitude = Frame(TINY).analyse(tones(1000, (2,))).abs().mT.contiguous()
    assert_same_angles(by_kernel(magnitude, TINY.frame), spsi(magnitude, TINY.frame), 1e-3)


@needs_compiler
def test_a_thread_of_several_bins(host_kernels, monkeypatch):
    monkeypatch.setattr(spsi_cuda, "MOST_THREADS", 32)
    for n_fft in (128, 190):
        convention = frame_convention(n_fft=n_fft, hop_length=n_fft // 4)
        magnitude = torch.rand(1, 7, convention.n_freqs)
        assert_same_angles(by_kernel(magnitude, convention), spsi(magnitude, convention), 1e-4)


@needs_compiler
def test_the_smallest_shapes(host_kernels):
    convention = frame_convention(n_fft=16, hop_length=4)
    for shape in ((1, 1, 9), (0, 3, 9)):
        magnitude = torch.rand(shape)
        assert torch.equal(by_kernel(magnitude, convention), spsi(magnitude, convention))


@needs_compiler
def test_what_is_no_number_stays_in_its_item_and_in_bounds(host_kernels):
    convention = frame_convention(n_fft=16, hop_length=4)
    magnitude = torch.rand(2, 4, 9)
    expected = by_kernel(magnitude, convention)[1]
    magnitude[0, 1] = math.nan
    assert torch.equal(by_kernel(magnitude, convention)[1], expected)


@needs_compiler
def test_what_the_kernels_cannot_serve_is_refused(host_kernels):
    convention = frame_convention(n_fft=20000, hop_length=5000)
    magnitude = torch.rand(1, 2, 10001)
    with pytest.raises(InputError, match="start 'spsi': 10001 bins are more than 9216"):
        by_kernel(magnitude, convention)
    with pytest.raises(InputError, match="written for float32"):
        by_kernel(magnitude.double(), convention)


@needs_nvrtc
def test_they_compile_for_a_device_without_spills():
    assert all(registers_without_spills(kernel) <= 64 for kernel in spsi_cuda.kernels())


@pytest.mark.gpu
def test_on_a_device():
    magnitude = Frame(TINY).analyse(tones(2000, (3,))).abs().mT.contiguous()
    found = by_kernel(magnitude.cuda(), TINY.frame).cpu()
    assert_same_angles(found, spsi(magnitude, TINY.frame), 1e-3)
