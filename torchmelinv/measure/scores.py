"""Every metric of a pair at once, by name, and the mean over many pairs with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from torchmelinv.analysis import MelAnalyzer, modulus, seen, squares
from torchmelinv.conventions import MelConvention
from torchmelinv.measure.distance import log_mel_l1, mel_error_db, own_parts, spectral_convergence_db
from torchmelinv.measure.metrics import (
    envelope_correlation,
    log_spectral_distance_db,
    mel_cepstral_distortion_db,
    si_sdr_db,
    target_inconsistency_db,
)
from torchmelinv.measure.perceptual import estoi, pesq_wb
from torchmelinv.ops.checks import check_whole
from torchmelinv.ops.precision import full_precision


class Metric(NamedTuple):
    """How a metric is named and read."""

    label: str
    digits: int  # after the point, for a person
    higher_is_better: bool = False


METRICS = {
    "pesq_wb": Metric("PESQ-WB", 2, True),
    "estoi": Metric("ESTOI", 3, True),
    "mel_error_db": Metric("mel error, dB", 1),
    "log_mel_l1": Metric("log-mel L1", 3),
    "mel_cepstral_distortion_db": Metric("MCD, dB", 2),
    "spectral_convergence_db": Metric("spectral convergence, dB", 1),
    "log_spectral_distance_db": Metric("log-spectral distance, dB", 2),
    "target_inconsistency_db": Metric("STFT inconsistency, dB", 1),
    "si_sdr_db": Metric("SI-SDR, dB", 1, True),
    "envelope_correlation": Metric("envelope correlation", 4, True),
}


@torch.no_grad()
@full_precision
def mel_scores(mel: Tensor, reference: Tensor, convention: MelConvention, *, lengths: Tensor | None = None) -> dict[str, Tensor]:
    """What two linear mels of a convention, (…, n_mels, n_frames), tell by themselves: metrics by name, each (…).

    Of powers other than 1 the log-mel L1 and the distortion see the root, so that their figures are those of magnitudes.
    """
    mel, reference, counts = own_parts(mel, reference, lengths, 2)
    found, wanted = (each.pow(1 / convention.power) for each in (mel, reference))
    return {
        "mel_error_db": mel_error_db(mel, reference),
        "log_mel_l1": log_mel_l1(found, wanted) * mel.shape[-1] / counts,
        "mel_cepstral_distortion_db": mel_cepstral_distortion_db(found, wanted, lengths=counts),
    }


@torch.no_grad()
@full_precision
def waveform_scores(
    waveform: Tensor, reference: Tensor, analyzer: MelAnalyzer, *, lengths: Tensor | None = None
) -> dict[str, Tensor]:
    """Every metric but PESQ and ESTOI of waveforms (…, n_samples) at the convention's rate: metrics by name, each (…).

    Spectra and mels are the analyzer's, mels without their level. Each item must have a frame. Three STFTs, one there and back.
    """
    waveform, reference, counts = own_parts(waveform, reference, lengths, 1)
    own = None if lengths is None else counts
    frame, convention = analyzer.frame, analyzer.convention
    frames = frame.frame_counts(counts)
    spectra = [frame.analyse(each, own) for each in (waveform, reference)]
    mels = [analyzer.filterbank(seen(squares(each), convention)) for each in spectra]
    magnitudes = [modulus(each) for each in spectra]
    return {
        **mel_scores(mels[0], mels[1], convention, lengths=frames),
        "spectral_convergence_db": spectral_convergence_db(*magnitudes),
        "log_spectral_distance_db": log_spectral_distance_db(*magnitudes, lengths=frames),
        "target_inconsistency_db": target_inconsistency_db(waveform, magnitudes[1], frame, lengths=own),
        "si_sdr_db": si_sdr_db(waveform, reference),
        "envelope_correlation": envelope_correlation(*magnitudes, lengths=frames),
    }


def perceptual_scores(
    waveform: Tensor, reference: Tensor, sample_rate: float, *, lengths: Tensor | None = None
) -> dict[str, Tensor]:
    """PESQ and ESTOI of waveforms (…, n_samples): metrics by name, each (…). `DependencyError` without the extra `metrics`."""
    return {metric.__name__: metric(waveform, reference, sample_rate, lengths=lengths) for metric in (pesq_wb, estoi)}


PERCENTILES, RESAMPLES, SEED = (2.5, 97.5), 2000, 0
INTERVAL = f"percentiles {PERCENTILES[0]:g} and {PERCENTILES[1]:g} of {RESAMPLES} bootstrap means, seed {SEED}"


class Mean(NamedTuple):
    """Of one metric over items; NaN where there are too few."""

    mean: float
    low: float  # ends of the interval of the mean
    high: float
    median: float
    n: int  # items with a finite value; the others are left out


def bootstrap_mean(values: Iterable[float], *, resamples: int = RESAMPLES, seed: int = SEED) -> Mean:
    """Mean of what is finite, with the 95 % percentile interval of its bootstrap (Efron 1979).

    The same for the same values in any order. One value has no interval, no value has no mean. `InputError` for `resamples`
    below 1.
    """
    check_whole("resamples", resamples, 1)
    finite = np.sort([value for value in map(float, values) if math.isfinite(value)])
    if len(finite) < 2:
        only = float(finite[0]) if len(finite) else math.nan
        return Mean(only, math.nan, math.nan, only, len(finite))
    generator = np.random.default_rng(seed)
    means = [finite[generator.integers(len(finite), size=len(finite))].mean() for _ in range(resamples)]
    low, high = np.percentile(means, PERCENTILES)
    return Mean(float(finite.mean()), float(low), float(high), float(np.median(finite)), len(finite))
