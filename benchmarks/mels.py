"""The mels that are inverted: their conventions, and degradations as a model causes them."""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

import torchmelinv as tmi
from benchmarks.recordings import read_mono
from torchmelinv.conventions import MelConvention
from torchmelinv.transforms.compression import compress, decompress

SECONDS = 5.0  # of each recording, from its beginning
BLUR = 0.7  # standard deviation of the Gaussian filter, in bands and in frames
NOISE = 0.15  # standard deviation of the noise, in nepers of magnitude

# A number after the preset's name is a hop length other than the preset's.
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
def mel_spectrogram(name: str) -> tmi.MelSpectrogram:
    """Return the analysis of one of `CONVENTIONS`."""
    return tmi.MelSpectrogram(CONVENTIONS[name])


def describe(name: str) -> str:
    """Return a heading for a convention."""
    convention = CONVENTIONS[name]
    kind = "magnitude" if convention.power == 1 else "power"
    rate = convention.sample_rate / 1000
    overlap = 100 * (1 - convention.hop_length / convention.n_fft)
    sizes = f"{convention.n_fft}/{convention.hop_length}"
    mels = f"{convention.n_mels} {kind} mels"
    return f"`{name}` ({mels}, {rate:g} kHz, {sizes}, {overlap:.0f} % overlap)"


def recording(path: Path, convention: MelConvention) -> Tensor:
    """Return a clip, cut to the samples that its frames determine, so that no method has to pad."""
    clip = read_mono(path, convention.sample_rate, SECONDS)
    return clip[: convention.n_samples(convention.n_frames(len(clip)))]


def evenly_spaced(paths: Sequence[Path], count: int) -> list[Path]:
    """Return `count` of the paths, evenly spaced in the list, or all if there are fewer."""
    if len(paths) <= count:
        return list(paths)
    return [paths[(2 * index + 1) * len(paths) // (2 * count)] for index in range(count)]


def degrade(
    mel: Tensor, kind: str, convention: MelConvention, name: str = "", blur: float = BLUR
) -> Tensor:
    """Return a mel (…, n_mels, n_frames) after a degradation of its log magnitude.

    Input and output have the convention's values. `name` seeds the noise, `blur` is the standard
    deviation of the Gaussian filter.
    """
    if kind == "clean":
        return mel
    power = convention.power
    linear = decompress(mel, convention.level)
    log_magnitude = linear.clamp(min=float(linear.max()) * 1e-5**power).log() / power
    if kind == "blurred":
        log_magnitude = _blur(log_magnitude, blur)
    else:
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        noise = torch.randn(log_magnitude.shape, generator=generator)
        log_magnitude = log_magnitude + NOISE * noise
    return compress((power * log_magnitude).exp(), convention.level)


def _blur(values: Tensor, width: float) -> Tensor:
    """Filter both dimensions of (…, rows, columns) by a Gaussian; the edges are repeated."""
    reach = math.ceil(4 * width)
    offsets = torch.arange(-reach, reach + 1, dtype=values.dtype)
    kernel = torch.exp(-0.5 * (offsets / width).square())
    kernel = (kernel / kernel.sum())[None, None]
    for _ in range(2):
        rows = values.reshape(-1, 1, values.shape[-1])
        rows = conv1d(pad(rows, (reach, reach), mode="replicate"), kernel)
        values = rows.reshape(values.shape).mT
    return values
