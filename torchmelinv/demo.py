"""`python -m torchmelinv.demo [AUDIO]`: the round trip in one command, on a recording or on a voice made here.

The voice is a pulse train through moving formants, with breath, hiss and pauses: made from numbers, the same every time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchmelinv.errors import InputError
from torchmelinv.files import write_audio
from torchmelinv.invert import MelInverter
from torchmelinv.jobs import roundtrip
from torchmelinv.jobs.console import DONE, guarded, say

CONVENTION = "hifigan_22k"

# Formants in Hz of vowels as men speak them (Peterson and Barney, 1952, table II); those above are the same for all.
_VOWELS = {"i": (270, 2290, 3010), "e": (530, 1840, 2480), "a": (730, 1090, 2440), "o": (570, 840, 2410), "u": (300, 870, 2240)}
_HIGHER = (3400, 4500, 5500, 6500, 7500, 8500, 9500)
_BANDWIDTHS = (70, 100, 140, 200, 260, 320, 380, 440, 500, 560)  # Hz
_HIGHEST = 10_000  # Hz, of the voice
_PHRASE_SECONDS = 3.0


Array = NDArray[np.float64]


def _gate(time: Array, start: float, end: float, ramp: float) -> Array:
    """1 between `start` and `end`, with raised-cosine flanks of `ramp` seconds."""
    inside = np.clip(np.minimum(time - start, end - time), 0, ramp) / ramp
    return 0.5 - 0.5 * np.cos(np.pi * inside)


def _glide(points: Array, position: Array) -> Array:
    """Points (…, k), equally spaced from 0 to 1, joined by half cosines and read at `position` (n,) -> (…, n)."""
    place = np.clip(position, 0, 1) * (points.shape[-1] - 1)
    left = np.minimum(place.astype(int), points.shape[-1] - 2)
    path = 0.5 - 0.5 * np.cos(np.pi * (place - left))
    return points[..., left] + (points[..., left + 1] - points[..., left]) * path


def _resonance(frequency: Array, formants: Array) -> NDArray[np.complex128]:
    """Complex gain of second-order resonators in cascade; `formants` is (k, …) in Hz, `frequency` broadcasts against (…)."""
    bandwidths = np.reshape(_BANDWIDTHS, (-1,) + (1,) * (np.ndim(formants) - 1))
    return np.prod(formants**2 / (formants**2 - frequency**2 + 1j * bandwidths * frequency), axis=0)


def _shaped(noise: Array, sample_rate: float, gain: Callable[[Array], NDArray[Any]]) -> Array:
    """Noise (n,) with a gain at each frequency in Hz, scaled to a deviation of 1."""
    hertz = np.asarray(np.fft.rfftfreq(len(noise), 1 / sample_rate), dtype=np.float64)
    sound = np.fft.irfft(np.fft.rfft(noise) * gain(hertz), n=len(noise))
    return sound / sound.std()


class _Voiced(NamedTuple):
    """A stretch of voice that moves through vowels while its pitch glides through as many frequencies."""

    start: float  # seconds
    end: float
    vowels: str
    pitch: tuple[float, ...]  # Hz
    loudness: float

    def sound(self, time: Array, sample_rate: float, noise: Array) -> Array:
        """Harmonics of a glottal pulse (−12 dB an octave, +6 for the lips) at the formants' gain, and breath beside them."""
        position = (time - self.start) / (self.end - self.start)
        pitch = _glide(np.array(self.pitch, dtype=np.float64), position)
        pitch = pitch * (1 + 0.012 * np.sin(2 * np.pi * 5.2 * time))  # a little vibrato
        phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
        formants = _glide(np.array([(*_VOWELS[vowel], *_HIGHER) for vowel in self.vowels], dtype=np.float64).T, position)
        # Gains change slowly: they are computed for every 64th sample and joined by straight lines.
        samples = np.arange(len(time))
        harmonics = np.arange(1, int(min(_HIGHEST, 0.48 * sample_rate) / min(self.pitch)) + 1)[:, None]
        frequency = harmonics * pitch[::64]
        below_nyquist = np.clip((0.48 * sample_rate - frequency) / (0.03 * sample_rate), 0, 1)
        gains = below_nyquist * _resonance(frequency, formants[:, None, ::64]) / harmonics
        turn = np.exp(1j * phase)
        rotor, voice = turn, np.zeros_like(time)
        for gain in gains:
            voice += (np.interp(samples, samples[::64], gain) * rotor).real
            rotor = rotor * turn
        breath = _shaped(noise, sample_rate, lambda hertz: _resonance(hertz, formants[:, len(time) // 2, None]))
        sound = voice / np.abs(voice).max() + _BREATH * breath * (1 + np.cos(phase))
        return self.loudness * _gate(time, self.start, self.end, 0.045) * sound


class _Hiss(NamedTuple):
    """A fricative: noise above a corner frequency."""

    start: float
    end: float
    corner: float  # Hz
    loudness: float

    def sound(self, time: Array, sample_rate: float, noise: Array) -> Array:
        """Noise with 24 dB an octave below its corner and −6 above."""
        gate = _gate(time, self.start, self.end, min(0.03, (self.end - self.start) / 3))
        shaped = _shaped(noise, sample_rate, lambda hertz: (hertz / self.corner) ** 4 / (1 + (hertz / self.corner) ** 5))
        return self.loudness / 4 * gate * shaped


_VOICE = (
    _Voiced(0.16, 0.78, "eai", (118, 136, 158), 1.0),
    _Voiced(0.92, 1.32, "uaa", (150, 140, 118), 0.9),
    _Voiced(1.58, 2.14, "oeiu", (124, 150, 146, 122), 0.9),
    _Voiced(2.20, 2.82, "aoua", (130, 124, 104, 86), 1.0),
)
_NOISE = (
    _Hiss(0.06, 0.18, 3800, 0.25),
    _Hiss(0.80, 0.93, 2300, 0.3),
    _Hiss(1.46, 1.60, 3800, 0.25),
    _Hiss(2.15, 2.18, 1200, 0.5),
)
_BREATH = 0.012  # of the voice, shaped by the same formants


def signal(seconds: float = _PHRASE_SECONDS, sample_rate: float = 22050) -> Tensor:
    """A voice-like signal (seconds · sample_rate,) in float32: a phrase of 3 s with a peak of 0.7, repeated. Always the same."""
    if not 0 < seconds <= 600 or not 4000 <= sample_rate <= 192_000:
        raise InputError(f"{seconds:g} s at {sample_rate:g} Hz were asked for; up to 600 s at 4000 to 192000 Hz can be made")
    time = np.arange(round(_PHRASE_SECONDS * sample_rate)) / sample_rate
    noise = np.random.RandomState(0).standard_normal(len(time))
    phrase = 2e-4 * noise  # the room
    for event in (*_VOICE, *_NOISE):
        part = slice(int(event.start * sample_rate), int(event.end * sample_rate))
        phrase[part] += event.sound(time[part], sample_rate, noise[part])
    phrase *= 0.7 / np.abs(phrase).max()
    return torch.from_numpy(np.resize(phrase, max(1, round(seconds * sample_rate))).astype(np.float32))


def _run(options: argparse.Namespace) -> int:
    folder = Path(options.out)
    reference, result, picture = (folder / name for name in ("reference.wav", "inverted.wav", "mels.png"))
    roundtrip.check_outputs(result, picture)
    inverter = MelInverter(CONVENTION)
    rate = inverter.convention.sample_rate
    if options.audio is None:
        name, waveform = "a voice made here", signal(sample_rate=rate)
    else:
        waveform, notes = roundtrip.load(options.audio, inverter.convention)
        name = Path(options.audio).name
        for note in notes:
            say("note", note)
    trip = roundtrip.roundtrip(waveform, inverter)
    write_audio(reference, waveform, rate)
    written = roundtrip.save(trip, result, picture, title=f"{name}, {CONVENTION}")
    print(f"{name}: mel of {inverter.convention.n_mels} bands ({CONVENTION}), and back")
    print("\n".join(roundtrip.lines(trip, written, result, picture)))
    print(f"{'reference':<22}{reference}")
    return DONE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo, `sys.argv` where no arguments are given; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m torchmelinv.demo", description="A recording to its mel and back to sound.")
    parser.add_argument("audio", nargs="?", metavar="AUDIO", help="any audio file (default: a voice-like signal made here)")
    parser.add_argument("--out", default="demo_output", metavar="DIR", help="folder for the results (default: demo_output)")
    options = parser.parse_args(argv)
    return guarded(lambda: _run(options))


if __name__ == "__main__":
    sys.exit(main())
