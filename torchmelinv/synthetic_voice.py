"""A synthetic voice: a pulse train through moving formants, with breath, hiss and pauses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchmelinv.errors import InputError

__all__ = ["signal"]

# The first three formants of vowels in Hz, men's voices: G. E. Peterson and H. L. Barney, "Control
# methods used in a study of the vowels", JASA 24(2), 1952, table II.
_VOWELS = {
    "i": (270, 2290, 3010),
    "e": (530, 1840, 2480),
    "a": (730, 1090, 2440),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
}
# The higher formants, the same for all vowels.
_HIGHER = (3400, 4500, 5500, 6500, 7500, 8500, 9500)
_BANDWIDTHS = (70, 100, 140, 200, 260, 320, 380, 440, 500, 560)  # Hz
_HIGHEST = 10_000  # Hz; no harmonics above
_PHRASE_SECONDS = 3.0
_BREATH = 0.012  # relative to the voice, shaped by the same formants

Array = NDArray[np.float64]


def _gate(time: Array, start: float, end: float, ramp: float) -> Array:
    """Return 1 between `start` and `end`, with raised-cosine flanks of `ramp` seconds."""
    inside = np.clip(np.minimum(time - start, end - time), 0, ramp) / ramp
    return 0.5 - 0.5 * np.cos(np.pi * inside)


def _glide(points: Array, position: Array) -> Array:
    """Interpolate points (…, k) with half cosines at `position` (n,) in [0, 1], giving (…, n)."""
    index = np.clip(position, 0, 1) * (points.shape[-1] - 1)
    left = np.minimum(index.astype(int), points.shape[-1] - 2)
    weight = 0.5 - 0.5 * np.cos(np.pi * (index - left))
    return points[..., left] + (points[..., left + 1] - points[..., left]) * weight


def _resonance(frequency: Array, formants: Array) -> NDArray[np.complex128]:
    """Return the complex gain of cascaded second-order resonators.

    `formants` is (k, …) in Hz; `frequency` in Hz broadcasts with (…).
    """
    bandwidths = np.reshape(_BANDWIDTHS, (-1,) + (1,) * (np.ndim(formants) - 1))
    return np.prod(formants**2 / (formants**2 - frequency**2 + 1j * bandwidths * frequency), axis=0)


def _shape_noise(noise: Array, sample_rate: float, gain: Callable[[Array], NDArray[Any]]) -> Array:
    """Filter noise (n,) with a gain at each frequency in Hz; scale it to a deviation of 1."""
    frequency = np.asarray(np.fft.rfftfreq(len(noise), 1 / sample_rate), dtype=np.float64)
    filtered = np.fft.irfft(np.fft.rfft(noise) * gain(frequency), n=len(noise))
    return filtered / filtered.std()


class _Voiced(NamedTuple):
    """A stretch of voice that moves through vowels while its pitch glides."""

    start: float  # seconds
    end: float
    vowels: str
    pitch: tuple[float, ...]  # Hz
    loudness: float

    def sound(self, time: Array, sample_rate: float, noise: Array) -> Array:
        """Return harmonics of a glottal pulse at the formants' gain, and breath.

        The pulse falls by 12 dB per octave; radiation at the lips adds 6 dB per octave.
        """
        position = (time - self.start) / (self.end - self.start)
        pitch = _glide(np.array(self.pitch, dtype=np.float64), position)
        pitch = pitch * (1 + 0.012 * np.sin(2 * np.pi * 5.2 * time))  # vibrato
        phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
        vowels = [(*_VOWELS[vowel], *_HIGHER) for vowel in self.vowels]
        formants = _glide(np.array(vowels, dtype=np.float64).T, position)
        voice = self._harmonics(pitch, phase, formants, sample_rate)
        breath_formants = formants[:, len(time) // 2, None]
        breath = _shape_noise(
            noise, sample_rate, lambda frequency: _resonance(frequency, breath_formants)
        )
        sound = voice / np.abs(voice).max() + _BREATH * breath * (1 + np.cos(phase))
        return self.loudness * _gate(time, self.start, self.end, 0.045) * sound

    def _harmonics(self, pitch: Array, phase: Array, formants: Array, sample_rate: float) -> Array:
        """Return the sum of the harmonics, with gains interpolated from every 64th sample."""
        samples = np.arange(len(pitch))
        count = int(min(_HIGHEST, 0.48 * sample_rate) / min(self.pitch))
        harmonics = np.arange(1, count + 1)[:, None]
        frequency = harmonics * pitch[::64]
        below_nyquist = np.clip((0.48 * sample_rate - frequency) / (0.03 * sample_rate), 0, 1)
        gains = below_nyquist * _resonance(frequency, formants[:, None, ::64]) / harmonics
        rotation = np.exp(1j * phase)
        phasor, voice = rotation, np.zeros_like(pitch)
        for gain in gains:
            voice += (np.interp(samples, samples[::64], gain) * phasor).real
            phasor = phasor * rotation
        return voice


class _Hiss(NamedTuple):
    """A fricative: noise above a corner frequency."""

    start: float  # seconds
    end: float
    corner: float  # Hz
    loudness: float

    def sound(self, time: Array, sample_rate: float, noise: Array) -> Array:
        """Return noise that rises by 24 dB per octave below the corner and falls by 6 above."""

        def gain(frequency: Array) -> Array:
            ratio = frequency / self.corner
            return ratio**4 / (1 + ratio**5)

        gate = _gate(time, self.start, self.end, min(0.03, (self.end - self.start) / 3))
        return self.loudness / 4 * gate * _shape_noise(noise, sample_rate, gain)


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


def signal(seconds: float = _PHRASE_SECONDS, sample_rate: float = 22050) -> Tensor:
    """Synthesize a voice-like signal: a phrase of 3 s, repeated. It is always the same.

    Args:
        seconds: Duration in seconds, above 0, at most 600.
        sample_rate: Sample rate in Hz, from 4000 to 192000.

    Returns:
        Waveform (n_samples,) in float32; the peak of a whole phrase is 0.7.

    Raises:
        InputError: If the duration or the sample rate is out of range.

    Example:
        >>> from torchmelinv.demo import signal
        >>> signal(0.5, sample_rate=16000).shape
        torch.Size([8000])
    """
    if not 0 < seconds <= 600 or not 4000 <= sample_rate <= 192_000:
        raise InputError(
            f"cannot synthesize {seconds:g} s at {sample_rate:g} Hz; seconds must be above 0, at "
            "most 600, and sample_rate from 4000 to 192000"
        )
    time = np.arange(round(_PHRASE_SECONDS * sample_rate)) / sample_rate
    noise = np.random.RandomState(0).standard_normal(len(time))
    phrase = 2e-4 * noise  # background
    for event in (*_VOICE, *_NOISE):
        part = slice(int(event.start * sample_rate), int(event.end * sample_rate))
        phrase[part] += event.sound(time[part], sample_rate, noise[part])
    phrase *= 0.7 / np.abs(phrase).max()
    waveform = np.resize(phrase, max(1, round(seconds * sample_rate)))
    return torch.from_numpy(waveform.astype(np.float32))
