"""Griffin-Lim and fast Griffin-Lim: the papers' recursion and theorem, librosa and torchaudio."""

from __future__ import annotations

import itertools

import librosa
import numpy as np
import pytest
import torch
import torchaudio
from torch import Tensor

from tests.problems import stft_convention, tones
from tests.solve import solve
from torchmelinv.errors import InputError
from torchmelinv.phases import FastGriffinLim, GriffinLim
from torchmelinv.transforms.stft import STFT

F64 = torch.float64
ZERO = stft_convention(n_fft=128, hop_length=32, padding="center_zero")
REFLECT = stft_convention(n_fft=128, hop_length=32, padding="center_reflect")
PADDED = pytest.mark.parametrize(
    ("convention", "pad_mode"), [(ZERO, "constant"), (REFLECT, "reflect")]
)
N_FRAMES = 41
N_SAMPLES = 32 * (N_FRAMES - 1)


def magnitude_of(convention=ZERO, items=(), dtype=F64) -> Tensor:
    return STFT(convention)(tones(N_SAMPLES, items, dtype)).abs()


def transcription(
    magnitude: Tensor, angles: Tensor, momentum: float, n_iter: int, pad_mode: str
) -> Tensor:
    """Run algorithm 2 of Perraudin et al. (2013): t = P_C(P_A(c)), c = t + α (t − t')."""
    window = torch.hann_window(128, dtype=F64)
    geometry = {"n_fft": 128, "hop_length": 32, "window": window}

    def inverse(c: Tensor) -> Tensor:
        return torch.istft(c, length=N_SAMPLES, **geometry)

    def forward(x: Tensor) -> Tensor:
        return torch.stft(x, pad_mode=pad_mode, return_complex=True, **geometry)

    c = torch.polar(magnitude, angles)
    before = None
    for _ in range(n_iter):
        t = forward(inverse(magnitude * c.sgn()))
        c = t if before is None else t + momentum * (t - before)
        before = t
    return inverse(magnitude * c.sgn())


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99, 1.2])
@PADDED
def test_lock_step_with_the_paper(convention, pad_mode, momentum):
    magnitude = magnitude_of(convention)
    angles = 2 * torch.pi * torch.rand(65, N_FRAMES, dtype=F64)
    for n_iter in (0, 1, 2, 3, 10):
        waveform = solve(GriffinLim(momentum), magnitude, convention, n_iter, init=angles).waveform
        expected = transcription(magnitude, angles, momentum, n_iter, pad_mode)
        torch.testing.assert_close(waveform, expected, atol=1e-8, rtol=0)


@pytest.mark.parametrize("momentum", [0.0, 0.99])
@PADDED
def test_librosas_iterations_from_the_same_angles(convention, pad_mode, momentum):
    magnitude = magnitude_of(convention)
    angles = 2 * np.pi * np.random.default_rng(5).random(size=magnitude.shape)
    for n_iter in (1, 2, 5):
        expected = librosa.griffinlim(
            magnitude.numpy(),
            n_iter=n_iter,
            hop_length=32,
            n_fft=128,
            momentum=momentum,
            pad_mode=pad_mode,
            length=N_SAMPLES,
            random_state=np.random.default_rng(5),
        )
        method, init = GriffinLim(momentum), torch.from_numpy(angles)
        waveform = solve(method, magnitude, convention, n_iter, init=init).waveform.numpy()
        assert np.abs(waveform - expected).max() <= 1e-5 * np.abs(expected).max()


def test_torchaudios_iterations_from_zero_phase():
    magnitude = magnitude_of(REFLECT)
    window = torch.hann_window(128, dtype=F64)
    for n_iter in (1, 2, 7):
        expected = torchaudio.functional.griffinlim(
            magnitude, window, 128, 32, 128, 1.0, n_iter, 0.99, N_SAMPLES, rand_init=False
        )
        waveform = solve(FastGriffinLim(), magnitude, REFLECT, n_iter, init="zero").waveform
        torch.testing.assert_close(waveform, expected, atol=1e-7, rtol=0)


def test_zero_iterations_return_the_initial_spectrum():
    magnitude = magnitude_of()
    waveform = solve(FastGriffinLim(), magnitude, ZERO, 0, init="zero").waveform
    torch.testing.assert_close(waveform, STFT(ZERO).inverse(magnitude + 0j))


def test_inconsistency_never_rises_with_zero_padding_and_no_momentum():
    """Griffin and Lim (1984), section III; the norm of A − |STFT(x)| counts the mirrored bins."""
    magnitude = magnitude_of()
    weights = torch.full((65, 1), 2.0, dtype=F64)
    weights[[0, -1]] = 1
    distances = []
    for n_iter in range(25):
        waveform = solve(GriffinLim(), magnitude, ZERO, n_iter).waveform
        error = STFT(ZERO)(waveform).abs() - magnitude
        distances.append((weights * error.square()).sum())
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in itertools.pairwise(distances))


def test_momentum_speeds_up_convergence():
    magnitude = magnitude_of()
    slow = solve(GriffinLim(0.0), magnitude, ZERO, 60, return_info=True)
    fast = solve(GriffinLim(0.99), magnitude, ZERO, 60, return_info=True)
    assert fast.residual < 0.7 * slow.residual
    assert fast.history.shape == (60,)


def test_the_true_phase_is_a_fixed_point():
    expected = tones(N_SAMPLES, (2,), F64)
    magnitude = STFT(ZERO)(expected).abs()
    waveform = solve(FastGriffinLim(), magnitude, ZERO, 20, init_waveform=expected).waveform
    torch.testing.assert_close(waveform, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("momentum", [-0.1, float("nan"), float("inf"), "0.9", None])
def test_invalid_momentum(momentum):
    with pytest.raises(InputError, match="momentum"):
        GriffinLim(momentum)
