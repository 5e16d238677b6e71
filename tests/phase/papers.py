"""The papers' projections and recursions in float64, written with torch.stft and torch.istft.

Autograd differentiates them. `last` is the number of last iterations that a gradient passes, as an
integer `gradient` of the inverter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from tests.problems import stft_convention, tones
from torchmelinv.conventions import MelConvention, STFTConvention
from torchmelinv.phase import noise_frame
from torchmelinv.transforms.mel_filterbank import mel_matrix

F64 = torch.float64
N_FFT, HOP, N_FRAMES = 64, 16, 31
N_SAMPLES = HOP * (N_FRAMES - 1)
ZERO = stft_convention(n_fft=N_FFT, hop_length=HOP, padding="center_zero")
REFLECT = ZERO.replace(padding="center_reflect")
ITERATIONS = (0, 1, 2, 3, 10)
# Ten iterations amplify a rounding of 1e-16 in the quietest bins.
LOCK_STEP = {"atol": 1e-8, "rtol": 0}
PADDED = pytest.mark.parametrize("convention", [ZERO, REFLECT], ids=["zero", "reflect"])


def stft(
    waveform: Tensor, convention: STFTConvention, n_fft: int = N_FFT, hop: int = HOP
) -> Tensor:
    pad_mode = {"center_zero": "constant", "center_reflect": "reflect"}[convention.padding]
    window = torch.hann_window(n_fft, dtype=F64)
    return torch.stft(waveform, n_fft, hop, window=window, pad_mode=pad_mode, return_complex=True)


def istft(spectrum: Tensor, n_fft: int = N_FFT, hop: int = HOP) -> Tensor:
    window = torch.hann_window(n_fft, dtype=F64)
    length = hop * (spectrum.shape[-1] - 1)
    return torch.istft(spectrum, n_fft, hop, window=window, length=length)


class Projections(NamedTuple):
    """P_A of the papers, or the projection in its place, and P_C; spectra (n_freqs, n_frames)."""

    impose: Callable[[Tensor], Tensor]  # P_A
    forward: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]

    def consistent(self, spectrum: Tensor) -> Tensor:
        """Return P_C(c)."""
        return self.forward(self.inverse(spectrum))


def magnitude_of(convention: STFTConvention, items: tuple[int, ...] = ()) -> Tensor:
    return stft(tones(N_SAMPLES, items, F64), convention).abs()


def problem(convention: STFTConvention) -> tuple[Tensor, Tensor, Projections]:
    """Return a magnitude, random initial angles, and the projections."""
    magnitude = magnitude_of(convention)
    angles = 2 * torch.pi * torch.rand(magnitude.shape, dtype=F64)
    projections = Projections(lambda c: magnitude * c.sgn(), lambda x: stft(x, convention), istft)
    return magnitude, angles, projections


def without_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let RTISI-LA run as in its paper: as if every frame had fine structure everywhere."""

    def all_ones(relative: Tensor, *_: float) -> Tensor:
        return torch.ones_like(relative[:, -1])

    monkeypatch.setattr(noise_frame, "newest_structure_weight", all_ones)


