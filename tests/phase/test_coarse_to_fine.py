"""Coarse to fine, in lock-step with an independent transcription in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.phase.papers import F64
from tests.problems import TINY, TINY_LOG, TINY_POWER, tones
from tests.solve import solve_mel
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.functional import initial_phase
from torchmelinv.invert import MelInverter
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.phase import coarse_to_fine
from torchmelinv.phase.coarse_problem import coarse_convention
from torchmelinv.phase.edge_filters import edge_filters
from torchmelinv.phases import ADMM, RTISILA, CoarseToFine, GriffinLim, MelConsistent, RAAR
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.spectrum import remove_offset

ZERO = TINY.replace(padding="center_zero")


def linear_mel(convention: MelConvention, items: tuple[int, ...] = ()) -> Tensor:
    return MelSpectrogram(convention).linear_mel(tones(1600, items, F64))


class Stage:
    """The joint problem at 1/D of the rate, by loops over frames, for zero padding."""

    def __init__(self, mel: Tensor, convention: MelConvention, D: int) -> None:
        """Take a linear mel (frames, n_mels)."""
        self.D, self.n, self.hop = D, convention.n_fft // D, convention.hop_length // D
        self.K, self.T, self.power = self.n // 2 + 1, len(mel), convention.power
        matrix = MelFilterbank(convention).matrix
        edges = edge_filters(matrix)
        table = torch.cat([edges.lower.filter, matrix.table, edges.upper.filter])
        rows = edges.extend(mel)
        share = table.sum(0)[: self.K]
        inside = [k for k in range(len(table)) if D == 1 or not table[k, self.K - 1 :].any()]
        self.M, self.m = table[inside][:, : self.K], rows[:, inside] / D**self.power
        self.top = int(self.M[-1].argmax())
        self.spread = torch.where(share > 0, self.M / share.clamp(min=1e-30), 0)
        self.rest = torch.where(share > 0, 1 - self.spread.sum(0), 0)
        self.free_dc = bool(share[0] == 0)
        window = torch.hann_window(convention.n_fft, dtype=F64)
        self.window = window[::D]
        self.samples = math.ceil(convention.n_samples(self.T) / D)
        level = ((self.m / self.M.sum(1)) ** (2 / self.power) @ self.spread.sum(1)).sqrt()
        self.W = 1 / (level / level.max() + 1e-3)

    def frames(self, x: Tensor) -> Tensor:
        padded = torch.zeros(self.hop * (self.T - 1) + self.n, dtype=F64)
        padded[self.n // 2 :][: self.samples] = x
        return torch.stack([padded[t * self.hop :][: self.n] for t in range(self.T)])

    def analyse(self, x: Tensor) -> Tensor:
        return torch.fft.rfft(self.frames(x) * self.window)

    def add(self, frames: Tensor) -> Tensor:
        total = torch.zeros(self.hop * (self.T - 1) + self.n, dtype=F64)
        for t, frame in enumerate(frames):
            total[t * self.hop :][: self.n] += frame
        return total[self.n // 2 :][: self.samples]

    def synthesise(self, c: Tensor, W: Tensor) -> Tensor:
        """Return A⁺_W(c), tapered where few windows reach."""
        squared = self.window.square()[None]
        ones = self.add(squared.expand(self.T, -1))
        taper = ones / ones.clamp(min=0.1 * ones.max())
        frames = torch.fft.irfft(c, n=self.n) * self.window * W[:, None]
        return self.add(frames) / self.add(squared * W[:, None]) * taper

    def gain(self, s: Tensor) -> Tensor:
        total = torch.ones_like(s)
        for _ in range(2):
            factor = (self.m / (s @ self.M.T)) @ self.spread + self.rest
            s, total = s * factor, total * factor
        total = total ** (1 / self.power)
        if self.free_dc:
            total[:, 0] = 1
        return total

    def run(self, c: Tensor, n_iter: int) -> Tensor:
        """Return x after accelerated Griffin-Lim with α = β = 0.99 and γ = 1.1."""
        t = before = x = self.synthesise(c, torch.ones(self.T, dtype=F64))
        least = math.inf
        for iteration in range(n_iter):
            y = t + 0.99 * (t - before)
            c = self.analyse(y)
            change = (self.gain(c.abs() ** self.power) - 1) * c
            x = y + self.synthesise(change, self.W)
            t, before = y + 1.1 * (x - y), t
            if iteration % 4 == 3:
                distance = float((x - y).norm())
                before = t if distance > 1.06 * least else before
                least = min(least, distance)
        return x


@pytest.mark.parametrize("n_iter", [1, 2, 5, 13, 32])
@pytest.mark.parametrize("convention", [ZERO, TINY_POWER], ids=["magnitude", "power"])
def test_equals_the_transcription(convention, n_iter):
    mel = linear_mel(convention)
    magnitude = remove_offset(entropic(mel, MelFilterbank(convention)), convention)
    c = torch.polar(magnitude, initial_phase(magnitude, convention, "random")).mT.contiguous()
    # 5/8 of the cost is coarse, with D = 4 and D = 2 (2 kHz and more); the last is not.
    coarse = min(n_iter - 1, round(5 / 8 * n_iter))
    for D in (4, 2):
        stage = Stage(mel.mT, convention, D)
        x = stage.run(c[:, : stage.K] / D, int(coarse / 2 / (1 / D + 1 / 32)))
        if coarse:
            c[:, : stage.top] = D * stage.analyse(x)[:, : stage.top]
    expected = Stage(mel.mT, convention, 1).run(c, n_iter - coarse)
    result = solve_mel(CoarseToFine(), mel, convention, n_iter, init="random").waveform
    torch.testing.assert_close(result, expected, atol=1e-9, rtol=0)
