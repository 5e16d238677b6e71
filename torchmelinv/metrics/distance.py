"""Distances between spectra or mels, for each item: (…, rows, n_frames) twice -> (…).

Relative distances do not change when both arguments are scaled. All have finite gradients.
`relative_error` is infinite where only the reference is silent; the distances in decibels are
limited to ±300. `bounded_relative_error`, `mean_distance` and `mean_log_distance` are finite in
silence, too: the losses use them.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from torchmelinv._utils.numerics import safe_pow
from torchmelinv._utils.options import named_options
from torchmelinv.metrics.checks import check_pair, mask_mels, mask_padding

__all__ = ["log_mel_l1", "mel_error_db", "spectral_convergence_db"]

LARGEST_DB = 300.0  # instead of infinity; a perfect match has −300
_LARGEST_RATIO = 100.0  # of ‖estimate‖ to ‖reference‖; beyond it ‖estimate‖ bounds the error


def or_one(divisor: Tensor) -> Tensor:
    """Return the divisor, but 1 where it is 0 or NaN.

    Unlike `safe_divide`, dividing by it keeps a numerator that is NaN, so that a metric of NaN is
    NaN and not 0.
    """
    return torch.where(divisor > 0, divisor, 1)


def peak(*values: Tensor, dim: int | tuple[int, ...] = (-2, -1)) -> Tensor:
    """Return the largest magnitude of each item, 1 in silence, with its dimensions kept.

    Values that are divided by it have squares within the range of float32. No gradient passes: a
    common factor changes no relative distance.
    """
    largest = (each.detach().abs().amax(dim, keepdim=True) for each in values)
    return or_one(functools.reduce(torch.maximum, largest))


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Return the normalized inner product over the last dimension, from −1 to 1; 0 in silence."""
    norms = (torch.linalg.vector_norm(each, dim=-1) for each in (first, second))
    return ((first * second).sum(-1) / or_one(math.prod(norms))).clamp(-1, 1)


def norm(values: Tensor, dim: int | tuple[int, ...] = (-2, -1)) -> Tensor:
    """Return the Frobenius norm of each item, (…, rows, n_frames) -> (…).

    All derivatives are 0 where the norm is, also second ones, unlike those of torch's norm.
    """
    return safe_pow(values.square().sum(dim), 0.5)


def relative_error(estimate: Tensor, reference: Tensor) -> Tensor:
    """Return ‖estimate − reference‖ / ‖reference‖.

    It is 0 where both are silent. Unlike `relative_norm`, it is infinite where only the reference
    is silent, because a metric must not score that as a perfect match, and it scales both to a peak
    of 1, so that no square underflows.
    """
    estimate, reference = check_pair(estimate, reference)
    scale = peak(reference)
    estimate, reference = estimate / scale, reference / scale
    error, size = norm(estimate - reference), norm(reference)
    return torch.where((error > 0) & (size == 0), math.inf, error / or_one(size))


def bounded_relative_error(estimate: Tensor, reference: Tensor) -> Tensor:
    """Return ‖estimate − reference‖ / max(‖reference‖, ‖estimate‖ / 100), from 0 to 101.

    Equal to `relative_error` for estimates up to 100 times (40 dB) as loud as the reference. It is
    100 where only the reference is silent and 0 where both are; its gradient is zero there, because
    a scale-invariant error has no slope toward silence.
    """
    estimate, reference = check_pair(estimate, reference)
    scale = peak(estimate, reference)
    estimate, reference = estimate / scale, reference / scale
    size = torch.maximum(norm(reference), norm(estimate) / _LARGEST_RATIO)
    return norm(estimate - reference) / or_one(size)


def mean_distance(estimate: Tensor, reference: Tensor, p: int = 1) -> Tensor:
    """Return (mean |estimate − reference|^p)^(1/p): mean (p = 1) or root mean square (p = 2).

    Proportional to a scale that both have. The gradient is zero where the two are equal.
    """
    estimate, reference = check_pair(estimate, reference)
    difference = estimate - reference
    if p == 1:
        return difference.abs().mean((-2, -1))
    scale = peak(difference)
    root_count = math.sqrt(difference.shape[-2] * difference.shape[-1])
    return norm(difference / scale) * (scale[..., 0, 0] / root_count)


def mean_log_distance(estimate: Tensor, reference: Tensor, floor: float) -> Tensor:
    """Return the mean |ln estimate − ln reference|, both clamped to at least `floor`."""
    estimate, reference = check_pair(estimate, reference)
    difference = estimate.clamp(min=floor).log() - reference.clamp(min=floor).log()
    return difference.abs().mean((-2, -1))


