"""The restorations that have a name, and the check of one that is given."""

from __future__ import annotations

import torch
from torch import Tensor

from torchmelinv._utils.numerics import safe_divide, safe_pow
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError, nearest
from torchmelinv.restoration.auto import Auto
from torchmelinv.restoration.band_contrast import Contrast
from torchmelinv.restoration.log_mel import bounded, energy, hold_last_frame, log_magnitude
from torchmelinv.restoration.restoration import Restoration
from torchmelinv.restoration.sharpening import UnsharpMask

# A new restoration without statistics is registered here, and in `RestorationName`.
RESTORATIONS: dict[str, type[Restoration] | None] = {
    "auto": Auto,
    "contrast": Contrast,
    "unsharp_mask": UnsharpMask,
    "none": None,
}


def as_restoration(restore: str | Restoration, convention: MelConvention) -> Restoration | None:
    """Return the restoration of a convention for a name or an object; None for ``"none"``."""
    if isinstance(restore, Restoration):
        restore.prepare(convention)
        return restore
    if not isinstance(restore, str) or restore not in RESTORATIONS:
        allowed = ", ".join(map(repr, RESTORATIONS))
        raise InputError(
            f"restore is {restore!r}; it must be one of {allowed}, or an object of "
            "torchmelinv.restoration such as Contrast(1.1) or Sequential(UnsharpMask(), Contrast())"
            f"{nearest(str(restore), RESTORATIONS)}"
        )
    kind = RESTORATIONS[restore]
    return None if kind is None else as_restoration(kind(), convention)


def restore_linear_mel(
    restoration: Restoration | None,
    linear_mel: Tensor,
    counts: Tensor | None,
    convention: MelConvention,
) -> Tensor:
    """Return linear mels (…, n_mels, n_frames) after a restoration of their logarithms.

    The level stays: the squared magnitudes of each item keep their mean. A mel that the restoration
    leaves alone is returned as it is, bit for bit.
    """
    if restoration is None:
        return linear_mel
    linear = linear_mel.reshape(-1, *linear_mel.shape[-2:])
    counts = None if counts is None else counts.reshape(-1)
    log_mel = log_magnitude(hold_last_frame(linear, counts), convention.power)
    peak = log_mel.detach().amax((-2, -1), keepdim=True)
    restored = restoration.restore(log_mel, counts, convention)
    if restored.shape != log_mel.shape:
        raise InputError(
            f"{restoration} returned the shape {tuple(restored.shape)} for log mels of the shape "
            f"{tuple(log_mel.shape)}; it must keep it"
        )
    restored = bounded(restored, log_mel)
    before, after = (energy(each - peak, counts) for each in (log_mel, restored))
    scale = safe_divide(before, after).clamp(min=torch.finfo(linear.dtype).tiny).sqrt()
    gain = torch.exp(restored - log_mel) * scale
    return (linear * safe_pow(gain, convention.power)).reshape(linear_mel.shape)
