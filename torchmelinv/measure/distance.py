"""Distances between spectra or mels, pure and for each item: (…, rows, n_frames) twice -> (…).

All are in the linear domain, and the first two do not change when both arguments are scaled.
"""

from __future__ import annotations

import torch
from torch import Tensor

from torchmelinv.errors import InputError
from torchmelinv.ops.checks import as_real

_FLOOR_DB = -300.0  # what a perfect match gives, instead of minus infinity


def _pair(estimate: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    estimate, reference = as_real(estimate, "estimate"), as_real(reference, "reference")
    if estimate.shape != reference.shape:
        raise InputError(f"estimate has shape {tuple(estimate.shape)} and reference {tuple(reference.shape)}; they must be equal")
    return estimate, reference


def relative_error(estimate: Tensor, reference: Tensor) -> Tensor:
    """‖estimate − reference‖ / ‖reference‖ over the last two dimensions; 0 where both are silent, infinite where one is."""
    estimate, reference = _pair(estimate, reference)
    peak = reference.abs().amax((-2, -1), keepdim=True)  # squares of very small or large values would leave float32's range
    estimate, reference = (torch.where(peak > 0, each / torch.where(peak > 0, peak, 1), each) for each in (estimate, reference))
    error = torch.linalg.vector_norm(estimate - reference, dim=(-2, -1))
    size = torch.linalg.vector_norm(reference, dim=(-2, -1))
    return torch.where(error == 0, 0, error / size)


def _decibels(ratio: Tensor) -> Tensor:
    return 20 * ratio.clamp(min=10 ** (_FLOOR_DB / 20)).log10()


def spectral_convergence_db(magnitude: Tensor, reference: Tensor) -> Tensor:
    """20 log10(‖ |X| − A ‖ / ‖A‖) of magnitudes (…, n_freqs, n_frames) -> (…) in dB, lower is better, −300 at most equal.

    Sturmel and Daudet 2011. Unchanged when both are scaled.
    """
    return _decibels(relative_error(magnitude, reference))


def mel_error_db(mel: Tensor, reference: Tensor) -> Tensor:
    """20 log10(‖m̂ − m‖ / ‖m‖) of linear mels (…, n_mels, n_frames) -> (…) in dB: spectral convergence seen through the bands."""
    return _decibels(relative_error(mel, reference))


def log_mel_l1(mel: Tensor, reference: Tensor, floor: float = 1e-5) -> Tensor:
    """Mean |ln m̂ − ln m| of linear mels (…, n_mels, n_frames) -> (…) in nepers, both clamped to at least `floor`.

    With magnitude mels and the floor 1e-5 this is the mel distance that vocoders in the line of HiFi-GAN report.
    """
    mel, reference = _pair(mel, reference)
    return (mel.clamp(min=floor).log() - reference.clamp(min=floor).log()).abs().mean((-2, -1))
