"""Metrics of mels as a model predicts them."""

from __future__ import annotations

import os
from typing import Any

from torch import Tensor

from torchmelinv._utils.numerics import safe_pow
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.metrics.distance import log_mel_l1, mel_error_db
from torchmelinv.metrics.spectral import mel_cepstral_distortion_db
from torchmelinv.transforms.compression import decompress
from torchmelinv.transforms.mel_checks import check_mel_shape
from torchmelinv.validation._item_mean import ItemMean

__all__ = ["LogMelL1", "MelCepstralDistortion", "MelError"]


class _MelMetric(ItemMean):
    """A metric of mels in the values of a convention."""

    def __init__(self, convention: MelConvention | str | os.PathLike[str], **options: Any) -> None:
        super().__init__(**options)
        self.convention = as_convention(convention)

    def _linear(self, mel: Tensor, power: float) -> Tensor:
        """Return the linear mel, for a filterbank of |STFT|^power."""
        mel = check_mel_shape(mel, self.convention)
        linear = decompress(mel, self.convention.level).clamp(min=0)
        return safe_pow(linear, power / self.convention.power)


class MelError(_MelMetric):
    """`metrics.mel_error_db` of mels as a model predicts them.

    Args:
        convention: The convention of the mels: a `MelConvention`, a preset's name, or the path of a
            JSON file. `update` takes log mels, if that is what the convention has.
        **options: Those of `torchmetrics.Metric`.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> from torchmelinv.validation import MelError
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(torch.randn(2, 5632))
        >>> metric = MelError("hifigan_22k")
        >>> metric.update(mel + 0.1, mel)
        >>> metric.compute().round()
        tensor(-20.)
    """

    name = "mel_error_db"

    def _values(self, estimate: Tensor, reference: Tensor, lengths: Tensor | None) -> Tensor:
        mels = (self._linear(each, self.convention.power) for each in (estimate, reference))
        return mel_error_db(*mels, lengths=lengths)


class LogMelL1(_MelMetric):
    """`metrics.log_mel_l1` of mels as a model predicts them, as if their power were 1.

    Args:
        convention: The convention of the mels: a `MelConvention`, a preset's name, or the path of a
            JSON file. `update` takes log mels, if that is what the convention has.
        **options: Those of `torchmetrics.Metric`.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> from torchmelinv.validation import LogMelL1
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(torch.randn(2, 5632))
        >>> metric = LogMelL1("hifigan_22k")
        >>> metric.update(mel + 0.1, mel)
        >>> metric.compute().round(decimals=3)
        tensor(0.1000)
    """

    name = "log_mel_l1"

    def _values(self, estimate: Tensor, reference: Tensor, lengths: Tensor | None) -> Tensor:
        linear, other = (self._linear(each, 1) for each in (estimate, reference))
        return log_mel_l1(linear, other, lengths=lengths)


class MelCepstralDistortion(_MelMetric):
    """`metrics.mel_cepstral_distortion_db` of mels as a model predicts them, frame by frame.

    Args:
        convention: The convention of the mels: a `MelConvention`, a preset's name, or the path of a
            JSON file. `update` takes log mels, if that is what the convention has.
        **options: Those of `torchmetrics.Metric`.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> from torchmelinv.validation import MelCepstralDistortion
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(torch.randn(2, 5632))
        >>> metric = MelCepstralDistortion("hifigan_22k")
        >>> metric.update(mel + 0.1, mel)
        >>> bool(metric.compute() < 1e-3)
        True
    """

    name = "mel_cepstral_distortion_db"

    def _values(self, estimate: Tensor, reference: Tensor, lengths: Tensor | None) -> Tensor:
        mels = (self._linear(each, 1) for each in (estimate, reference))
        return mel_cepstral_distortion_db(*mels, lengths=lengths)
