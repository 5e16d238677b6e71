"""Pitch pulses and onsets within frames, which a mel does not show: a gain that restores them.

A mel frame averages over several pitch periods, and the iteration flattens what happens within it:
above 1 kHz pitch pulses lose half of their depth, and onsets half of their slope. A prior of the
initial phase is forgotten. So every projection is preceded by a gain on the band above 1 kHz,

    y ← y + (g − 1) · H y,    ln g = 0.015 p cos φ + 0.08 u,

with H that band, φ the phase of the pitch, p from 0 to 1 the weight of pulses, and u the shape of
onsets: up after them, down before. The projection gives each band its energy back and leaves the
shape within the frame, so a factor of one percent is enough.

All of it is found once, in a signal of some iterations. The pitch is the largest autocorrelation
below 1 kHz; φ is its integral plus the angle of the envelope from 1 to 3 kHz at the pitch, so
pulses stand where this signal has them already. p is 0 where the lower band is not periodic, where
the envelope has no steady modulation at the pitch (drums, noise, strings), where the band from 1 to
3 kHz does not resemble itself a period earlier (drums, noise), and where it repeats itself well:
there harmonics are resolved, and right (a cello). An onset is where the energy of the differenced
signal, smoothed over 7 ms, rises by 8 dB or more within 8 ms; levels 20 dB below the loudest nearby
do not count.

No gradient passes through the gain. Finding it costs about as much as ten iterations, and each
later iteration a filter of 1.5 ms more.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, conv1d, max_pool1d, pad

from torchmelinv._utils.numerics import safe_divide
from torchmelinv._utils.table_cache import to_device
from torchmelinv.cuda.backend import use_kernel
from torchmelinv.phase.problem import PhaseProblem

# Chosen on six clips of speech with hifigan_22k, and confirmed on six others.
PULSES, ONSETS = 0.015, 0.08  # of ln g in one iteration
LOWEST_RATE = 8000.0  # Hz: the signal has the band from 1 to 3 kHz
_CROSSOVER, _BAND = 1000.0, (1000.0, 3000.0)  # Hz
_FILTER_SECONDS, _BAND_SECONDS = 0.0015, 0.008

_LOWEST_PITCH, _HIGHEST_PITCH = 60.0, 400.0  # Hz
_STEP_SECONDS, _PITCH_SECONDS, _SMOOTH_SECONDS = 0.005, 0.046, 0.06
_OCTAVE_COST = 0.05  # of an octave below the highest pitch, so that a period is not taken twice
_LEAST_ENERGY = 1e-4  # of the loudest frame
# Where weights rise from 0 to 1: periodicity below 1 kHz, modulation of the envelope, periodicity
# from 1 to 3 kHz; and where the latter is so high that they fall to 0.
_VOICED, _MODULATED, _PERIODIC, _RESOLVED = (0.45, 0.75), (0.02, 0.06), (0.15, 0.45), (0.85, 0.95)

# In milliseconds, which are steps of the envelope; levels in dB.
_SMOOTH, _LEVEL, _RISE, _APART, _BEFORE, _AFTER = 7, 4, 8, 20, 25, 12
_LEAST_RISE_DB, _FULL_RISE_DB, _LEAST_LEVEL_DB, _LEAST_WEIGHT = 8.0, 16.0, -35.0, 0.3
_LOCAL_RANGE = 0.01  # of the loudest within 25 ms, likewise: an onset is not its soft foot
_RANGE = 1e-4  # of the loudest 4 ms: quieter ones count as this


def _ramp(values: Tensor, ends: tuple[float, float]) -> Tensor:
    """Return 0 below the first end, 1 above the second, and a line between."""
    return ((values - ends[0]) / (ends[1] - ends[0])).clamp(0, 1)


def _convolve(signal: Tensor, kernel: Tensor, step: int = 1) -> Tensor:
    """Return every `step`-th sample of a signal (items, n) filtered by a kernel of odd length."""
    kernel = to_device(kernel, signal.dtype, signal.device)[None, None]
    return conv1d(signal[:, None], kernel, stride=step, padding=kernel.shape[-1] // 2)[:, 0]


def _sinc(cutoff: float, seconds: float, rate: float) -> Tensor:
    """Return a windowed sinc with the sum 1, (odd,), float64; `cutoff` is half of its band."""
    half = round(seconds * rate / 2)
    n = torch.arange(-half, half + 1, dtype=torch.float64)
    kernel = (n * (2 * cutoff / rate)).sinc() * torch.hann_window(2 * half + 3, False)[1:-1]
    return kernel / kernel.sum()


def _hann(seconds: float, rate: float) -> Tensor:
    kernel = torch.hann_window(2 * round(seconds * rate / 2) + 3, False)[1:-1]
    return kernel / kernel.sum()


def _interpolate(frames: Tensor, step: int, n_samples: int) -> Tensor:
    """Return (items, n_samples) on the lines between values (items, frames) `step` apart."""
    position = torch.arange(n_samples, device=frames.device)
    before = position // step
    after = (before + 1).clamp(max=frames.shape[-1] - 1)
    share = (position % step).to(frames.real.dtype) / step
    return frames[:, before] * (1 - share) + frames[:, after] * share


def _pitch(signal: Tensor, rate: float, step: int) -> tuple[Tensor, Tensor]:
    """Return the period in samples and the weight of voicing of each frame, (items, frames)."""
    half = round(_PITCH_SECONDS * rate / 2)
    window = torch.hann_window(2 * half, dtype=signal.dtype, device=signal.device)
    frames = pad(signal, (half, half - 1)).unfold(-1, 2 * half, step) * window
    shortest, longest = int(rate / _HIGHEST_PITCH), int(rate / _LOWEST_PITCH)
    size = 1 << (2 * half + longest).bit_length()
    hertz = torch.fft.rfftfreq(size, 1 / rate, dtype=signal.dtype, device=signal.device)
    low = 1 - _ramp(hertz, (0.75 * _CROSSOVER, 1.25 * _CROSSOVER))

    def correlate(frames: Tensor, weight: Tensor | float) -> Tensor:
        power = torch.fft.rfft(frames, size).abs().square() * weight
        return torch.fft.irfft(power)[..., : longest + 1]

    correlation, bias = correlate(frames, low), correlate(window, 1.0)
    energy = correlation[..., :1]
    correlation = safe_divide(correlation, energy * (bias / bias[0]))[..., shortest:]
    lags = torch.arange(shortest, longest + 1, device=signal.device)
    cost = _OCTAVE_COST * (lags.to(signal.dtype) / shortest).log2()
    best = (correlation - cost).argmax(-1, keepdim=True)
    loud = energy > _LEAST_ENERGY * energy.amax(1, keepdim=True)
    voicing = torch.where(loud, _ramp(correlation.gather(-1, best), _VOICED), 0)
    return (best + shortest)[..., 0].to(signal.dtype), voicing[..., 0]


def _analytic_band(signal: Tensor, rate: float) -> Tensor:
    """Return the analytic signal from 1 to 3 kHz of signals (items, n_samples)."""
    low, high = _BAND
    envelope = _sinc((high - low) / 2, _BAND_SECONDS, rate)
    half, n_samples = len(envelope) // 2, signal.shape[-1]
    turn = torch.arange(-half, half + 1) * (math.pi * (low + high) / rate)
    kernel = torch.polar(envelope, turn.to(envelope))
    kernel = to_device(kernel, signal.dtype.to_complex(), signal.device)
    size = 1 << (n_samples + 2 * half).bit_length()
    product = torch.fft.fft(signal, size) * torch.fft.fft(kernel, size)
    return torch.fft.ifft(product)[..., half : half + n_samples]


def _pulses(signal: Tensor, rate: float) -> Tensor:
    """Return p cos φ of signals (items, n_samples)."""
    n_samples, step = signal.shape[-1], round(_STEP_SECONDS * rate)
    period, voicing = _pitch(signal, rate, step)
    smoothing = _hann(_SMOOTH_SECONDS, rate)

    def smooth(values: Tensor) -> Tensor:
        if not values.is_complex():
            return _convolve(values, smoothing, step)
        return torch.complex(smooth(values.real), smooth(values.imag))

    band = _analytic_band(signal, rate)
    periods = _interpolate(period, step, n_samples)
    turns = (1 / periods).cumsum(-1).remainder(1)
    envelope = band.abs()
    at_pitch = smooth(torch.polar(envelope, -2 * torch.pi * turns))
    # Over twice the time: a modulation that is steady.
    steady = _hann(_SMOOTH_SECONDS, 1 / _STEP_SECONDS)
    modulation = safe_divide(
        torch.complex(_convolve(at_pitch.real, steady), _convolve(at_pitch.imag, steady)).abs(),
        _convolve(smooth(envelope), steady),
    )
    earlier = (torch.arange(n_samples, device=signal.device) - periods).round().long().clamp(min=0)
    earlier = band.gather(-1, earlier)
    norms = (smooth(envelope.square()) * smooth(earlier.abs().square())).clamp(min=0).sqrt()
    periodicity = safe_divide(smooth(band.conj() * earlier).abs(), norms)
    weight = voicing * _ramp(modulation, _MODULATED) * _ramp(periodicity, _PERIODIC)
    weight = weight * (1 - _ramp(periodicity, _RESOLVED))
    # The weight is smoothed over 20 ms.
    weight = _convolve(weight, _hann(0.02, 1 / _STEP_SECONDS))
    angle = 2 * torch.pi * turns + _interpolate(at_pitch, step, n_samples).angle()
    return _interpolate(weight, step, n_samples) * angle.cos()


def _pool(levels: Tensor, reach: int) -> Tensor:
    return max_pool1d(levels[:, None], 2 * reach + 1, 1, reach)[:, 0]


def _onset_shape() -> Tensor:
    """Return u around an onset, (2 · _BEFORE + 1,); 0 at the onset, and at the ends."""
    time = torch.arange(-_BEFORE, _BEFORE + 1)
    before = 0.5 + 0.5 * (math.pi * time / _BEFORE).cos()
    after = torch.where(time < _AFTER, 0.5 + 0.5 * (math.pi * time / _AFTER).cos(), 0)
    return torch.where(time < 0, -before, after) * (time.abs() / 1.5).clamp(max=1)


def _onsets(signal: Tensor, rate: float) -> Tensor:
    """Return u of signals (items, n_samples)."""
    n_samples, step = signal.shape[-1], round(rate / 1000)
    energies = pad(signal, (1, -n_samples % step)).diff().square().unflatten(-1, (-1, step)).sum(-1)
    energies = avg_pool1d(energies[:, None], _SMOOTH, 1, _SMOOTH // 2)[:, 0]
    energies = pad(energies, (_RISE, _LEVEL - 1)).unfold(-1, _LEVEL, 1).sum(-1)
    loudest = energies.amax(-1, keepdim=True)
    energies = safe_divide(energies, loudest)
    near = _pool(energies, _BEFORE)
    levels = 10 * (energies + (_LOCAL_RANGE * near).clamp(min=_RANGE)).log10()
    rises, levels = levels[:, _RISE:] - levels[:, :-_RISE], levels[:, _RISE:]
    rises[:, :_RISE] = 0  # the beginning of a signal is no onset
    found = (rises >= _pool(rises, _APART)) & (rises >= _LEAST_RISE_DB)
    found &= levels >= _LEAST_LEVEL_DB
    weight = _ramp(rises, (_LEAST_RISE_DB, _FULL_RISE_DB)).clamp(min=_LEAST_WEIGHT)
    # An onset lies in the middle between the two times whose levels are compared.
    weight = pad(torch.where(found, weight, 0), (0, (_RISE - _LEVEL) // 2))
    shape = _convolve(weight, _onset_shape().flip(0))[:, (_RISE - _LEVEL) // 2 :]
    return _interpolate(shape, step, n_samples)


@torch.no_grad()
def find_gain(signal: Tensor, rate: float, strength: float) -> Tensor:
    """Find the gain for signals.

    Args:
        signal: Signals after some iterations, (items, n_samples).
        rate: Sample rate in Hz.
        strength: Factor of ln g.

    Returns:
        g − 1, (items, n_samples); 0 if the sample rate is below `LOWEST_RATE`.
    """
    if rate < LOWEST_RATE or not signal.shape[-1]:
        return torch.zeros_like(signal)
    signal = safe_divide(signal, signal.abs().amax(-1, keepdim=True))
    return (strength * (PULSES * _pulses(signal, rate) + ONSETS * _onsets(signal, rate))).expm1()


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ShapedProblem(PhaseProblem):
    """A problem whose projection is preceded by the gain on the band above 1 kHz."""

    gain: Tensor  # g − 1, (items, samples)
    rate: float

    @functools.cached_property
    def kernel_args(self) -> None:
        """None: the kernels have no gain."""
        use_kernel("a phase iteration", lambda: "time_structure is computed by torch")

    def consistent_projection(self, signal: Tensor) -> Tensor:
        low = _convolve(signal, _sinc(_CROSSOVER, _FILTER_SECONDS, self.rate))
        return super().consistent_projection(signal + self.gain * (signal - low))