def mean_of_valid(means: Tensor, counts: Tensor | None, n_frames: int, p: int = 1) -> Tensor:
    """Turn (mean |x|^p)^(1/p) over `n_frames`, 0 in padding, into that over the valid frames."""
    if counts is None:
        return means
    return means * (n_frames / counts.clamp(min=1).to(means.dtype)).pow(1 / p)


def ratio_db(ratio: Tensor) -> Tensor:
    """Return 20 log10 of a ratio, from −300 to 300."""
    largest = 10 ** (LARGEST_DB / 20)
    return 20 * ratio.clamp(1 / largest, largest).log10()


def energy_ratio_db(energy: Tensor, reference: Tensor) -> Tensor:
    """Return 10 log10 of a ratio of energies, from −300 to 300; 0 where both are silent."""
    ratio = 10 * (energy.log10() - reference.log10())
    return torch.where(energy == reference, 0, ratio.clamp(-LARGEST_DB, LARGEST_DB))


@named_options
def spectral_convergence_db(
    magnitude: Tensor, reference: Tensor, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the spectral convergence 20 log10(‖X̂ − X‖ / ‖X‖) of magnitudes in dB.

    Lower is better. Unchanged when both are scaled. Differentiable.

    Args:
        magnitude: Magnitude X̂ (…, n_freqs, n_frames).
        reference: Magnitude X of the same shape.
        lengths: Frames of each item of a padded batch, (…).

    Returns:
        Spectral convergence of each item in dB, (…), from −300 at equality to 300 where only the
        reference is silent.

    Raises:
        InputError: If shapes, dtypes or devices do not fit.

    Shape:
        - magnitude: (…, n_freqs, n_frames)
        - reference: (…, n_freqs, n_frames)
        - lengths: (…)
        - output: (…)

    References:
        N. Sturmel and L. Daudet, "Signal reconstruction from STFT magnitude: a state of the art",
        DAFx 2011.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> reference = torch.rand(513, 40)
        >>> tmi.metrics.spectral_convergence_db(1.1 * reference, reference).round()
        tensor(-20.)
    """
    magnitude, reference, _ = mask_padding(magnitude, reference, lengths, 2)
    return ratio_db(relative_error(magnitude, reference))


@named_options
def mel_error_db(mel: Tensor, reference: Tensor, *, lengths: Tensor | None = None) -> Tensor:
    """Compute the relative error 20 log10(‖m̂ − m‖ / ‖m‖) of linear mels in dB.

    Lower is better. Unchanged when both are scaled. Differentiable.

    Args:
        mel: Linear mel m̂ (…, n_mels, n_frames), as `MelSpectrogram.linear_mel` returns it.
        reference: Linear mel m of the same shape.
        lengths: Frames of each item of a padded batch, (…).

    Returns:
        Error of each item in dB, (…), from −300 at equality to 300 where only the reference is
        silent.

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or values are negative, as those of
            log mels.

    Shape:
        - mel: (…, n_mels, n_frames)
        - reference: (…, n_mels, n_frames)
        - lengths: (…)
        - output: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.MelSpectrogram("hifigan_22k").linear_mel(torch.randn(22050))
        >>> tmi.metrics.mel_error_db(1.1 * mel, mel).round()
        tensor(-20.)
    """
    mel, reference, _ = mask_mels(mel, reference, lengths)
    return ratio_db(relative_error(mel, reference))


@named_options
def log_mel_l1(
    mel: Tensor, reference: Tensor, floor: float = 1e-5, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the mean |ln m̂ − ln m| of linear mels in nepers.

    Lower is better. With magnitude mels and the floor 1e-5 this is the mel distance that HiFi-GAN
    and its successors report. Differentiable.

    Args:
        mel: Linear mel m̂ (…, n_mels, n_frames), as `MelSpectrogram.linear_mel` returns it.
        reference: Linear mel m of the same shape.
        floor: Values below are clamped to it before the logarithm.
        lengths: Frames of each item of a padded batch, (…).

    Returns:
        Distance of each item in nepers, (…).

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or values are negative, as those of
            log mels.

    Shape:
        - mel: (…, n_mels, n_frames)
        - reference: (…, n_mels, n_frames)
        - lengths: (…)
        - output: (…)

    References:
        J. Kong, J. Kim and J. Bae, "HiFi-GAN: generative adversarial networks for efficient and
        high fidelity speech synthesis", NeurIPS 2020.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> reference = torch.rand(80, 40) + 0.1
        >>> round(float(tmi.metrics.log_mel_l1(2 * reference, reference)), 3)
        0.693
    """
    mel, reference, counts = mask_mels(mel, reference, lengths)
    return mean_of_valid(mean_log_distance(mel, reference, floor), counts, mel.shape[-1])
