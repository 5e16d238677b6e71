"""Sinusoids for the phases that are read off a magnitude, and how well a magnitude is met where frames overlap fully."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tests.problems import frame_convention
from torchmelinv.conventions import FrameConvention
from torchmelinv.frame import Frame

F64 = torch.float64
TIME = torch.arange(2000, dtype=F64)
GLIDE = (2 * math.pi * (10 * TIME + 0.01 * TIME.square()) / 128).sin()  # two thirds of a bin in a hop of 32
CONVENTION = frame_convention(n_fft=128, hop_length=32, padding="none")


WINDOWS_AND_HOPS = (
    CONVENTION.replace(window="povey", window_align="left", win_length=100),
    CONVENTION.replace(window="hann_symmetric", win_length=101),
    CONVENTION.replace(win_length=80, hop_length=40),
    CONVENTION.replace(n_fft=129, win_length=129),
    CONVENTION.replace(hop_length=80),  # more than half a window
    CONVENTION.replace(window=torch.hamming_window(128)),
)


def spectrum_of(signal: Tensor, convention: FrameConvention = CONVENTION) -> Tensor:
    return Frame(convention).analyse(signal.reshape(-1, signal.shape[-1])).mT.contiguous()


def inner_error_db(angles: Tensor, magnitude: Tensor, convention: FrameConvention = CONVENTION) -> float:
    """Spectral convergence away from both ends, where fewer frames overlap."""
    frame, edge = Frame(convention), -(-convention.n_fft // convention.hop_length)
    again = frame.analyse(frame.synthesise(torch.polar(magnitude, angles).mT)).abs().mT[:, edge:-edge]
    wanted = magnitude[:, edge : edge + again.shape[1]]
    return 20 * math.log10(float((again - wanted).norm() / wanted.norm()))


def sinusoid(position: float, convention: FrameConvention = CONVENTION, start: float = 1.0) -> Tensor:
    return (2 * math.pi * position * TIME / convention.n_fft + start).sin()
