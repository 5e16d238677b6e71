"""What is inverted: recordings, the conventions of their mels, and what a model that predicts mels does to them."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

import torchmelinv as tmi
from benchmarks import common
from torchmelinv import functional
from torchmelinv.conventions import MelConvention

SECONDS = 5.0  # of each recording, from its beginning
BLUR = 0.7  # deviation of the Gaussian, in bands and in frames
NOISE = 0.15  # deviation, in nepers of magnitude

# name: the convention; the last number of a name is the hop length where it is not the preset's
CONVENTIONS: dict[str, MelConvention] = {
    "hifigan_22k": tmi.preset("hifigan_22k"),
    "hifigan_22k_512": tmi.preset("hifigan_22k", hop_length=512),
    "power_80": MelConvention(sample_rate=22050, n_fft=1024, hop_length=256, power=2, n_mels=80),
    "vocos_24k": tmi.preset("vocos_24k"),
    "whisper_80": tmi.preset("whisper_80"),
    "librosa_melspectrogram": tmi.preset("librosa_melspectrogram"),
}
MELS = ("clean", "blurred", "noisy")


@functools.lru_cache
def analyzer(name: str) -> tmi.MelAnalyzer:
    """The analyzer of one of `CONVENTIONS`."""
    return tmi.MelAnalyzer(CONVENTIONS[name])


def in_words(name: str) -> str:
    """A convention for a heading."""
    convention = CONVENTIONS[name]
    kind = "magnitude" if convention.power == 1 else "power"
    rate, overlap = convention.sample_rate / 1000, 1 - convention.hop_length / convention.n_fft
    sizes = f"{convention.n_fft}/{convention.hop_length}"
    return f"`{name}` ({convention.n_mels} {kind} mels, {rate:g} kHz, {sizes}, {overlap:.0%} overlap)"


def recording(path: Path, convention: MelConvention) -> Tensor:
    """The clip, cut to the samples that its frames stand for: then no method has anything to fill in."""
    clip = common.read_mono(path, convention.sample_rate, SECONDS)
    return clip[: convention.n_samples(convention.n_frames(len(clip)))]


def spread(paths: Sequence[Path], count: int) -> list[Path]:
    """`count` of them, spread evenly over the list; all where there are fewer."""
    return [paths[(2 * index + 1) * len(paths) // (2 * count)] for index in range(count)] if len(paths) > count else list(paths)


def _blurred(values: Tensor) -> Tensor:
    """Both dimensions of (rows, columns) by a Gaussian; the edges are repeated."""
    reach = torch.arange(-3, 4, dtype=values.dtype)
    kernel = torch.exp(-0.5 * (reach / BLUR).square())
    kernel = (kernel / kernel.sum())[None, None]
    for _ in range(2):
        values = conv1d(pad(values[:, None], (3, 3), mode="replicate"), kernel)[:, 0].mT
    return values


def degraded(mel: Tensor, kind: str, convention: MelConvention, name: str) -> Tensor:
    """The mel (n_mels, n_frames) in its own values, done to in the logarithm of magnitude; `name` seeds the noise."""
    if kind == "clean":
        return mel
    linear = functional.expand(mel, convention.level)
    logarithm = linear.clamp(min=float(linear.max()) * 1e-5**convention.power).log() / convention.power
    if kind == "blurred":
        logarithm = _blurred(logarithm)
    else:
        chance = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        logarithm = logarithm + NOISE * torch.randn(logarithm.shape, generator=chance)
    return functional.compress((convention.power * logarithm).exp(), convention.level)
