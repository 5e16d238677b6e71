"""Restoration of mels in a convention's values, as a module."""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn

from torchmelinv._utils.batching import frame_mask
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_lengths
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.restoration.registry import RestorationName, as_restoration, restore_linear_mel
from torchmelinv.restoration.restoration import Restoration
from torchmelinv.transforms.compression import compress, decompress
from torchmelinv.transforms.mel_checks import check_mel_shape

__all__ = ["MelRestoration"]


class MelRestoration(nn.Module):
    """Sharpen smoothed mels, such as those that a network predicted.

    Mels come and go in the convention's values. Half precisions are computed in and returned as
    float32. The module has no parameters.

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
        self._restore, self._restoration = restore, as_restoration(restore)

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
        mel = check_mel_shape(mel, self.convention)
        counts, mask = None, None
        linear = decompress(mel, self.convention.level)
        if lengths is not None:
            counts = check_lengths(lengths, mel.shape[:-2], mel.shape[-1], mel.device)
            mask = frame_mask(counts, mel)
            linear = torch.where(mask, linear, 0)
        restored = restore_linear_mel(self._restoration, linear, counts, self.convention)
        values = compress(restored, self.convention.level, mask)
        return torch.where(restored == linear, mel, values) if mask is None else values
