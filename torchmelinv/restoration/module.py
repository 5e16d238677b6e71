"""Restoration of mels in a convention's values, as a module."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from torchmelinv._utils.batching import frame_mask
from torchmelinv._utils.method_names import RestorationName
from torchmelinv._utils.module import Module
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.restoration.log_mel import decompressed
from torchmelinv.restoration.registry import as_restoration, restore_linear_mel
from torchmelinv.restoration.restoration import Restoration
from torchmelinv.transforms.compression import compress

__all__ = ["MelRestoration"]


class MelRestoration(Module):
    """Sharpen smoothed mels, such as those that a network predicted.

    Mels come and go in the convention's values. What was not smoothed is returned as it is. Invert
    the result with ``restore="none"``: it may still be smoother than the mel of a sound. Half
    precisions are computed in and returned as float32. The module has no parameters.

    Args:
        convention: The convention of the mels.
        restore: The restoration: ``"auto"`` (as much as the mel was smoothed), ``"contrast"``,
            ``"unsharp_mask"``, ``"none"``, or an object of `torchmelinv.restoration`.

    Raises:
        ConventionError: If there is no such convention.
        InputError: If there is no such restoration.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> sharpen = tmi.restoration.MelRestoration("hifigan_22k")
        >>> sharpen(torch.full((80, 20), -5.0)).shape
        torch.Size([80, 20])
    """

    @named_options
    def __init__(
        self,
        convention: MelConvention | str | os.PathLike[str],
        restore: RestorationName | Restoration = "auto",
    ) -> None:
        super().__init__()
        self._convention = as_convention(convention)
        self._restore = restore
        self._restoration = as_restoration(restore, self._convention)

    @property
    def convention(self) -> MelConvention:
        """The convention of the mels. Read-only."""
        return self._convention

    @property
    def restore(self) -> str | Restoration:
        """The restoration as it was given. Read-only."""
        return self._restore

    def extra_repr(self) -> str:
        return f"restore={self.restore!r}"

    @full_precision
    def forward(self, mel: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Restore mels.

        Args:
            mel: Mel spectrogram (…, n_mels, n_frames) in the convention's values.
            lengths: Frames of each item of a padded batch, (…). Later frames are those of silence.

        Returns:
            Mel spectrogram (…, n_mels, n_frames) in the convention's values.

        Raises:
            InputError: If a shape or dtype does not fit.

        Shape:
            - mel: (…, n_mels, n_frames)
            - lengths: (…)
            - output: (…, n_mels, n_frames)
        """
        linear, counts = decompressed(mel, self.convention, lengths)
        linear = linear.reshape(mel.shape)
        own = None
        if counts is not None:
            own = frame_mask(counts.reshape(mel.shape[:-2]), mel)
        restored = restore_linear_mel(self._restoration, linear, counts, self.convention)
        values = compress(restored, self.convention.level, own)
        unchanged = restored == linear
        return torch.where(unchanged if own is None else unchanged & own, mel, values)
