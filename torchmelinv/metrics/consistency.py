"""Inconsistency ‖c − STFT(ISTFT(c))‖ / ‖c‖: how far a complex spectrum c is from any signal's.

The denominator is max(‖c‖, ‖STFT(ISTFT(c))‖ / 100): the result is 0 in silence, and its gradient
is finite everywhere.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor

from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_features, check_lengths, check_real, check_whole
from torchmelinv.conventions import STFTConvention
from torchmelinv.errors import InputError
from torchmelinv.metrics.distance import bounded_relative_error, ratio_db
from torchmelinv.transforms.stft import STFT
from torchmelinv.transforms.stft_plan import STFTPlan, ragged_plan

__all__ = ["inconsistency_db", "target_inconsistency_db"]


def _check_spectrum(spectrum: Tensor, n_freqs: int) -> None:
    """Raise `InputError` unless the tensor is a complex spectrum (…, n_freqs, n_frames)."""
    complex_dtypes = (torch.complex64, torch.complex128)
    if not isinstance(spectrum, Tensor) or spectrum.dtype not in complex_dtypes:
        kind = getattr(spectrum, "dtype", type(spectrum).__name__)
        raise InputError(
            f"the spectrum is {kind}; it must be complex64 or complex128, "
            "or a magnitude and its phase"
        )
    check_features(spectrum.real, "spectrum", n_freqs)


def plan_inconsistency(spectrum: Tensor, plan: STFTPlan) -> Tensor:
    """Return the inconsistency of each item, (items, frames, n_freqs) -> (items,)."""
    spectrum = plan.masked(spectrum)
    consistent = plan.consistent(spectrum)
    return bounded_relative_error(*map(_real_pairs, (consistent, spectrum)))


def _real_pairs(spectrum: Tensor) -> Tensor:
    """Return real and imaginary parts side by side, (…, n) -> (…, 2 n)."""
    return torch.view_as_real(spectrum).flatten(-2)


def spectrum_inconsistency(
    spectrum: Tensor, stft: STFT, lengths: Any, length: int | None
) -> tuple[Tensor, Tensor | None]:
    """Return the inconsistency of each item, (…), and its frames if `lengths` are given, (…)."""
    n_freqs = stft.convention.n_freqs
    _check_spectrum(spectrum, n_freqs)
    n_frames = spectrum.shape[-1]
    n_samples = stft.default_length(n_frames)
    if length is not None:
        check_whole("length", length, 1)
        length_frames = stft.convention.n_frames(length)
        if length_frames != n_frames:
            raise InputError(
                f"length is {length}, which gives {length_frames} frames; "
                f"the spectrum has {n_frames}"
            )
        n_samples = length
    rows = spectrum.reshape(-1, n_freqs, n_frames).mT
    plan = stft.plan(n_frames, n_samples, rows.real)
    counts = None
    if lengths is not None:
        counts = check_lengths(lengths, spectrum.shape[:-2], n_frames, spectrum.device)
        flat = counts.reshape(-1)
        plan = ragged_plan(flat, stft.valid_length(flat, n_samples, length), plan)
    return plan_inconsistency(rows, plan).reshape(spectrum.shape[:-2]), counts


@named_options
@torch.no_grad()
@full_precision
def inconsistency_db(
    spectrum: Tensor,
    convention: STFTConvention | str | os.PathLike[str],
    *,
    lengths: Tensor | None = None,
    length: int | None = None,
) -> Tensor:
    """Compute the inconsistency 20 log10(‖c − STFT(ISTFT(c))‖ / ‖c‖) of spectra in dB.

    Lower is better. It is about 0 at most; rounding alone gives about −130 in single precision, and
    silence gives −300. Its negative is the consistency of the package lws. `losses.ConsistencyLoss`
    is its differentiable form.

    Args:
        spectrum: Complex spectrum c (…, n_freqs, n_frames).
        convention: The convention of the STFT: an `STFTConvention`, a `MelConvention`, a preset's
            name, or the path of a JSON file. DC removal and pre-emphasis are left out.
        lengths: Frames of each item of a padded batch, (…).
        length: Samples of the signal, if they are more than ``convention.n_samples(n_frames)``.

    Returns:
        Inconsistency of each item in dB, (…).

    Raises:
        InputError: If a shape, dtype or option does not fit.
        ConventionError: If there is no such convention.

    Shape:
        - spectrum: (…, n_freqs, n_frames)
        - lengths: (…)
        - output: (…)

    References:
        J. Le Roux, H. Kameoka, N. Ono and S. Sagayama, "Fast signal reconstruction from magnitude
        STFT spectrogram based on spectrogram consistency", DAFx 2010.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> spectrum = tmi.STFT("hifigan_22k")(torch.randn(22016))
        >>> bool(tmi.metrics.inconsistency_db(spectrum, "hifigan_22k") < -110)
        True
        >>> zero_phase = spectrum.abs().to(spectrum.dtype)
        >>> bool(tmi.metrics.inconsistency_db(zero_phase, "hifigan_22k") < -110)
        False
    """
    inconsistency, _ = spectrum_inconsistency(spectrum, STFT(convention), lengths, length)
    return ratio_db(inconsistency)


@named_options
@torch.no_grad()
@full_precision
def target_inconsistency_db(
    waveform: Tensor,
    magnitude: Tensor,
    convention: STFTConvention | str | os.PathLike[str],
    *,
    lengths: Tensor | None = None,
) -> Tensor:
    """Compute the inconsistency of a magnitude A with the phase of a waveform x in dB.

    This is `inconsistency_db` of A exp(i∠STFT(x)), the residual that Griffin-Lim lowers. Lower is
    better. It depends on x only through its phase. With zero padding it is at most the spectral
    convergence of x to A, if both count mirrored bins.

    Args:
        waveform: Waveform x (…, n_samples).
        magnitude: Magnitude A (…, n_freqs, n_frames), with the frames that the waveform has.
        convention: The convention of the STFT: an `STFTConvention`, a `MelConvention`, a preset's
            name, or the path of a JSON file.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Inconsistency of each item in dB, (…).

    Raises:
        InputError: If a shape, dtype or option does not fit.
        ConventionError: If there is no such convention.

    Shape:
        - waveform: (…, n_samples)
        - magnitude: (…, n_freqs, n_frames)
        - lengths: (…)
        - output: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> waveform = torch.randn(22016)
        >>> magnitude = tmi.STFT("hifigan_22k")(waveform).abs()
        >>> inconsistency = tmi.metrics.target_inconsistency_db(waveform, magnitude, "hifigan_22k")
        >>> bool(inconsistency < -110)
        True
    """
    stft = STFT(convention)
    waveform = check_real(waveform, "waveform")
    magnitude = check_features(magnitude, "magnitude", stft.convention.n_freqs)
    spectrum = stft(waveform, lengths=lengths)
    if spectrum.shape != magnitude.shape:
        raise InputError(
            f"the magnitude has shape {tuple(magnitude.shape)} and the waveform's spectrum "
            f"{tuple(spectrum.shape)}; they must be equal"
        )
    items, n_samples = waveform.shape[:-1], waveform.shape[-1]
    rows = torch.polar(magnitude, spectrum.angle()).reshape(-1, *spectrum.shape[-2:]).mT
    plan = stft.plan(rows.shape[-2], n_samples, rows.real)
    if lengths is not None:
        counts = check_lengths(lengths, items, n_samples, waveform.device).reshape(-1)
        plan = ragged_plan(stft.frame_counts(counts), counts, plan)
    return ratio_db(plan_inconsistency(rows, plan)).reshape(items)