def with_edge_bands(M: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
    """Return a filterbank and a mel (n_mels, frames) with bands for bins beyond the outer centers.

    Each new filter fills up what the outermost filter leaves of its peak. From its neighbor to the
    outermost band the mean density rises or falls; it falls on, or stays. Neither DC nor
    the four bins below the first center belong to it.
    """
    filters, bands = list(M), list(mel)
    nonempty = [k for k in range(len(M)) if M[k].any()]
    share, n_freqs = M.sum(0).tolist(), M.shape[1]
    covered = [f for f in range(n_freqs) if share[f] > 0]
    first, last = nonempty[0], nonempty[-1]
    bottom, top = int(M[first].argmax()), int(M[last].argmax())
    end = n_freqs - 1 if covered[-1] == n_freqs - 2 else covered[-1]
    above = {f: share[top] - share[f] for f in range(top, end + 1)}
    below = {f: share[bottom] - share[f] for f in range(max(1, covered[0]), bottom - 3)}
    inside = (nonempty[-2], nonempty[1]) if len(nonempty) > 1 else (last, first)
    density = [band / max(float(row.sum()), 1e-30) for row, band in zip(M, mel, strict=True)]
    for missing, k, beside in ((above, last, inside[0]), (below, first, inside[1])):
        edge = torch.zeros_like(M[0])
        for f, value in missing.items():
            edge[f] = max(0.0, value)
        if edge.any():
            filters.append(edge)
            d, before = density[k], density[beside]
            fall = torch.where(before > 0, d / torch.where(before > 0, before, 1), 1)
            bands.append(d * fall.clamp(max=1) * edge.sum())
    return torch.stack(filters), torch.stack(bands)


def impose_mel(
    mel: Tensor, convention: MelConvention, inner_iter: int, damping: float
) -> Callable[[Tensor], Tensor]:
    """Return P_M: s = (|c|² + offset)^(p/2), s ← s · Mᵀ(m / Ms) / Mᵀ1, c ← c · gain^(damping/p)."""
    M, mel = with_edge_bands(mel_matrix(convention), mel)
    nonempty, share = M.any(1), M.sum(0)[:, None]
    M_norm_T = torch.where(share > 0, M[nonempty].T / torch.where(share > 0, share, 1), 0)
    free_dc = bool(share[0] == 0 < share[1])  # no filter covers bin 0, and one covers bin 1

    def impose(c: Tensor) -> Tensor:
        squared = torch.view_as_real(c).square().sum(-1) + convention.magnitude_offset
        positive = squared > 0
        s = torch.where(positive, squared, 1).pow(convention.power / 2)
        s = before = torch.where(positive, s, 0)
        for _ in range(inner_iter):
            ratio = mel[nonempty] / (M[nonempty] @ s)
            gain = M_norm_T @ ratio
            if free_dc:
                gain[0] = mel.any(0)
            s = s * gain
        gain = torch.where(s > 0, s, 1) / torch.where(s > 0, before, 1)
        return torch.where(s > 0, c * gain ** (damping / convention.power), 0)

    return impose


def _detach_before_last(
    iteration: int, n_iter: int, last: float, *state: Tensor
) -> tuple[Tensor, ...]:
    """Return the state, detached where the last iterations begin."""
    return tuple(part.detach() for part in state) if 0 < iteration == n_iter - last else state


def accelerated(
    initial: Tensor,
    projections: Projections,
    n_iter: int,
    alpha: float,
    beta: float,
    gamma: float,
    last: float = math.inf,
    rise: float = math.inf,
) -> Tensor:
    """Run the recursion of Nenov et al. (2023) from P_C of the initial spectrum.

    t = (1 − γ) d + γ P_C(P_A(c)), c = t + α (t − t'), d = t + β (t − t'). In every fourth
    iteration, t' ← t if ‖x − d‖ is above `rise` times its least value there so far.
    """
    imposed, least = initial, math.inf
    c = d = before = projections.consistent(initial)
    for iteration in range(n_iter):
        c, d, before = _detach_before_last(iteration, n_iter, last, c, d, before)
        imposed = projections.impose(c)
        t = (1 - gamma) * d + gamma * projections.consistent(imposed)
        if iteration % 4 == 3:
            distance = float(projections.inverse(imposed - d).detach().norm())
            before = t if distance > rise * least else before
            least = min(least, distance)
        c, d, before = t + alpha * (t - before), t + beta * (t - before), t
    return projections.inverse(imposed)


def admm(
    initial: Tensor, projections: Projections, n_iter: int, rho: float, last: float = math.inf
) -> Tensor:
    """Run the splitting of Masuyama et al. (2019); return the signal of X.

    X = P_A(Z − U), Y = X + U, Z = (ρ Y + P_C(Y)) / (1 + ρ), U ← U + X − Z.
    """
    z, u = initial, torch.zeros_like(initial)
    for iteration in range(n_iter):
        z, u = _detach_before_last(iteration, n_iter, last, z, u)
        x = projections.impose(z - u)
        y = x + u
        z = (rho * y + projections.consistent(y)) / (1 + rho)
        u = u + x - z
    return projections.inverse(projections.impose(z - u))


def raar(
    initial: Tensor, projections: Projections, n_iter: int, beta: float, last: float = math.inf
) -> Tensor:
    """Run the recursion of Luke (2005) with R = 2P − I; return the signal of P_A(c).

    c ← β/2 (c + R_C(R_A(c))) + (1 − β) P_A(c).
    """
    c = initial
    for iteration in range(n_iter):
        (c,) = _detach_before_last(iteration, n_iter, last, c)
        imposed = projections.impose(c)
        reflected = 2 * imposed - c
        twice = 2 * projections.consistent(reflected) - reflected
        c = beta / 2 * (c + twice) + (1 - beta) * imposed
    return projections.inverse(projections.impose(c))
