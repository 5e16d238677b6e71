"""Checks of an estimate and its reference, and the padding of their batches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchmelinv._utils.batching import frame_mask, length_mask
from torchmelinv._utils.control_flow import may_depend_on_values
from torchmelinv._utils.validation import check_lengths, check_real
from torchmelinv.errors import InputError

# Shape of one item by its number of dimensions.
_SHAPES = {1: "(…, n_samples)", 2: "(…, rows, n_frames)"}


def check_pair(estimate: Tensor, reference: Tensor, hint: str = "") -> tuple[Tensor, Tensor]:
    """Return both in float32 or float64; refuse different shapes or devices."""
    estimate, reference = check_real(estimate, "estimate"), check_real(reference, "reference")
    if estimate.shape != reference.shape or estimate.device != reference.device:
        raise InputError(
            f"estimate has shape {tuple(estimate.shape)} on {estimate.device} and reference "
            f"{tuple(reference.shape)} on {reference.device}; they must be equal{hint}"
        )
    return estimate, reference


def mask_padding(
    estimate: Tensor, reference: Tensor, lengths: Any, item_ndim: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return both with zeros in the padding, and the valid frames or samples of each item, (…).

    Items have `item_ndim` dimensions: 2 for (rows, n_frames), 1 for (n_samples,).
    """
    hint = f" {_SHAPES[item_ndim]}, and not empty"
    estimate, reference = check_pair(estimate, reference, hint)
    if estimate.ndim < item_ndim or estimate.numel() == 0:
        raise InputError(
            f"estimate and reference have shape {tuple(estimate.shape)}; they must be{hint}"
        )
    counts = _counts(estimate, lengths, item_ndim)
    if lengths is None:
        return estimate, reference, counts
    n = estimate.shape[-1]
    mask = frame_mask(counts, estimate) if item_ndim == 2 else length_mask(counts, n)
    return torch.where(mask, estimate, 0), torch.where(mask, reference, 0), counts


def mask_mels(mel: Tensor, reference: Tensor, lengths: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Return `mask_padding` of two linear mels; refuse negative values, as log mels have.

    Values on an accelerator are not checked, which would wait for it.
    """
    mel, reference, counts = mask_padding(mel, reference, lengths, 2)
    for name, each in (("the mel", mel), ("the reference", reference)):
        if may_depend_on_values(each) and bool((each < 0).any()):
            raise InputError(
                f"{name} has negative values; a linear mel has none. Log mels must be expanded "
                "first: decompress(mel, convention.level) in torchmelinv.transforms.compression"
            )
    return mel, reference, counts


def check_waveform(waveform: Tensor, lengths: Any) -> tuple[Tensor, Tensor]:
    """Return a waveform without reference, and the valid samples of each item, (…)."""
    waveform = check_real(waveform, "waveform")
    if waveform.ndim == 0 or waveform.numel() == 0:
        raise InputError(
            f"waveform has shape {tuple(waveform.shape)}; it must be {_SHAPES[1]}, and not empty"
        )
    return waveform, _counts(waveform, lengths, 1)


def _counts(tensor: Tensor, lengths: Any, item_ndim: int) -> Tensor:
    """Return the valid frames or samples of each item: `lengths`, or all if that is None."""
    items, n = tensor.shape[: tensor.ndim - item_ndim], tensor.shape[-1]
    if lengths is None:
        return torch.full(items, n, device=tensor.device)
    return check_lengths(lengths, items, n, tensor.device)
