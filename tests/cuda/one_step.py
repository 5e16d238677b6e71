"""One step of a phase method: the reference in float64, and the inputs of the kernels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.host_cuda import HostKernels
from tests.problems import stft_convention
from torchmelinv.conventions import MelConvention, STFTConvention
from torchmelinv.cuda.layout import Layout, MelUpdate
from torchmelinv.phase.mel_target import MelTarget, mel_target
from torchmelinv.phase.target import MelData, Target
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.stft_plan import STFTPlan, ragged_plan, stft_plan

F64, CPU = torch.float64, torch.device("cpu")
SHAPES = {
    "reflect": {"n_fft": 16, "hop_length": 4, "padding": "center_reflect"},
    "hop does not divide": {"n_fft": 20, "hop_length": 6, "padding": "center_reflect"},
    "odd": {"n_fft": 25, "hop_length": 7, "padding": "center_zero"},
    "same": {"n_fft": 20, "hop_length": 7, "padding": "same_reflect", "drop_last_frame": True},
    "short window": {
        "n_fft": 64,
        "hop_length": 20,
        "win_length": 48,
        "padding": "same_reflect_win",
    },
    "left": {
        "n_fft": 32,
        "hop_length": 10,
        "win_length": 25,
        "window": "povey",
        "window_align": "left",
        "padding": "none",
    },
    "gaps": {"n_fft": 16, "hop_length": 20, "padding": "center_zero"},
}
EVERY_SHAPE = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
SMALL = MelConvention(sample_rate=8000, n_fft=64, hop_length=20, n_mels=8)


def plan_of(
    convention: STFTConvention | MelConvention, n_frames: int = 5, extra: int = 3
) -> STFTPlan:
    """Return the plan of signals with `extra` samples after those that the frames determine."""
    n_samples = convention.n_samples(n_frames) + extra
    return stft_plan(convention.stft, n_frames, n_samples, F64, CPU)


def layout_of(plan: STFTPlan) -> Layout:
    """Return the layout in single precision, as kernels take it."""
    return dataclasses.replace(plan, window=plan.window.float()).layout


def noise(*size: int) -> Tensor:
    return torch.randn(*size, dtype=torch.float32)


def problem(plan: STFTPlan, items: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Return a magnitude and two signals; the last item is silent."""
    magnitude = noise(items, plan.n_frames, plan.convention.n_freqs).abs()
    signal, previous = noise(items, plan.n_samples), noise(items, plan.n_samples)
    signal[-1], previous[-1] = 0, 0
    return magnitude, signal, previous


def ragged(shape: dict[str, object], least: int = 11) -> tuple[STFTPlan, Layout, Tensor]:
    """Return plan, layout and frame mask of three items; one has one frame and `least` samples."""
    convention = stft_convention(**shape)
    plan = plan_of(convention, 7, 0)
    frame_counts = torch.tensor([7, 4, 1])
    sample_counts = torch.tensor([plan.n_samples, convention.n_samples(4) + 1, least])
    plan = ragged_plan(frame_counts, sample_counts, plan)
    return plan, layout_of(plan), plan.frame_mask


def reference(
    plan: STFTPlan,
    target: Target,
    signal: Tensor,
    previous: Tensor | None,
    alpha: float,
    beta: float,
    gamma: float,
) -> tuple[Tensor, Tensor]:
    """Return x and the next t by the plain recursion in float64."""
    signal = signal.double()
    change = torch.zeros_like(signal) if previous is None else signal - previous.double()
    with torch.no_grad():
        x = plan.inverse(target.impose(plan.forward(signal + alpha * change)))
    d = signal + beta * change
    return x, d + gamma * (x - d)


def assert_near(result: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """Compare relative to the peak: single-precision rounding, amplified in the quietest bins."""
    assert result.dtype == torch.float32
    atol = tolerance * float(expected.abs().max())
    torch.testing.assert_close(result.double(), expected, atol=atol, rtol=0)


def assert_items_near(results: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    for result, reference_result in zip(results, expected, strict=True):
        for item in range(len(result)):
            assert_near(result[item], reference_result[item])


def by_seeds(
    host_kernels: HostKernels, function: Callable[[], tuple[Tensor, ...]], seeds: int = 3
) -> tuple[Tensor, ...]:
    """Return the results of a function after checking that they do not depend on thread order."""
    results = []
    for host_kernels.seed in range(seeds):
        results.append(function())
    for result in results[1:]:
        assert_equal(result, results[0])
    return results[0]


def assert_equal(results: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    """Compare bit for bit."""
    assert all(torch.equal(a, b) for a, b in zip(results, expected, strict=True))


def target_of(convention: MelConvention, mel: Tensor, inner_iter: int, damping: float) -> MelTarget:
    scale = torch.linspace(1, 2, len(mel), dtype=F64)[:, None, None]
    data = MelData(mel.double(), scale, MelFilterbank(convention), convention)
    return mel_target(data, inner_iter, damping)


def mel_update_of(target: MelTarget, **limits: float) -> MelUpdate:
    """Return the target in single precision, as kernels take it."""
    floor = None if target.floor is None else target.floor.float()
    single = target._replace(
        values=target.values.float(), half_offset=target.half_offset.float(), floor=floor
    )
    assert single.unsupported_reason() is None
    return single.cuda_args()._replace(**limits)


def mel_problem(convention: MelConvention, plan: STFTPlan) -> tuple[Tensor, Tensor, Tensor]:
    """Return a mel and two signals; a frame of the first item and the last item are silent."""
    _, signal, previous = problem(plan)
    mel = noise(3, plan.n_frames, convention.n_mels).exp()
    mel[0, 2], mel[-1] = 0, 0
    return mel, signal, previous


def to_device(record: Layout | MelUpdate, device: torch.device | str) -> Layout | MelUpdate:
    """Return the record with all its tensors on a device."""
    tensors = {k: v.to(device) for k, v in record._asdict().items() if isinstance(v, Tensor)}
    return record._replace(**tensors)


def select_item(record: Layout | MelUpdate, item: int) -> Layout | MelUpdate:
    """Return the record of one item, in contiguous memory."""
    names = ("values", "offset", "floor") if isinstance(record, MelUpdate) else ()
    if isinstance(record, Layout):
        names = ("inverse_sumsquare", "n_valid")
    parts = {name: getattr(record, name)[item : item + 1].clone() for name in names}
    return record._replace(**parts)
