"""What is read off a magnitude by a kernel on the host: the reference's weights and rises."""

from __future__ import annotations

import pytest
import torch

from tests.host_cuda import needs_compiler, needs_nvrtc, registers_without_spills
from tests.problems import frame_convention
from torchmelinv.errors import InputError
from torchmelinv.ops import pghi_cuda
from torchmelinv.ops.backend import backend
from torchmelinv.phase import pghi


@needs_compiler
@pytest.mark.parametrize(("frames", "n_fft"), [(1, 16), (2, 16), (7, 16), (5, 300)])
def test_weights_and_rises_are_the_references(host_kernels, frames, n_fft):
    """Weights to the bit, as trees hang on them; rises to 1e-5: differences of logarithms of up to 14, times some ratio."""
    convention = frame_convention(n_fft=n_fft, hop_length=n_fft // 4)
    magnitude = torch.rand(3, frames, convention.n_freqs) ** 12
    magnitude[1, :, 3:6], magnitude[2] = 0, 0
    expected = pghi._steps(magnitude, convention)
    turn = pghi.bin_angles(convention, convention.hop_length, magnitude)
    for seed in (0, 3):
        host_kernels.seed = seed
        found = pghi_cuda.steps(magnitude, magnitude.amax((1, 2)), turn, pghi._ratio(convention), pghi.TOLERANCE)
        assert torch.equal(found[0], expected[0])
        for one, other in zip(found[1:], expected[1:], strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@needs_compiler
def test_sizes_that_cannot_be(host_kernels):
    convention = frame_convention(n_fft=17000, hop_length=4250)
    with backend("cuda"), pytest.raises(InputError, match="start 'pghi': 8501 bins are more than 8448"):
        pghi.pghi(torch.rand(1, 2, 8501), convention)


@needs_nvrtc
def test_it_compiles_for_a_device_without_spills():
    registers_without_spills(pghi_cuda.KERNEL)
