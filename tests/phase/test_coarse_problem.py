"""The problem at a fraction of the rate: its STFT, and its target."""

from __future__ import annotations

import pytest
import torch

from tests.phase.papers import F64
from tests.problems import TINY, TINY_LOG, TINY_POWER, tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention
from torchmelinv.phase.coarse_problem import coarse_convention, coarse_problem
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phase.target import MelData
from torchmelinv.phases import MelConsistent
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.stft_plan import stft_plan


def problem_of(convention: MelConvention) -> PhaseProblem:
    mel = MelSpectrogram(convention).linear_mel(tones(1600, (1,), F64)).mT
    data = MelData(mel, torch.ones(1, 1, 1, dtype=F64), MelFilterbank(convention), convention)
    plan = stft_plan(convention.stft, mel.shape[1], 1600, F64, torch.device("cpu"))
    return PhaseProblem(MelConsistent().make_target(mel, data), plan)


@pytest.mark.parametrize("convention", [TINY, TINY_POWER, TINY.replace(magnitude_floor=1e-3)])
def test_bands_beyond_keep_their_share_and_those_inside_get_their_mel(convention):
    """In the middle of a band that is inside, the updates are those at the full rate."""
    problem = problem_of(convention)
    coarse = coarse_problem(problem, 2)
    assert coarse is not None
    n_freqs, whole = coarse.plan.convention.n_freqs, problem.target
    n_rows = coarse.target.values.shape[-1]
    assert not whole.tables.M_matrix[:n_rows, n_freqs - 1 :].any()
    assert whole.tables.M_matrix[n_rows, n_freqs - 1 :].any()
    spectrum = problem.plan.forward(tones(1600, (1,), F64).flip(-1))
    expected = whole.impose(spectrum.clone())[..., : n_freqs - 1]
    result = 2 * coarse.target.impose(spectrum[..., :n_freqs] / 2)
    end = int(whole.tables.M_matrix[n_rows - 2].argmax())
    torch.testing.assert_close(result[..., :end], expected[..., :end])
    outside = whole.tables.M_matrix[:n_rows, :n_freqs].sum(0) == 0
    outside[0] = False  # DC is free
    assert outside.any()
    torch.testing.assert_close(result[..., outside], spectrum[..., :n_freqs][..., outside])


def test_no_problem_without_bands():
    assert coarse_problem(problem_of(TINY.replace(f_min=2500.0)), 4) is None
    assert coarse_problem(problem_of(TINY), 64) is None


@pytest.mark.parametrize(
    "convention",
    [
        TINY,
        TINY_LOG,
        TINY.replace(padding="none"),
        TINY.replace(window="povey", win_length=96, window_align="left", padding="none"),
        TINY.replace(win_length=64, window=tuple(torch.kaiser_window(64).tolist())),
        TINY.replace(window_normalized=True, drop_last_frame=True, magnitude_offset=1e-3),
    ],
    ids=["reflect", "log", "none", "left", "custom", "normalized"],
)
def test_a_coarse_spectrum_is_the_low_part_of_the_spectrum(convention):
    """For a signal without high frequencies: at half of the rate, all values are halved."""
    stft, divisor = convention.stft, 2
    coarse = coarse_convention(stft, divisor)
    assert coarse is not None
    time = torch.arange(1600, dtype=F64) / 8000
    signal = torch.cos(2 * torch.pi * (200 * time + 2000 * time**2))
    plan = stft_plan(stft, stft.n_frames(1600), 1600, F64, torch.device("cpu"))
    smaller = stft_plan(coarse, plan.n_frames, 800, F64, torch.device("cpu"))
    spectrum = plan.forward(signal[None])[..., : coarse.n_freqs - 8]
    expected = smaller.forward(signal[None, ::divisor])[..., : coarse.n_freqs - 8]
    inside = slice(3, -3)  # a reflected end is not that of every second sample
    error = (spectrum / divisor - expected)[:, inside].abs().max()
    assert error < 1e-2 * expected.abs().max()
