"""The restorations that have a name, and the check of one that is given."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError, nearest
from torchmelinv.restoration.auto import Auto
from torchmelinv.restoration.band_contrast import Contrast
from torchmelinv.restoration.log_mel import hold_last_frame, log_magnitude
from torchmelinv.restoration.restoration import Restoration
from torchmelinv.restoration.sharpening import UnsharpMask

RestorationName = Literal["auto", "contrast", "unsharp_mask", "none"]

# A new restoration without statistics is registered here: its name above, and its row.
RESTORATIONS: dict[str, type[Restoration] | None] = {
    "auto": Auto,
    "contrast": Contrast,
    "unsharp_mask": UnsharpMask,
    "none": None,
}


def as_restoration(restore: str | Restoration) -> Restoration | None:
    """Return the restoration for a name or an object; None for ``"none"``."""
    if isinstance(restore, Restoration):
        return restore
    if not isinstance(restore, str) or restore not in RESTORATIONS:
        allowed = ", ".join(map(repr, RESTORATIONS))
        raise InputError(
            f"restore is {restore!r}; it must be one of {allowed}, or an object of "
            f"torchmelinv.restoration such as Contrast(1.1){nearest(str(restore), RESTORATIONS)}"
        )
    kind = RESTORATIONS[restore]
    return None if kind is None else kind()


def restore_linear_mel(
    restoration: Restoration | None,
    linear_mel: Tensor,
    counts: Tensor | None,
    convention: MelConvention,
) -> Tensor:
    """Return linear mels (…, n_mels, n_frames) after a restoration of their logarithms.

    Zeros, values more than 100 dB below the peak of their item, which have no structure to restore,
    and everything that the restoration leaves alone are scaled by exactly 1 or by the gain of the
    value at -100 dB.
    """
    if restoration is None:
        return linear_mel
    linear = linear_mel.reshape(-1, *linear_mel.shape[-2:])
    counts = None if counts is None else counts.reshape(-1)
    log_mel = log_magnitude(hold_last_frame(linear, counts), convention.power)
    restored = restoration.restore(log_mel, counts, convention)
    gain = torch.exp(convention.power * (restored - log_mel))
    return (linear * gain).reshape(linear_mel.shape)
