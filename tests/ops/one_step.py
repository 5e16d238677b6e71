"""One step of a phase method, by the reference in float64 and as kernels are told of it, with its tolerance."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.problems import frame_convention
from torchmelinv.conventions import FrameConvention, MelConvention
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.frame import FramePlan, frame_plan, ragged_plan
from torchmelinv.joint.mel_target import LARGEST_GAIN, LARGEST_RATIO, MelTarget, mel_target
from torchmelinv.ops.layout import Layout, MelPull
from torchmelinv.ops.mel_pull import mel_pull, pull_tables, why_no_pull

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


def layout_of(plan: FramePlan, ends: Tensor | None = None) -> Layout:
    convention = plan.convention
    sizes = (convention.n_fft, convention.hop_length, convention.left_padding, plan.n_frames, plan.n_samples)
    return Layout(*sizes, plan.edges is not None, plan.window.float(), plan.inverse_envelope.float(), ends)


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
    return plan, layout_of(plan, sample_counts.int()), plan.counted


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


def pull_of(target: MelTarget, convention: MelConvention, **limits: float) -> MelPull:
    """The same for kernels; the tables from what the target does to single bins and bands."""
    tables = target.tables
    bands = tables.bands.of_rows(torch.eye(convention.n_freqs, dtype=F64)).T
    spread = tables.spread.of_rows(torch.eye(convention.n_mels, dtype=F64))
    free = torch.zeros(convention.n_freqs, dtype=F64)
    for bins, part in tables.free:
        free[bins] += part
    assert why_no_pull(spread, free) is None
    return mel_pull(
        pull_tables(bands, spread, free, CPU),
        target.values.float(),
        target.offset.float(),
        None if target.floor is None else target.floor.float(),
        power=target.power,
        sweeps=target.sweeps,
        agreement=target.agreement,
        **{"most_ratio": LARGEST_RATIO, "most_gain": LARGEST_GAIN, "faintest": torch.finfo(torch.float32).tiny, **limits},
    )


def mel_problem(convention: MelConvention, plan: FramePlan) -> tuple[Tensor, Tensor, Tensor]:
    """A mel, and two signals. A frame of the first item, and all of the last one's, are silent."""
    _, signal, previous = problem(plan)
    mel = noise(3, plan.n_frames, convention.n_mels).exp()
    mel[0, 2], mel[-1] = 0, 0
    return mel, signal, previous
