"""All metrics of a pair at once, by name, and means over many pairs with their intervals."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from torchmelinv._utils.numerics import safe_pow
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_whole
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.errors import InputError, short
from torchmelinv.metrics.checks import mask_mels, mask_padding
from torchmelinv.metrics.consistency import target_inconsistency_db
from torchmelinv.metrics.distance import log_mel_l1, mel_error_db, spectral_convergence_db
from torchmelinv.metrics.opinion import distillmos, dnsmos, plcmos
from torchmelinv.metrics.perceptual import estoi, pesq_wb
from torchmelinv.metrics.sdr import si_sdr_db
from torchmelinv.metrics.spectral import (
    envelope_correlation,
    log_spectral_distance_db,
    mel_cepstral_distortion_db,
)
from torchmelinv.restoration.smoothing import of_linear_mel
from torchmelinv.transforms.spectrum import filterbank_input, power_spectrum, safe_abs

__all__ = [
    "Mean",
    "bootstrap_mean",
    "mel_scores",
    "opinion_scores",
    "perceptual_scores",
    "waveform_scores",
]


@named_options
@torch.no_grad()
@full_precision
def mel_scores(
    mel: Tensor,
    reference: Tensor,
    convention: MelConvention | str | os.PathLike[str],
    *,
    lengths: Tensor | None = None,
) -> dict[str, Tensor]:
    """Compute all metrics of two linear mels.

    For powers other than 1, the log-mel L1 and the cepstral distortion are those of the
    power-th root, so that they compare with those of magnitude mels. The smoothness is that of the
    mel alone: the strength of `restoration.smoothness`.

    Args:
        mel: Linear mel (…, n_mels, n_frames), as `MelSpectrogram.linear_mel` returns it.
        reference: Linear mel of the same shape.
        convention: The convention of the mels.
        lengths: Frames of each item of a padded batch, (…).

    Returns:
        Values of each item, (…), by the names of `METRICS`.

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or values are negative, as those of
            log mels.
        ConventionError: If there is no such convention.

    Shape:
        - mel: (…, n_mels, n_frames)
        - reference: (…, n_mels, n_frames)
        - lengths: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = torch.rand(80, 40)
        >>> list(tmi.metrics.mel_scores(1.1 * mel, mel, "hifigan_22k"))
        ['mel_error_db', 'log_mel_l1', 'mel_cepstral_distortion_db', 'smoothness']
    """
    settings = as_convention(convention)
    power = settings.power
    mel, reference, counts = mask_mels(mel, reference, lengths)
    magnitude_mels = safe_pow(mel, 1 / power), safe_pow(reference, 1 / power)
    return {
        "mel_error_db": mel_error_db(mel, reference),
        "log_mel_l1": log_mel_l1(*magnitude_mels, lengths=counts),
        "mel_cepstral_distortion_db": mel_cepstral_distortion_db(*magnitude_mels, lengths=counts),
        "smoothness": of_linear_mel(mel, settings, counts).strength,
    }


@named_options
@torch.no_grad()
@full_precision
def waveform_scores(
    waveform: Tensor,
    reference: Tensor,
    convention: MelSpectrogram | MelConvention | str | os.PathLike[str],
    *,
    lengths: Tensor | None = None,
) -> dict[str, Tensor]:
    """Compute all metrics of two waveforms, except those of `perceptual_scores` and opinion scores.

    The mel metrics are those of the linear mels. Each item needs at least one frame.

    Args:
        waveform: Waveform (…, n_samples) at the convention's sample rate.
        reference: Waveform of the same shape.
        convention: The convention of spectra and mels, or its `MelSpectrogram`, which keeps its
            tables between calls.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Values of each item, (…), by the names of `METRICS`.

    Raises:
        InputError: If shapes, dtypes or devices do not fit.
        ConventionError: If there is no such convention.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> reference = torch.randn(11025)
        >>> scores = tmi.metrics.waveform_scores(1.1 * reference, reference, "hifigan_22k")
        >>> scores["spectral_convergence_db"].round()
        tensor(-20.)
    """
    module = convention if isinstance(convention, MelSpectrogram) else MelSpectrogram(convention)
    stft, mel_convention = module.stft, module.convention
    waveform, reference, counts = mask_padding(waveform, reference, lengths, 1)
    n_frames = stft.frame_counts(counts)
    sample_lengths = None if lengths is None else counts
    spectra = [stft(each, lengths=sample_lengths) for each in (waveform, reference)]
    powers = [power_spectrum(each) for each in spectra]
    mels = [module.filterbank(filterbank_input(each, mel_convention)) for each in powers]
    magnitudes = [safe_abs(each) for each in spectra]
    return {
        **mel_scores(mels[0], mels[1], mel_convention, lengths=n_frames),
        "spectral_convergence_db": spectral_convergence_db(*magnitudes),
        "log_spectral_distance_db": log_spectral_distance_db(*magnitudes, lengths=n_frames),
        "target_inconsistency_db": target_inconsistency_db(
            waveform, magnitudes[1], stft.convention, lengths=sample_lengths
        ),
        "si_sdr_db": si_sdr_db(waveform, reference),
        "envelope_correlation": envelope_correlation(*magnitudes, lengths=n_frames),
    }


@named_options
def perceptual_scores(
    waveform: Tensor, reference: Tensor, sample_rate: float, *, lengths: Tensor | None = None
) -> dict[str, Tensor]:
    """Compute PESQ and ESTOI of two waveforms.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        sample_rate: Sample rate in Hz; other rates than 16 kHz are resampled.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Values of each item, (…), by the names of `METRICS`.

    Raises:
        InputError: If shapes, dtypes or devices do not fit.
        DependencyError: If pesq or pystoi is missing; the extra `metrics` provides them.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> silence = torch.zeros(16000)
        >>> tmi.metrics.perceptual_scores(silence, silence, 16000)  # doctest: +SKIP
        {'pesq_wb': tensor(nan), 'estoi': tensor(nan)}
    """
    return {
        metric.__name__: metric(waveform, reference, sample_rate, lengths=lengths)
        for metric in (pesq_wb, estoi)
    }


@named_options
def opinion_scores(
    waveform: Tensor, sample_rate: float, *, lengths: Tensor | None = None
) -> dict[str, Tensor]:
    """Compute DistillMOS, DNSMOS and PLCMOS of a waveform, without a reference.

    Compare them with those of the recording: `distillmos` says why.

    Args:
        waveform: Waveform (…, n_samples).
        sample_rate: Sample rate in Hz; other rates than 16 kHz are resampled.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Values of each item, (…), by the names of `OPINION_METRICS`.

    Raises:
        InputError: If shapes or dtypes do not fit.
        DependencyError: If distillmos or speechmos is missing; the extra `mos` provides them.

    Shape:
        - waveform: (…, n_samples)
        - lengths: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> tmi.metrics.opinion_scores(torch.zeros(16000), 16000)  # doctest: +SKIP
        {'distillmos': tensor(nan), 'dnsmos': tensor(nan), 'plcmos': tensor(nan)}
    """
    return {
        metric.__name__: metric(waveform, sample_rate, lengths=lengths)
        for metric in (distillmos, dnsmos, plcmos)
    }


PERCENTILES, RESAMPLES, SEED = (2.5, 97.5), 2000, 0
INTERVAL = (
    f"percentiles {PERCENTILES[0]:g} and {PERCENTILES[1]:g} of {RESAMPLES} bootstrap means, "
    f"seed {SEED}"
)


class Mean(NamedTuple):
    """The mean of a metric over items; values that need more items are NaN.

    Args:
        mean: Mean of the finite values.
        low: Lower end of the interval of the mean.
        high: Upper end of the interval of the mean.
        median: Median of the finite values.
        n: Number of finite values.

    Example:
        >>> import torchmelinv as tmi
        >>> tmi.metrics.bootstrap_mean([2.0])
        Mean(mean=2.0, low=nan, high=nan, median=2.0, n=1)
    """

    mean: float
    low: float
    high: float
    median: float
    n: int


@named_options
def bootstrap_mean(
    values: Iterable[float], *, resamples: int = RESAMPLES, seed: int = SEED
) -> Mean:
    """Compute the mean of the finite values with its 95 % bootstrap percentile interval.

    The order of the values does not matter. A single value has no interval.

    Args:
        values: Values, one for each item.
        resamples: Number of resampled means, at least 1.
        seed: Seed of the resampling.

    Returns:
        Mean, interval, median and count of the finite values.

    Raises:
        InputError: If `values` are no numbers, or `resamples` is below 1.

    References:
        B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7(1),
        1979.

    Example:
        >>> import torchmelinv as tmi
        >>> mean = tmi.metrics.bootstrap_mean([1.0, 2.0, 3.0, float("nan")])
        >>> mean.mean, mean.n
        (2.0, 3)
    """
    check_whole("resamples", resamples, 1)
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, RuntimeError):
        raise InputError(
            f"values is {short(values)}; it must hold one number for each item"
        ) from None
    finite = np.sort([value for value in numbers if math.isfinite(value)])
    n = len(finite)
    if n < 2:
        only = float(finite[0]) if n else math.nan
        return Mean(only, math.nan, math.nan, only, n)
    generator = np.random.default_rng(seed)
    means = [finite[generator.integers(n, size=n)].mean() for _ in range(resamples)]
    low, high = np.percentile(means, PERCENTILES)
    return Mean(float(finite.mean()), float(low), float(high), float(np.median(finite)), n)
