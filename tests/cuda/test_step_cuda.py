"""The choice of kernels for a step: the fused one if it fits, else those for any size."""

from __future__ import annotations

import pytest
import torch

from tests.host_cuda import needs_compiler
from tests.problems import stft_convention, tones
from torchmelinv.cuda import step_cuda
from torchmelinv.transforms.stft import STFT

PAIRS = ["frame_pairs", "impose_pairs", "overlap_add_pairs"]
PAIRS_BACKWARD = ["frame_pairs", "frame_pairs", "impose_pairs_vjp", "fold_pairs"]


def problem(n_fft, hop_length, dtype=torch.float32):
    stft = STFT(stft_convention(n_fft=n_fft, hop_length=hop_length))
    signal = tones(600, (1,), dtype)
    magnitude = stft(signal).abs().mT.contiguous()
    return stft.plan(magnitude.shape[1], 600, signal).layout, magnitude, signal


@needs_compiler
@pytest.mark.parametrize(
    ("sizes", "forward", "backward"),
    [
        ((256, 64), ["fused_step"], ["fused_backward", "fold_padding"]),
        ((100, 30), PAIRS, PAIRS_BACKWARD),
        ((256, 60), PAIRS, PAIRS_BACKWARD),
    ],
)
def test_which_kernels_run(host_kernels, sizes, forward, backward):
    layout, magnitude, signal = problem(*sizes)
    assert step_cuda.unsupported_reason(layout, magnitude) is None
    x, t_next = step_cuda.step(layout, magnitude, signal)
    assert t_next is x
    assert host_kernels.launched == forward
    host_kernels.launched.clear()
    step_cuda.project_vjp(layout, magnitude, signal, torch.randn_like(signal))
    assert host_kernels.launched == backward


def test_cpu_tensors_are_refused():
    layout, magnitude, _ = problem(256, 64)
    assert "on cpu" in step_cuda.unsupported_reason(layout, magnitude)


def test_float64_is_refused(host_kernels):
    layout, magnitude, _ = problem(256, 64, torch.float64)
    assert "torch.float64" in step_cuda.unsupported_reason(layout, magnitude)
