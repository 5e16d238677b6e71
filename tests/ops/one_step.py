"""One step of a phase method, by the reference in float64 and as kernels are told of it, with its tolerance."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from tests.problems import frame_convention
from torchmelinv.conventions import FrameConvention, MelConvention
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.frame import FramePlan, frame_plan, ragged_plan
from torchmelinv.joint.mel_target import MelTarget, mel_target
from torchmelinv.ops.layout import Layout, MelPull

F64, CPU = torch.float64, torch.device("cpu")
SHAPES = {
    "reflect": {"n_fft": 16, "hop_length": 4, "padding": "center_reflect"},
    "hop does not divide": {"n_fft": 20, "hop_length": 6, "padding": "center_reflect"},
    "odd": {"n_fft": 25, "hop_length": 7, "padding": "center_zero"},
    "same": {"n_fft": 20, "hop_length": 7, "padding": "same_reflect", "drop_last_frame": True},
    "short window": {"n_fft": 64, "hop_length": 20, "win_length": 48, "padding": "same_reflect_win"},
    "left": {"n_fft": 32, "hop_length": 10, "win_length": 25, "window": "povey", "window_align": "left", "padding": "none"},
    "gaps": {"n_fft": 16, "hop_length": 20, "padding": "center_zero"},
}
EVERY_SHAPE = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
SMALL = MelConvention(sample_rate=8000, n_fft=64, hop_length=20, n_mels=8)


def plan_of(convention: FrameConvention, n_frames: int = 5, more: int = 3) -> FramePlan:
    """For signals that end `more` samples after what the frames determine."""
    return frame_plan(convention.frame, n_frames, convention.n_samples(n_frames) + more, F64, CPU)


def layout_of(plan: FramePlan) -> Layout:
    """In single precision, as kernels take it."""
    tables = {"window": plan.window.float(), "inverse_envelope": plan.inverse_envelope.float()}
    return dataclasses.replace(plan, **tables).layout


def noise(*size: int) -> Tensor:
    return torch.randn(*size, dtype=torch.float32)


def problem(plan: FramePlan, items: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """A magnitude, and two signals. The last item is silent."""
    magnitude = noise(items, plan.n_frames, plan.convention.n_freqs).abs()
    signal, previous = noise(items, plan.n_samples), noise(items, plan.n_samples)
    signal[-1], previous[-1] = 0, 0
    return magnitude, signal, previous


def ragged(shape: dict[str, object], least: int = 11) -> tuple[FramePlan, Layout, Tensor]:
    """Three items, of which one has one frame and `least` samples; with which frames are their own."""
    convention = frame_convention(**shape)
    plan = plan_of(convention, 7, 0)
    frame_counts = torch.tensor([7, 4, 1])
    sample_counts = torch.tensor([plan.n_samples, convention.n_samples(4) + 1, least])
    plan = ragged_plan(frame_counts, sample_counts, plan)
    return plan, layout_of(plan), plan.counted


def reference(plan: FramePlan, target, signal, previous, momentum, inertia, relaxation) -> tuple[Tensor, Tensor]:
    signal = signal.double()
    change = torch.zeros_like(signal) if previous is None else signal - previous.double()
    with torch.no_grad():
        x = plan.synthesise(target.impose(plan.analyse(signal + momentum * change)))
    d = signal + inertia * change
    return x, d + relaxation * (x - d)


def assert_near(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """Within so much of the peak: rounding of single precision, grown a hundredfold in the quietest bins."""
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, atol=tolerance * float(expected.abs().max()), rtol=0)


def by_seeds(host_kernels, function) -> tuple[Tensor, Tensor]:
    """What the function gives, bitwise the same in any order of threads."""
    results = []
    for host_kernels.seed in (0, 1, 2):
        results.append(function())
    assert all(torch.equal(one, first) for result in results for one, first in zip(result, results[0], strict=True))
    return results[0]


def target_of(convention: MelConvention, mel: Tensor, sweeps: int, agreement: float) -> MelTarget:
    scale = torch.linspace(1, 2, len(mel), dtype=F64)[:, None, None]
    return mel_target(mel.double(), MelFilterbank(convention), convention, scale, sweeps, agreement)


def pull_of(target: MelTarget, **limits: float) -> MelPull:
    """The same for kernels, in single precision."""
    floor = None if target.floor is None else target.floor.float()
    single = target._replace(values=target.values.float(), offset=target.offset.float(), floor=floor)
    pull = single.for_kernels()
    assert isinstance(pull, MelPull), pull
    return pull._replace(**limits)


def mel_problem(convention: MelConvention, plan: FramePlan) -> tuple[Tensor, Tensor, Tensor]:
    """A mel, and two signals. A frame of the first item, and all of the last one's, are silent."""
    _, signal, previous = problem(plan)
    mel = noise(3, plan.n_frames, convention.n_mels).exp()
    mel[0, 2], mel[-1] = 0, 0
    return mel, signal, previous
