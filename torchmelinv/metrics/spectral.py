"""Metrics of magnitudes and mels, (…, rows, n_frames) twice -> (…), computed without gradients.

`lengths` (…) counts the frames of each item of a padded batch: an item gets what it gets alone.
Nothing changes when both arguments are scaled.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from torchmelinv._utils.batching import length_mask
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.table_cache import to_device
from torchmelinv._utils.validation import check_whole
from torchmelinv.metrics.checks import mask_mels, mask_padding
from torchmelinv.metrics.distance import LARGEST_DB, correlation, or_one, peak
from torchmelinv.transforms.mfcc import dct_cosines

__all__ = ["envelope_correlation", "log_spectral_distance_db", "mel_cepstral_distortion_db"]

RANGE_DB = 80.0  # below the reference's peak, where logarithms are clamped
N_CEPSTRA = 24
DISTORTION_DB = 10 * math.sqrt(2) / math.log(10)  # of a Euclidean distance of cepstra


def _relative_logs(
    estimate: Tensor, reference: Tensor, range_db: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return ln of both relative to the reference's peak, and where only the reference is silent.

    The logarithms are clamped to `range_db` below the peak.
    """
    largest = reference.amax((-2, -1), keepdim=True)
    floor = 10 ** (-range_db / 20)
    logs = [(each / or_one(largest)).clamp(min=floor).log() for each in (estimate, reference)]
    undefined = (largest[..., 0, 0] <= 0) & (estimate > 0).any(-1).any(-1)
    return logs[0], logs[1], undefined


@named_options
@torch.no_grad()
@full_precision
def log_spectral_distance_db(
    magnitude: Tensor,
    reference: Tensor,
    *,
    range_db: float = RANGE_DB,
    lengths: Tensor | None = None,
) -> Tensor:
    """Compute the log-spectral distance of magnitudes in dB.

    This is the mean over frames of the root mean square over bins of 20 log10(X̂ / X). Lower is
    better, 0 at equality.

    Args:
        magnitude: Magnitude X̂ (…, n_freqs, n_frames).
        reference: Magnitude X of the same shape.
        range_db: Both are clamped to this level in dB below the reference's peak.
        lengths: Frames of each item of a padded batch, (…).

    Returns:
        Distance of each item in dB, (…); 300 where only the reference is silent.

    Raises:
        InputError: If shapes, dtypes or devices do not fit.

    Shape:
        - magnitude: (…, n_freqs, n_frames)
        - reference: (…, n_freqs, n_frames)
        - lengths: (…)
        - output: (…)

    References:
        A. Gray and J. Markel, "Distance measures for speech processing", IEEE Trans. ASSP 24(5),
        1976.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> reference = torch.rand(513, 40) + 0.1
        >>> round(float(tmi.metrics.log_spectral_distance_db(2 * reference, reference)), 2)
        6.02
    """
    magnitude, reference, counts = mask_padding(magnitude, reference, lengths, 2)
    log_estimate, log_reference, undefined = _relative_logs(magnitude, reference, range_db)
    distance = (log_estimate - log_reference).square().mean(-2).sqrt().sum(-1) / counts
    return torch.where(undefined, LARGEST_DB, 20 / math.log(10) * distance)


