"""Which kernels do a step: the fused one where it serves, else those for any size; and why none do."""

from __future__ import annotations

import pytest
import torch

from tests.host_cuda import needs_compiler
from tests.problems import frame_convention, tones
from torchmelinv.frame import Frame
from torchmelinv.ops import step_cuda


def problem(n_fft, hop_length, dtype=torch.float32):
    frame = Frame(frame_convention(n_fft=n_fft, hop_length=hop_length))
    signal = tones(600, (1,), dtype)
    magnitude = frame.analyse(signal).abs().mT.contiguous()
    return frame.plan(magnitude.shape[1], 600, signal).layout, magnitude, signal


@needs_compiler
@pytest.mark.parametrize(
    ("sizes", "kernels", "ways_back"),
    [
        ((256, 64), ["fused_step"], ["fused_backward", "fold_padding"]),
        ((100, 30), ["frame_pairs", "impose_pairs", "overlap_add_pairs"], ["frame_pairs"] * 2 + ["turn_pairs", "fold_pairs"]),
        ((256, 60), ["frame_pairs", "impose_pairs", "overlap_add_pairs"], ["frame_pairs"] * 2 + ["turn_pairs", "fold_pairs"]),
    ],
)
def test_which_kernels(host_kernels, sizes, kernels, ways_back):
    layout, magnitude, signal = problem(*sizes)
    assert step_cuda.why_not(layout, magnitude) is None
    x, new = step_cuda.step(layout, magnitude, signal)
    assert new is x
    assert host_kernels.launched == kernels
    host_kernels.launched.clear()
    step_cuda.project_vjp(layout, magnitude, signal, torch.randn_like(signal))
    assert host_kernels.launched == ways_back


def test_why_none():
    layout, magnitude, _ = problem(256, 64)
    assert "on cpu" in step_cuda.why_not(layout, magnitude)
    assert step_cuda.why_not(layout, "for a reason") == "for a reason"


def test_float64_is_refused(host_kernels):
    layout, magnitude, _ = problem(256, 64, torch.float64)
    assert "torch.float64" in step_cuda.why_not(layout, magnitude)
