"""Recursions as their authors write them, in float64 numpy with dense matrices and nothing of torchmelinv but its numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks import peers
from torchmelinv.conventions import FrameConvention, MelConvention
from torchmelinv.joint.mel_consistent import USUAL_METHOD

Reals = NDArray[np.float64]
Spectrum = NDArray[np.complex128]


def _window(frame: FrameConvention) -> Reals:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame.n_fft) / frame.n_fft)


def stft(signal: Reals, frame: FrameConvention) -> Spectrum:
    """(n_samples,) -> (n_freqs, n_frames), the edges reflected."""
    padded = np.pad(signal, frame.left_padding, mode="reflect")
    starts = range(0, len(padded) - frame.n_fft + 1, frame.hop_length)
    return np.stack([np.fft.rfft(_window(frame) * padded[start : start + frame.n_fft]) for start in starts], axis=1)


def istft(spectrum: Spectrum, frame: FrameConvention) -> Reals:
    """The signal whose spectrum is nearest, (n_freqs, n_frames) -> (n_samples,)."""
    n_fft, hop, edge = frame.n_fft, frame.hop_length, frame.left_padding
    total = np.zeros((2, n_fft + hop * (spectrum.shape[1] - 1)))
    for start, column in zip(range(0, total.shape[1], hop), spectrum.T, strict=False):
        total[0, start : start + n_fft] += _window(frame) * np.fft.irfft(column, n_fft)
        total[1, start : start + n_fft] += _window(frame) ** 2
    signal, envelope = total[:, edge:-edge]
    return signal / envelope


def fast_griffin_lim_by_hand(magnitude: Reals, angles: Reals, frame: FrameConvention, n_iter: int, momentum: float) -> Reals:
    """Perraudin et al. 2013, algorithm 2: t ← P_C(P_A(c)), c ← t + α (t − t before), on complex spectra."""
    target = magnitude * np.exp(1j * angles)
    before = None
    for _ in range(n_iter):
        projected = stft(istft(target, frame), frame)
        ahead = projected if before is None else projected + momentum * (projected - before)
        before, target = projected, magnitude * np.exp(1j * np.angle(ahead))
    return istft(target, frame)


def mel_consistent_by_hand(
    mel: Reals, magnitude: Reals, angles: Reals, convention: MelConvention, n_iter: int, sweeps: int = 2
) -> Reals:
    """The mel-consistent recursion with its usual method, for magnitude mels: s ← s · Mᵀ(m / Ms) / Mᵀ1 in P_A's place."""
    matrix = peers.librosa_filterbank(convention).astype(np.float64)
    share = matrix.sum(0)[:, None]
    beyond = np.zeros_like(share)  # of bins past the last filter's centre, the part that would be the next one's
    if not share[-2:].any():
        centre, end = matrix[-1].argmax(), share.nonzero()[0][-1] + 1
        beyond[centre:end] = 1 - np.minimum(share[centre:end] / share[centre], 1)
    signal = istft(magnitude * np.exp(1j * angles), convention)
    ahead = relaxed = before = signal
    for _ in range(n_iter):
        spectrum = stft(ahead, convention)
        seen = first = np.sqrt(np.abs(spectrum) ** 2 + convention.magnitude_offset)
        for _ in range(sweeps):
            gain = np.divide(matrix.T @ (mel / (matrix @ seen)), share, where=share > 0, out=np.zeros_like(seen))
            gain = (1 - beyond) * gain + beyond * mel.any(0)
            if share[0] == 0 < share[1]:
                gain[0] = mel.any(0)  # DC beside the first filter is free
            seen = seen * gain
        signal = istft(spectrum * (seen / first), convention)
        new = relaxed + USUAL_METHOD.relaxation * (signal - relaxed)
        ahead = new + USUAL_METHOD.momentum * (new - before)
        relaxed, before = new + USUAL_METHOD.inertia * (new - before), new
    return signal