@named_options
@torch.no_grad()
@full_precision
def mel_cepstral_distortion_db(
    mel: Tensor, reference: Tensor, *, n_cepstra: int = N_CEPSTRA, lengths: Tensor | None = None
) -> Tensor:
    """Compute the mel-cepstral distortion of magnitude mels in dB.

    With D = `n_cepstra` this is the mean over frames of 10√2 / ln 10 · √Σ (ĉ_d − c_d)², d = 1 … D.
    The cepstra over the K = n_mels bands are

        c_d = 2/K Σ_k ln m_k cos(π d (k + ½) / K),  ln m_k = c_0 / 2 + Σ_d c_d cos(π d (k + ½) / K).

    For cepstra of this scale, Kubichek's factor makes the result a root mean square difference of
    smoothed log mels in dB, without their level. Cepstra of another scale (WORLD's envelope,
    orthonormal MFCCs, mels in dB) give other numbers. Both mels are clamped to 80 dB below the
    reference's peak. Frames are compared as they are, without time warping. Lower is better, 0 at
    equality.

    Args:
        mel: Linear mel m̂ (…, n_mels, n_frames) of magnitudes (power 1).
        reference: Linear mel m of the same shape.
        n_cepstra: Number of cepstra D, at least 1. There are n_mels − 1 at most.
        lengths: Frames of each item of a padded batch, (…).

    Returns:
        Distortion of each item in dB, (…); 300 where only the reference is silent.

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or `n_cepstra` is below 1.

    Shape:
        - mel: (…, n_mels, n_frames)
        - reference: (…, n_mels, n_frames)
        - lengths: (…)
        - output: (…)

    References:
        R. Kubichek, "Mel-cepstral distance measure for objective speech quality assessment", IEEE
        PACRIM 1993.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> reference = torch.rand(80, 40) + 0.1
        >>> distortion = tmi.metrics.mel_cepstral_distortion_db(2 * reference, reference)
        >>> bool(distortion < 1e-3)
        True
    """
    check_whole("n_cepstra", n_cepstra, 1)
    mel, reference, counts = mask_mels(mel, reference, lengths)
    log_estimate, log_reference, undefined = _relative_logs(mel, reference, RANGE_DB)
    cepstra = _cepstra(log_estimate - log_reference, n_cepstra)
    distortion = cepstra.square().sum(-2).sqrt().sum(-1) / counts
    return torch.where(undefined, LARGEST_DB, DISTORTION_DB * distortion)


def _cepstra(log_mel: Tensor, n_cepstra: int) -> Tensor:
    """Return the cepstra c_1 … c_D of log mels, (…, n_mels, n_frames) -> (…, D, n_frames)."""
    n_mels = log_mel.shape[-2]
    cosines = 2 / n_mels * dct_cosines(min(n_cepstra, n_mels - 1) + 1, n_mels)[1:]
    return to_device(cosines, log_mel.dtype, log_mel.device) @ log_mel


def mel_cepstra(mel: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cepstra of one mel and of its reference, whose lengths may differ.

    Both are clamped like in `mel_cepstral_distortion_db`: (n_mels, n_frames) -> (n_frames, D).
    """
    peak_value = or_one(reference.amax())
    floor = 10 ** (-RANGE_DB / 20)
    logs = [(each / peak_value).clamp(min=floor).log() for each in (mel, reference)]
    return _cepstra(logs[0], N_CEPSTRA).mT, _cepstra(logs[1], N_CEPSTRA).mT


@named_options
@torch.no_grad()
@full_precision
def envelope_correlation(
    magnitude: Tensor, reference: Tensor, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the correlation of the temporal envelopes of magnitudes.

    This is the Pearson correlation over frames of e_t = √Σ_k |X_kt|². Higher is better. 0 where one
    envelope does not vary, 1 where neither does.

    Args:
        magnitude: Magnitude (…, n_freqs, n_frames).
        reference: Magnitude of the same shape.
        lengths: Frames of each item of a padded batch, (…).

    Returns:
        Correlation of each item, from −1 to 1, (…).

    Raises:
        InputError: If shapes, dtypes or devices do not fit.

    Shape:
        - magnitude: (…, n_freqs, n_frames)
        - reference: (…, n_freqs, n_frames)
        - lengths: (…)
        - output: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> reference = torch.rand(513, 40)
        >>> round(float(tmi.metrics.envelope_correlation(2 * reference, reference)), 3)
        1.0
    """
    magnitude, reference, counts = mask_padding(magnitude, reference, lengths, 2)
    deviations = [_envelope_deviation(each, counts) for each in (magnitude, reference)]
    one_varies = deviations[0].any(-1) | deviations[1].any(-1)
    return torch.where(one_varies, correlation(*deviations), 1)


def _envelope_deviation(magnitude: Tensor, counts: Tensor) -> Tensor:
    """Return the envelope of each item minus its mean, (…, n_frames), relative to the peak."""
    envelope = torch.linalg.vector_norm(magnitude / peak(magnitude), dim=-2)
    mean = envelope.sum(-1, keepdim=True) / counts[..., None]
    deviation = torch.where(length_mask(counts, magnitude.shape[-1]), envelope - mean, 0)
    rounding = 16 * torch.finfo(mean.dtype).eps * mean
    constant = deviation.abs().amax(-1, keepdim=True) <= rounding
    return torch.where(constant, 0, deviation)
