"""The kernel of phase gradient heap integration in emulation, against the reference."""

from __future__ import annotations

import pytest
import torch

from tests.host_cuda import needs_compiler, needs_nvrtc, registers_without_spills
from tests.problems import stft_convention
from torchmelinv.cuda import pghi_cuda
from torchmelinv.cuda.backend import backend
from torchmelinv.errors import InputError
from torchmelinv.phase import pghi


@needs_compiler
@pytest.mark.parametrize(("frames", "n_fft"), [(1, 16), (2, 16), (7, 16), (5, 300)])
def test_weights_and_angle_differences_are_those_of_the_reference(host_kernels, frames, n_fft):
    """Weights to the bit, because trees depend on them; angle differences to 1e-5.

    The latter are differences of logarithms of up to 14, times a ratio.
    """
    convention = stft_convention(n_fft=n_fft, hop_length=n_fft // 4)
    magnitude = torch.rand(3, frames, convention.n_freqs) ** 12
    magnitude[1, :, 3:6], magnitude[2] = 0, 0
    expected = pghi.phase_steps(magnitude, convention)
    hop_angle = pghi.bin_angles(convention, convention.hop_length, magnitude)
    peak, ratio = magnitude.amax((1, 2)), pghi._ratio(convention)
    for seed in (0, 3):
        host_kernels.seed = seed
        results = pghi_cuda.steps(magnitude, peak, hop_angle, ratio, pghi.TOLERANCE)
        assert torch.equal(results[0], expected[0])
        for result, difference in zip(results[1:], expected[1:], strict=True):
            torch.testing.assert_close(result, difference, rtol=0, atol=1e-5)


@needs_compiler
def test_unsupported_sizes(host_kernels):
    convention = stft_convention(n_fft=17000, hop_length=4250)
    message = "init 'pghi': 8501 bins are more than 8448"
    with backend("cuda"), pytest.raises(InputError, match=message):
        pghi.pghi(torch.rand(1, 2, 8501), convention)


@needs_nvrtc
def test_it_compiles_without_spills():
    registers_without_spills(pghi_cuda.KERNEL)
