"""Griffin-Lim and fast Griffin-Lim: the recursion of the papers, librosa's and torchaudio's iterations, the theorem."""

from __future__ import annotations

import itertools

import librosa
import numpy as np
import pytest
import torch
import torchaudio
from torch import Tensor

from tests.problems import frame_convention, tones
from torchmelinv.errors import InputError
from torchmelinv.frame import Frame
from torchmelinv.functional import fast_griffin_lim, griffin_lim
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.retrieve import retrieve

ZERO = frame_convention(n_fft=128, hop_length=32, padding="center_zero")
REFLECT = frame_convention(n_fft=128, hop_length=32, padding="center_reflect")
N_FRAMES = 41
N_SAMPLES = 32 * (N_FRAMES - 1)


def magnitude(convention=ZERO, items=(), dtype=torch.float64) -> Tensor:
    return Frame(convention).analyse(tones(N_SAMPLES, items, dtype)).abs()


def transcription(target: Tensor, angles: Tensor, momentum: float, n_iter: int, pad_mode: str) -> Tensor:
    """Perraudin et al. (2013), algorithm 2, in the spectrum: t = P_C(P_A(c)), c = t + α (t − t_before), as written there."""
    window = torch.hann_window(128, dtype=torch.float64)
    inverse = lambda c: torch.istft(c, 128, 32, window=window, length=N_SAMPLES)  # noqa: E731
    forward = lambda x: torch.stft(x, 128, 32, window=window, pad_mode=pad_mode, return_complex=True)  # noqa: E731
    c = torch.polar(target, angles)
    before = None
    for _ in range(n_iter):
        t = forward(inverse(target * c.sgn()))
        c = t if before is None else t + momentum * (t - before)
        before = t
    return inverse(target * c.sgn())


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99, 1.2])
@pytest.mark.parametrize(("convention", "pad_mode"), [(ZERO, "constant"), (REFLECT, "reflect")])
def test_lock_step_with_the_paper(convention, pad_mode, momentum):
    target, angles = magnitude(convention), 2 * torch.pi * torch.rand(65, N_FRAMES, dtype=torch.float64)
    for n_iter in (0, 1, 2, 3, 10):
        ours = griffin_lim(target, convention, n_iter, momentum, start=angles)
        torch.testing.assert_close(ours, transcription(target, angles, momentum, n_iter, pad_mode), atol=1e-8, rtol=0)


@pytest.mark.parametrize("momentum", [0.0, 0.99])
@pytest.mark.parametrize(("convention", "pad_mode"), [(ZERO, "constant"), (REFLECT, "reflect")])
def test_librosas_iterations_from_the_same_angles(convention, pad_mode, momentum):
    target = magnitude(convention).numpy()
    angles = torch.from_numpy(2 * np.pi * np.random.default_rng(5).random(size=target.shape))
    options = {"hop_length": 32, "n_fft": 128, "momentum": momentum, "pad_mode": pad_mode, "length": N_SAMPLES}
    for n_iter in (1, 2, 5):
        theirs = librosa.griffinlim(target, n_iter=n_iter, random_state=np.random.default_rng(5), **options)
        ours = griffin_lim(torch.from_numpy(target), convention, n_iter, momentum, start=angles).numpy()
        assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()


def test_torchaudios_iterations_from_zero_phase():
    target = magnitude(REFLECT)
    window = torch.hann_window(128, dtype=torch.float64)
    for n_iter in (1, 2, 7):
        theirs = torchaudio.functional.griffinlim(target, window, 128, 32, 128, 1.0, n_iter, 0.99, N_SAMPLES, rand_init=False)
        ours = fast_griffin_lim(target, REFLECT, n_iter, start="zero")
        torch.testing.assert_close(ours, theirs, atol=1e-7, rtol=0)


def test_no_iterations_is_the_start():
    target = magnitude()
    expected = Frame(ZERO).synthesise(target + 0j)
    torch.testing.assert_close(fast_griffin_lim(target, ZERO, 0, start="zero"), expected)


def test_the_theorem_inconsistency_never_rises_without_momentum_and_with_zero_padding():
    """Griffin and Lim (1984), section III; ‖A − |STFT(x)|‖ in the inner product that counts the mirrored bins."""
    target = magnitude()
    weights = torch.full((65, 1), 2.0, dtype=torch.float64)
    weights[[0, -1]] = 1
    distances = []
    for n_iter in range(25):
        x = griffin_lim(target, ZERO, n_iter)
        distances.append((weights * (Frame(ZERO).analyse(x).abs() - target).square()).sum())
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in itertools.pairwise(distances))


def test_momentum_pays():
    target = magnitude()
    slow = retrieve(GriffinLim(0.0), target, ZERO, 60, account=True)
    fast = retrieve(GriffinLim(0.99), target, ZERO, 60, account=True)
    assert fast.residual < 0.7 * slow.residual
    assert fast.history.shape == (60,)


def test_a_true_phase_is_a_fixed_point():
    waveform = tones(N_SAMPLES, (2,), torch.float64)
    target = Frame(ZERO).analyse(waveform).abs()
    torch.testing.assert_close(fast_griffin_lim(target, ZERO, 20, start_waveform=waveform), waveform, atol=1e-9, rtol=0)


@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf"), "0.9", None])
def test_bad_momentum(wrong):
    with pytest.raises(InputError, match="momentum"):
        GriffinLim(wrong)
