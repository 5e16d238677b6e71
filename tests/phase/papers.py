"""The projections of the papers in float64, from torch.stft and torch.istft, and recursions written with them in plain torch.

So autograd differentiates them, too. `last`: how many of the last iterations a gradient passes, as an int k does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from tests.problems import frame_convention, tones
from torchmelinv.conventions import FrameConvention, MelConvention
from torchmelinv.functional import mel_matrix

F64 = torch.float64
N_FFT, HOP, N_FRAMES = 64, 16, 31
N_SAMPLES = HOP * (N_FRAMES - 1)
ZERO = frame_convention(n_fft=N_FFT, hop_length=HOP, padding="center_zero")
REFLECT = ZERO.replace(padding="center_reflect")
STEPS = (0, 1, 2, 3, 10)
LOCK_STEP = {"atol": 1e-8, "rtol": 0}  # rounding of 1e-16, grown over ten steps in the quietest bins
PADDED = pytest.mark.parametrize("convention", [ZERO, REFLECT], ids=["zero", "reflect"])


def stft(waveform: Tensor, convention: FrameConvention, n_fft: int = N_FFT, hop: int = HOP) -> Tensor:
    pad_mode = {"center_zero": "constant", "center_reflect": "reflect"}[convention.padding]
    window = torch.hann_window(n_fft, dtype=F64)
    return torch.stft(waveform, n_fft, hop, window=window, pad_mode=pad_mode, return_complex=True)


def istft(spectrum: Tensor, n_fft: int = N_FFT, hop: int = HOP) -> Tensor:
    length = hop * (spectrum.shape[-1] - 1)
    return torch.istft(spectrum, n_fft, hop, window=torch.hann_window(n_fft, dtype=F64), length=length)


class Projections(NamedTuple):
    """P_A of the papers, or what stands in its place, and P_C; spectra are (n_freqs, n_frames)."""

    impose: Callable[[Tensor], Tensor]  # P_A
    forward: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]

    def consistent(self, spectrum: Tensor) -> Tensor:
        """P_C."""
        return self.forward(self.inverse(spectrum))


def magnitude_of(convention: FrameConvention, items: tuple[int, ...] = ()) -> Tensor:
    return stft(tones(N_SAMPLES, items, F64), convention).abs()


def problem(convention: FrameConvention) -> tuple[Tensor, Tensor, Projections]:
    """A magnitude, random angles to start from, and the projections."""
    magnitude = magnitude_of(convention)
    angles = 2 * torch.pi * torch.rand(magnitude.shape, dtype=F64)
    return magnitude, angles, Projections(lambda c: magnitude * c.sgn(), lambda x: stft(x, convention), istft)


def beyond_the_last_filter(matrix: Tensor) -> Tensor:
    """Of each bin of a filterbank that ends below half of the sampling rate, the part that the next filter would have."""
    share = matrix.sum(0)
    beyond = torch.zeros_like(share)
    if not share[-2:].any():
        centre, end = int(matrix[matrix.any(1)][-1].argmax()), int(share.nonzero()[-1]) + 1
        beyond[centre:end] = 1 - (share[centre:end] / share[centre]).clamp(max=1)
    return beyond


def mel_pull(mel: Tensor, convention: MelConvention, sweeps: int, agreement: float) -> Callable[[Tensor], Tensor]:
    """s = |c|^p, with the offset under the root; s ← s · Mᵀ(m / Ms) / Mᵀ1; c ← c · gain^(agreement / p)."""
    matrix = mel_matrix(convention)
    heard, share = matrix.any(1), matrix.sum(0)[:, None]
    spread = torch.where(share > 0, matrix[heard].T / torch.where(share > 0, share, 1), 0)
    beyond = beyond_the_last_filter(matrix)[:, None]

    def towards(c: Tensor) -> Tensor:
        squared = torch.view_as_real(c).square().sum(-1) + convention.magnitude_offset
        heard_bins = squared > 0
        squared = torch.where(heard_bins, squared, 1)
        s = before = torch.where(heard_bins, squared.pow(convention.power / 2), 0)
        for _ in range(sweeps):
            ratio = mel[heard] / (matrix[heard] @ s)
            gain = (1 - beyond) * (spread @ ratio) + beyond * mel.any(0)
            if share[0] == 0 < share[1]:
                gain[0] = mel.any(0)  # DC beside the first filter is free
            s = s * gain
        gain = torch.where(s > 0, s, 1) / torch.where(s > 0, before, 1)
        return torch.where(s > 0, c * gain ** (agreement / convention.power), 0)

    return towards


def _given(iteration: int, n_iter: int, last: float, *state: Tensor) -> tuple[Tensor, ...]:
    """The state; without its past where the last iterations begin."""
    return tuple(part.detach() for part in state) if 0 < iteration == n_iter - last else state


def accelerated(
    start: Tensor, sets: Projections, n_iter: int, alpha: float, beta: float, gamma: float, last: float = math.inf
) -> Tensor:
    """Nenov et al. (2023): t = (1 − γ) d + γ P_C(P_A(c)), c = t + α (t − t'), d = t + β (t − t'), from the start's P_C."""
    answer = start
    c = d = before = sets.consistent(start)
    for iteration in range(n_iter):
        c, d, before = _given(iteration, n_iter, last, c, d, before)
        answer = sets.impose(c)
        t = (1 - gamma) * d + gamma * sets.consistent(answer)
        c, d, before = t + alpha * (t - before), t + beta * (t - before), t
    return sets.inverse(answer)


def admm(start: Tensor, sets: Projections, n_iter: int, rho: float, last: float = math.inf) -> Tensor:
    """Masuyama et al. (2019): X = P_A(Z − U), Z = (ρ Y + P_C(Y)) / (1 + ρ) of Y = X + U, U ← U + X − Z; the signal of X."""
    z, u = start, torch.zeros_like(start)
    for iteration in range(n_iter):
        z, u = _given(iteration, n_iter, last, z, u)
        x = sets.impose(z - u)
        y = x + u
        z = (rho * y + sets.consistent(y)) / (1 + rho)
        u = u + x - z
    return sets.inverse(sets.impose(z - u))


def raar(start: Tensor, sets: Projections, n_iter: int, beta: float, last: float = math.inf) -> Tensor:
    """Luke (2005): c ← β/2 (c + R_C(R_A(c))) + (1 − β) P_A(c) with R = 2P − I; the signal of P_A(c)."""
    c = start
    for iteration in range(n_iter):
        (c,) = _given(iteration, n_iter, last, c)
        reflected = 2 * sets.impose(c) - c
        c = beta / 2 * (c + 2 * sets.consistent(reflected) - reflected) + (1 - beta) * sets.impose(c)
    return sets.inverse(sets.impose(c))
