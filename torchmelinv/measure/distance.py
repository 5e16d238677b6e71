"""Distances between spectra or mels, pure and for each item: (…, rows, n_frames) twice -> (…).

Relative ones do not change when both arguments are scaled. The first and those in decibels are infinite where the reference
alone is silent; `bounded_relative_error`, `log_mel_l1` and `mean_distance` are finite, with finite gradients, in
silence too: losses are made of these.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from torchmelinv.errors import InputError
from torchmelinv.frame import FramePlan
from torchmelinv.ops.checks import as_lengths, as_real
from torchmelinv.ops.items import leading

_FLOOR_DB = -300.0  # what a perfect match gives, instead of minus infinity
_LOUDEST = 100.0  # times the reference: from there on an estimate is compared with itself


def _pair(estimate: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    estimate, reference = as_real(estimate, "estimate"), as_real(reference, "reference")
    if estimate.shape != reference.shape:
        raise InputError(f"estimate has shape {tuple(estimate.shape)} and reference {tuple(reference.shape)}; they must be equal")
    return estimate, reference


def own_parts(estimate: Tensor, reference: Tensor, lengths: Any, trailing: int) -> tuple[Tensor, Tensor, Tensor]:
    """Both with zeros after each item's own end, and how many frames or samples are its own, (…).

    `trailing`: dimensions of an item, 2 of (…, rows, n_frames), 1 of (…, n_samples).
    """
    estimate, reference = as_real(estimate, "what is compared"), as_real(reference, "reference")
    if estimate.shape != reference.shape or estimate.ndim < trailing or estimate.numel() == 0:
        shapes = f"{tuple(estimate.shape)} and {tuple(reference.shape)}"
        wanted = f"the same {'(…, rows, n_frames)' if trailing == 2 else '(…, n_samples)'}, and not empty"
        raise InputError(f"what is compared and its reference have the shapes {shapes}; both must be {wanted}")
    items, n = estimate.shape[: estimate.ndim - trailing], estimate.shape[-1]
    if lengths is None:
        return estimate, reference, torch.full(items, n, device=estimate.device)
    counts = as_lengths(lengths, items, n, estimate.device)
    mask = leading(counts, n) if trailing == 1 else leading(counts, n)[..., None, :]
    return torch.where(mask, estimate, 0), torch.where(mask, reference, 0), counts


def relative_error(estimate: Tensor, reference: Tensor) -> Tensor:
    """‖estimate − reference‖ / ‖reference‖ over the last two dimensions; 0 where both are silent, infinite where one is."""
    estimate, reference = _pair(estimate, reference)
    peak = reference.abs().amax((-2, -1), keepdim=True)  # squares of very small or large values would leave float32's range
    estimate, reference = (torch.where(peak > 0, each / torch.where(peak > 0, peak, 1), each) for each in (estimate, reference))
    error = torch.linalg.vector_norm(estimate - reference, dim=(-2, -1))
    size = torch.linalg.vector_norm(reference, dim=(-2, -1))
    return torch.where(error == 0, 0, error / size)


def bounded_relative_error(estimate: Tensor, reference: Tensor) -> Tensor:
    """‖estimate − reference‖ / max(‖reference‖, ‖estimate‖ / 100) over the last two dimensions: from 0 to 101.

    `relative_error` up to estimates 100 times (40 dB) as loud as the reference. Where only the reference is silent it is 100 with
    a zero gradient (what does not change with scale has no slope towards silence), where both are it is 0 with a zero gradient.
    """
    estimate, reference = _pair(estimate, reference)
    # A common factor changes nothing, so it needs no gradient; it keeps squares within float32's range.
    peak = torch.maximum(estimate.abs().amax((-2, -1), keepdim=True), reference.abs().amax((-2, -1), keepdim=True)).detach()
    peak = torch.where(peak > 0, peak, 1)
    estimate, reference = estimate / peak, reference / peak
    error, loudness, size = (torch.linalg.vector_norm(x, dim=(-2, -1)) for x in (estimate - reference, estimate, reference))
    size = torch.maximum(size, loudness / _LOUDEST)
    return error / torch.where(size > 0, size, 1)


def inconsistency(spectrum: Tensor, plan: FramePlan) -> Tensor:
    """‖c − STFT(ISTFT(c))‖ / ‖c‖ of complex spectra as the plan has them, (items, frames, n_freqs) -> (items,); 0 in silence."""
    spectrum = plan.masked(spectrum)
    parts = (torch.view_as_real(each).flatten(-2) for each in (plan.consistent(spectrum), spectrum))
    return bounded_relative_error(*parts)


def mean_distance(estimate: Tensor, reference: Tensor, p: int = 1) -> Tensor:
    """(mean |estimate − reference|^p)^(1/p) over the last two dimensions, in their unit: mean, p = 1, or root mean square, p = 2.

    Proportional to a scale that both have. The gradient is zero where the two are equal.
    """
    estimate, reference = _pair(estimate, reference)
    difference = estimate - reference
    if p == 1:
        return difference.abs().mean((-2, -1))
    peak = difference.abs().amax((-2, -1), keepdim=True).detach()
    peak = torch.where(peak > 0, peak, 1)
    root = math.sqrt(difference.shape[-2] * difference.shape[-1])
    return torch.linalg.vector_norm(difference / peak, dim=(-2, -1)) * (peak[..., 0, 0] / root)


def ratio_db(ratio: Tensor) -> Tensor:
    """20 log10 of ratios, −300 at least."""
    return 20 * ratio.clamp(min=10 ** (_FLOOR_DB / 20)).log10()


def spectral_convergence_db(magnitude: Tensor, reference: Tensor) -> Tensor:
    """20 log10(‖ |X| − A ‖ / ‖A‖) of magnitudes (…, n_freqs, n_frames) -> (…) in dB, lower is better, −300 at most equal.

    Sturmel and Daudet 2011. Unchanged when both are scaled.
    """
    return ratio_db(relative_error(magnitude, reference))


def mel_error_db(mel: Tensor, reference: Tensor) -> Tensor:
    """20 log10(‖m̂ − m‖ / ‖m‖) of linear mels (…, n_mels, n_frames) -> (…) in dB: spectral convergence seen through the bands."""
    return ratio_db(relative_error(mel, reference))


def log_mel_l1(mel: Tensor, reference: Tensor, floor: float = 1e-5) -> Tensor:
    """Mean |ln m̂ − ln m| of linear mels (…, n_mels, n_frames) -> (…) in nepers, both clamped to at least `floor`.

    With magnitude mels and the floor 1e-5 this is the mel distance that vocoders in the line of HiFi-GAN report.
    """
    mel, reference = _pair(mel, reference)
    return (mel.clamp(min=floor).log() - reference.clamp(min=floor).log()).abs().mean((-2, -1))
