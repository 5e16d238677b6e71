"""The sound and the picture of each system for one item."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import torch
from torch import Tensor

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.corpus.loading import load_mels
from torchmelinv.errors import FileError, TorchmelinvError
from torchmelinv.io.audio import read_audio
from torchmelinv.io.mel_formats import MEL_SUFFIXES
from torchmelinv.io.mels import MelLayout
from torchmelinv.io.resample import resample
from torchmelinv.page.pictures import draw_mel
from torchmelinv.page.sounds import Encoding, encode
from torchmelinv.transforms.compression import decompress

_SOFTEST_DB = -120.0  # of a silent clip


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """What a file holds.

    Args:
        waveform: Waveform (channels, n_samples) of one or two channels; None of a mel.
        sample_rate: Its sample rate in Hz.
        mel: Linear mel (n_mels, n_frames); None without a convention.
        seconds: Duration.
    """

    waveform: Tensor | None
    sample_rate: float
    mel: Tensor | None
    seconds: float


@dataclasses.dataclass(frozen=True)
class Clip:
    """One system's clip of an item.

    Args:
        seconds: Duration.
        loudness: Root mean square in dB relative to full scale; None without sound.
        sound: Audio file; None without sound.
        picture: PNG file; None without a convention.
        problem: Why the file could not be read.
    """

    seconds: float = 0.0
    loudness: float | None = None
    sound: bytes | None = None
    picture: bytes | None = None
    problem: str | None = None


def read_source(
    path: Path, mel_spectrogram: MelSpectrogram | None, layout: MelLayout | None = None
) -> Source:
    """Read an audio or a mel file.

    Args:
        path: The file.
        mel_spectrogram: Gives the convention and the mels of waveforms; None for no mels.
        layout: How a mel lies in the file. Default: the file's only mel as (n_mels, n_frames).

    Returns:
        Its waveform at its own sample rate, and its mel.

    Raises:
        FileError: If the file cannot be read, or is a mel and no convention is known.
    """
    if path.suffix.lower() in MEL_SUFFIXES:
        if mel_spectrogram is None:
            raise FileError(f"{path} is a mel, and its convention is not known")
        convention = mel_spectrogram.convention
        item, *_ = load_mels(path, convention, layout=layout)
        if item.error:
            raise FileError(f"{path}: {item.error}")
        mel = decompress(item.mel, convention.level)
        seconds = item.n_frames * convention.hop_length / convention.sample_rate
        return Source(None, 0, mel, seconds)
    waveform, sample_rate = read_audio(path)
    if len(waveform) > 2:
        waveform = waveform.mean(0, keepdim=True)
    return Source(
        waveform,
        sample_rate,
        None if mel_spectrogram is None else _mel(waveform, sample_rate, mel_spectrogram),
        waveform.shape[-1] / sample_rate,
    )


def _mel(waveform: Tensor, sample_rate: float, mel_spectrogram: MelSpectrogram) -> Tensor | None:
    """Return the linear mel of a waveform mixed to mono; None if it is too short for a frame."""
    convention = mel_spectrogram.convention
    mono = resample(waveform.mean(0), sample_rate, convention.sample_rate)
    if convention.n_frames(len(mono)) == 0:
        return None
    return mel_spectrogram.linear_mel(mono)


@torch.no_grad()
def make_clips(
    paths: list[Path | None],
    mel_spectrogram: MelSpectrogram | None,
    encoding: Encoding,
    layout: MelLayout | None = None,
) -> tuple[list[Clip | None], list[str]]:
    """Read and encode the clips of one item.

    All pictures share a scale whose 0 dB is the peak of the first mel: the reference's, if there is
    one. Sounds beyond full scale make all sounds of the item softer by the same amount.

    Args:
        paths: The file of each system, the reference first; None where there is none.
        mel_spectrogram: Gives the convention and the mels of waveforms; None for no pictures.
        encoding: Format of the sounds.
        layout: How mels lie in the files. Default: as for `read_source`.

    Returns:
        A clip for each path, and notes for people.
    """
    sources: list[Source | None] = []
    problems: list[str | None] = []
    for path in paths:
        source = problem = None
        if path is not None:
            try:
                source = read_source(path, mel_spectrogram, layout)
            except TorchmelinvError as error:
                problem = str(error)
        sources.append(source)
        problems.append(problem)
    loudest = max(
        (float(s.waveform.abs().max()) for s in sources if s and s.waveform is not None), default=0
    )
    mels = [source.mel for source in sources if source and source.mel is not None]
    peak = float(mels[0].max()) if mels else 0.0
    power = mel_spectrogram.convention.power if mel_spectrogram else 1.0
    clips = [
        Clip(problem=problem) if problem else _clip(source, max(1, loudest), power, peak, encoding)
        for source, problem in zip(sources, problems, strict=True)
    ]
    if loudest <= 1:
        return clips, []
    return clips, [
        f"The files of this item exceed full scale; their sounds are all "
        f"{20 * math.log10(loudest):.1f} dB softer here"
    ]


def _clip(
    source: Source | None, divisor: float, power: float, peak: float, encoding: Encoding
) -> Clip | None:
    if source is None:
        return None
    picture = None if source.mel is None else draw_mel(source.mel, power, peak)
    if source.waveform is None:
        return Clip(source.seconds, picture=picture)
    waveform = source.waveform / divisor
    rms = float(waveform.double().square().mean().sqrt())
    loudness = max(_SOFTEST_DB, 20 * math.log10(rms)) if rms > 0 else _SOFTEST_DB
    sound = encode(waveform, source.sample_rate, encoding)
    return Clip(source.seconds, loudness, sound, picture)
