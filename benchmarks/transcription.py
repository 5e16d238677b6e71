"""Recursions as their papers state them, in float64 NumPy with dense matrices.

Nothing of torchmelinv is used but its hyper-parameters and conventions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks import peers
from torchmelinv.conventions import MelConvention, STFTConvention
from torchmelinv.phases import AcceleratedGriffinLim

Reals = NDArray[np.float64]
Spectrum = NDArray[np.complex128]


def _window(convention: STFTConvention) -> Reals:
    n_fft = convention.n_fft
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)


def stft(signal: Reals, convention: STFTConvention) -> Spectrum:
    """Compute the spectrum (n_freqs, n_frames) of a signal (n_samples,) with reflected edges."""
    n_fft, window = convention.n_fft, _window(convention)
    padded = np.pad(signal, convention.left_padding, mode="reflect")
    starts = range(0, len(padded) - n_fft + 1, convention.hop_length)
    return np.stack([np.fft.rfft(window * padded[start : start + n_fft]) for start in starts], 1)


def istft(spectrum: Spectrum, convention: STFTConvention) -> Reals:
    """Compute the signal (n_samples,) whose spectrum is closest to (n_freqs, n_frames)."""
    n_fft, hop_length = convention.n_fft, convention.hop_length
    window, edge = _window(convention), convention.left_padding
    sums = np.zeros((2, n_fft + hop_length * (spectrum.shape[1] - 1)))
    for start, column in zip(range(0, sums.shape[1], hop_length), spectrum.T, strict=False):
        sums[0, start : start + n_fft] += window * np.fft.irfft(column, n_fft)
        sums[1, start : start + n_fft] += window**2
    signal, sumsquare = sums[:, edge:-edge]
    return signal / sumsquare


def fast_griffin_lim(
    magnitude: Reals, angles: Reals, convention: STFTConvention, n_iter: int, momentum: float
) -> Reals:
    """Run algorithm 2 of Perraudin et al. (2013) on complex spectra.

    t_n = P_C(P_A(c_n−1)),  c_n = t_n + α (t_n − t_n−1).
    """
    imposed = magnitude * np.exp(1j * angles)
    t_previous = None
    for _ in range(n_iter):
        t = stft(istft(imposed, convention), convention)
        c = t if t_previous is None else t + momentum * (t - t_previous)
        t_previous, imposed = t, magnitude * np.exp(1j * np.angle(c))
    return istft(imposed, convention)


def mel_consistent(
    mel: Reals,
    magnitude: Reals,
    angles: Reals,
    convention: MelConvention,
    n_iter: int,
    inner_iter: int = 2,
) -> Reals:
    """Run the mel-consistent recursion with its default method, for magnitude mels.

    The updates s ← s · Mᵀ(m / Ms) / Mᵀ1 take the place of P_A.
    """
    M = peers.librosa_filterbank(convention).astype(np.float64)
    # One more filter fills up what the last one leaves of the bins above its center. Its band goes
    # on from the densities of the last two, which may fall, not rise.
    share, center = M.sum(0), M[-1].argmax()
    end = share.nonzero()[0][-1] + 1
    edge = np.zeros_like(share)
    edge[center:end] = np.maximum(share[center] - share[center:end], 0)
    if end == len(share) - 1:
        edge[end] = share[center]
    before, density = (mel[each] / M[each].sum() for each in (-2, -1))
    fall = np.minimum(np.divide(density, before, where=before > 0, out=np.ones_like(before)), 1)
    M, mel = np.vstack([M, edge]), np.vstack([mel, density * fall * edge.sum()])
    share = M.sum(0)[:, None]
    default = AcceleratedGriffinLim()
    x = istft(magnitude * np.exp(1j * angles), convention)
    c = d = t_previous = x
    for _ in range(n_iter):
        spectrum = stft(c, convention)
        s = s_first = np.sqrt(np.abs(spectrum) ** 2 + convention.magnitude_offset)
        for _ in range(inner_iter):
            gain = np.divide(M.T @ (mel / (M @ s)), share, where=share > 0, out=np.zeros_like(s))
            if share[0] == 0 < share[1]:
                gain[0] = mel.any(0)  # DC below the first filter is left free
            s = s * gain
        x = istft(spectrum * (s / s_first), convention)
        t = d + default.gamma * (x - d)
        c = t + default.alpha * (t - t_previous)
        d, t_previous = t + default.beta * (t - t_previous), t
    return x
