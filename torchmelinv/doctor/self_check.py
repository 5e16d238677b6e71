"""What works on the CPU, in some two seconds: an inversion, audio files, resampling."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.errors import DependencyError
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import read_audio, write_audio
from torchmelinv.io.resample import resample
from torchmelinv.metrics import mel_error_db
from torchmelinv.synthetic_voice import signal

CONVENTION = "hifigan_22k"
SECONDS = 1.0  # of audio
LARGEST_ERROR_DB = -25.0  # a usual error is −35 dB


class Part(NamedTuple):
    """A part of the package, and whether it works."""

    name: str
    works: bool
    result: str


def _inversion() -> str:
    mel_spectrogram, voice = MelSpectrogram(CONVENTION), signal(SECONDS)
    mel = mel_spectrogram(voice)
    start = time.perf_counter()
    with torch.no_grad():
        waveform = MelInverter(CONVENTION)(mel)
    seconds = time.perf_counter() - start
    linear_mel = mel_spectrogram.linear_mel
    error = float(mel_error_db(linear_mel(waveform), linear_mel(voice)))
    text = f"{SECONDS:g} s of {CONVENTION} in {seconds:.2f} s, mel error {error:.1f} dB"
    if not error <= LARGEST_ERROR_DB:
        raise ArithmeticError(f"{text}; it should be below {LARGEST_ERROR_DB:g} dB")
    return text


def _files() -> str:
    waveform = signal(0.1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "voice.wav"
        write_audio(path, waveform, 22050)
        read, rate = read_audio(path)
    if rate != 22050 or not torch.allclose(read[0], waveform, atol=1e-4):
        raise ArithmeticError("a file of audio is read differently from how it was written")
    return "written and read"


def _resampling() -> str:
    n_samples = resample(signal(0.1), 22050, 16000).shape[-1]
    return f"2205 samples at 22050 Hz become {n_samples} at 16000 Hz"


_PARTS: dict[str, Callable[[], str]] = {
    "inversion": _inversion,
    "audio files": _files,
    "resampling": _resampling,
}


def self_check() -> list[Part]:
    """Try each part.

    Returns:
        The parts with their results; an error becomes the result of its part.
    """
    parts = []
    for name, run in _PARTS.items():
        try:
            parts.append(Part(name, True, run()))
        except DependencyError as error:
            parts.append(Part(name, False, str(error)))
        except Exception as error:  # the report is for errors of any kind
            parts.append(Part(name, False, f"{type(error).__name__}: {error}"))
    return parts
