"""Audio to mel and back to audio, and how close it came: what a convention and a method can do for one recording."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from torchmelinv import plot
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.conventions import MelConvention
from torchmelinv.files import Written, audio_format, read_audio, resample, write_audio
from torchmelinv.invert import MelInverter
from torchmelinv.jobs.console import decibels, printable
from torchmelinv.measure.distance import mel_error_db, spectral_convergence_db


@dataclasses.dataclass(frozen=True, eq=False)
class Roundtrip:
    """A recording, what came back, and the distances between the two. Mels are linear, (n_mels, n_frames)."""

    convention: MelConvention
    original: Tensor  # (n_samples,)
    result: Tensor  # (n_samples,)
    original_mel: Tensor
    result_mel: Tensor
    mel_error_db: float
    spectral_convergence_db: float  # of the magnitudes of the convention's own frames
    seconds: float  # that the inversion took

    @property
    def duration(self) -> float:
        """Seconds of audio."""
        return self.original.shape[-1] / self.convention.sample_rate

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for a second of audio."""
        return self.seconds / self.duration

    def figures(self) -> dict[str, float]:
        """The numbers, by name, for a report."""
        return {
            "mel_error_db": self.mel_error_db, "spectral_convergence_db": self.spectral_convergence_db,
            "duration": self.duration, "seconds": self.seconds, "real_time_factor": self.real_time_factor,
        }


def load(path: str | Path, convention: MelConvention) -> tuple[Tensor, list[str]]:
    """A recording as one channel at the convention's rate, (n_samples,), and in words what had to be done for it."""
    waveform, rate = read_audio(path)
    notes = []
    if rate != convention.sample_rate:
        waveform = resample(waveform, rate, convention.sample_rate)
        notes.append(f"resampled from {rate:g} to {convention.sample_rate:g} Hz")
    if len(waveform) > 1:
        notes.append(f"{len(waveform)} channels mixed to one")
    return waveform.mean(0), notes


def roundtrip(waveform: Tensor, inverter: MelInverter, device: torch.device | str = "cpu") -> Roundtrip:
    """Analyse a waveform (n_samples,), invert its mel to as many samples, and compare. The clock runs for the inversion alone."""
    inverter = inverter.to(device)
    analyzer = MelAnalyzer(inverter.convention).to(device)
    original = waveform.to(device)
    with torch.inference_mode():
        mel = analyzer(original)
        start = time.perf_counter()
        result = inverter(mel, length=waveform.shape[-1])
        result_on_host = result.cpu()  # waits for the device
        seconds = time.perf_counter() - start
        original_mel, result_mel = analyzer.linear(original), analyzer.linear(result)
        magnitudes = [analyzer.frame.analyse(signal).abs() for signal in (result, original)]
        return Roundtrip(
            inverter.convention, waveform, result_on_host, original_mel.cpu(), result_mel.cpu(),
            float(mel_error_db(result_mel, original_mel)), float(spectral_convergence_db(*magnitudes)), seconds,
        )


def check_outputs(output: str | Path | None, picture: str | Path | None, subtype: str | None = None) -> None:
    """Refuse before any work what could not be written after it."""
    if output is not None:
        audio_format(output, subtype)
    if picture is not None:
        plot.check_picture(picture)


def save(
    trip: Roundtrip, output: str | Path | None, picture: str | Path | None, *, title: str, subtype: str | None = None,
) -> Written | None:
    """Write the waveform, draw the picture, each where a path is given."""
    written = None
    if output is not None:
        written = write_audio(output, trip.result, trip.convention.sample_rate, subtype)
    if picture is not None:
        figure = plot.compare_mels(trip.original_mel, trip.result_mel, trip.convention, title=title)
        plot.save(figure, picture)
    return written


def report(trip: Roundtrip, written: Written | None = None, **facts: Any) -> dict[str, Any]:
    """Everything that is known about a round trip, ready for JSON; `facts` are paths, options and notes."""
    return {
        **facts, "sample_rate": trip.convention.sample_rate, "n_samples": trip.original.shape[-1],
        "n_frames": trip.original_mel.shape[-1], **trip.figures(), **(written._asdict() if written else {}),
    }


def lines(trip: Roundtrip, written: Written | None, output: str | Path | None, picture: str | Path | None) -> list[str]:
    """The same for a person to read."""
    speed = f"{trip.seconds:.2f} s for {trip.duration:.2f} s of audio, {1 / trip.real_time_factor:.1f} times as fast as it plays"
    facts = [("mel error", decibels(trip.mel_error_db)), ("spectral convergence", decibels(trip.spectral_convergence_db)),
             ("time", speed), ("result", printable(str(output or ""))), ("picture", printable(str(picture or "")))]
    if written and written.gain_db < 0:
        facts.append(("scaled by", f"{written.gain_db:.1f} dB, its peak was {written.peak:.2f}"))
    return [f"{heading:<22}{text}" for heading, text in facts if text]
