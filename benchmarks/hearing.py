"""What PESQ and ESTOI do not hear: loudness by band, pitch, and where there is a voice.

Loudness is the power of a band to the 0.3 (Zwicker and Fastl, "Psychoacoustics", 2007) in frames of
1024 samples, with each range of frequencies in eight bands; the error is relative to the mean
loudness of the range. The pitch is that of `torchmelinv.metrics.pitch`. A frame that is voiced in
the recording and in the estimate has a gross error if its pitch is off by more than a fifth
(Rabiner and others 1976); the F0 error is that of all others. The voicing error is the share of
frames that are voiced in one of both alone.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv.metrics.pitch import find_pitch

RANGES = ((110, 700), (700, 1500), (1500, 3000), (3000, 7500))  # Hz
N_FFT, HOP_LENGTH, BANDS, EXPONENT = 1024, 256, 8, 0.3
GROSS = 0.2  # of the pitch
AFTER = 0.05  # seconds of silence, so that the last frames are complete

# name of a metric: (heading of its column, number format)
LOUDNESS = {
    f"loudness_{low}_{high}": (f"loudness error, {low}–{high} Hz, %", "{:.1f}")
    for low, high in RANGES
}
PITCH = {
    "f0_error": ("F0 error, cents", "{:.1f}"),
    "gross_pitch_error": ("gross pitch errors, %", "{:.2f}"),
    "voicing_error": ("voicing errors, %", "{:.2f}"),
}


def loudness_errors(waveform: Tensor, reference: Tensor, sample_rate: float) -> dict[str, float]:
    """Return the mean error of the loudness in each range, relative to its mean, in percent."""
    frequencies = torch.linspace(0, sample_rate / 2, N_FFT // 2 + 1)
    powers = [_power(signal) for signal in (waveform, reference)]
    errors = {}
    for name, (low, high) in zip(LOUDNESS, RANGES, strict=True):
        inside = ((frequencies >= low) & (frequencies < high)).nonzero().flatten()
        bands = inside.tensor_split(BANDS)
        ours, expected = (
            torch.stack([power[band].sum(0) for band in bands]) ** EXPONENT for power in powers
        )
        errors[name] = 100 * float((ours - expected).abs().mean() / expected.mean())
    return errors


def _power(signal: Tensor) -> Tensor:
    window = torch.hann_window(N_FFT)
    return torch.stft(signal, N_FFT, HOP_LENGTH, window=window, return_complex=True).abs().square()


def pitch_errors(waveform: Tensor, reference: Tensor, sample_rate: float) -> dict[str, float]:
    """Return the errors of pitch and voicing; those of pitch only where both have a voice."""
    after = round(AFTER * sample_rate)
    ours, expected = (
        find_pitch(pad(signal, (0, after)), sample_rate) for signal in (waveform, reference)
    )
    errors = {"voicing_error": 100 * float((ours.voiced != expected.voiced).double().mean())}
    both = ours.voiced & expected.voiced
    if both.any():
        ratio = expected.lags[both] / ours.lags[both]
        gross = (ratio - 1).abs() > GROSS
        errors["gross_pitch_error"] = 100 * float(gross.double().mean())
        if not gross.all():
            errors["f0_error"] = 1200 * float(ratio[~gross].log2().abs().mean())
    return errors
