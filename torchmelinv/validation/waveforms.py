"""Metrics of waveforms and of their spectra."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from torch import Tensor

from torchmelinv._utils.validation import check_number
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention
from torchmelinv.metrics.distance import spectral_convergence_db
from torchmelinv.metrics.fundamental_frequency import (
    f0_rmse_cents,
    gross_pitch_error,
    voicing_error,
)
from torchmelinv.metrics.perceptual import estoi, pesq_wb
from torchmelinv.validation._item_mean import ItemMean

__all__ = ["ESTOI", "F0RMSE", "PESQ", "GrossPitchError", "SpectralConvergence", "VoicingError"]


class SpectralConvergence(ItemMean):
    """`metrics.spectral_convergence_db` of the STFTs of waveforms.

    Args:
        convention: The convention of the STFT: a `MelConvention`, a preset's name, or the path of a
            JSON file.
        **options: Those of `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> from torchmelinv.validation import SpectralConvergence
        >>> waveform = torch.randn(2, 5632)
        >>> metric = SpectralConvergence("hifigan_22k")
        >>> metric.update(1.1 * waveform, waveform)
        >>> metric.compute().round()
        tensor(-20.)
    """

    name = "spectral_convergence_db"

    def __init__(self, convention: MelConvention | str | os.PathLike[str], **options: Any) -> None:
        super().__init__(**options)
        self._stft = MelSpectrogram(convention).stft

    def _values(self, estimate: Tensor, reference: Tensor, lengths: Tensor | None) -> Tensor:
        spectra = (self._stft(each, lengths=lengths) for each in (estimate, reference))
        return spectral_convergence_db(*(each.abs() for each in spectra))


class _WaveformMetric(ItemMean):
    """A metric of waveforms at a sample rate."""

    def __init__(self, sample_rate: float, **options: Any) -> None:
        super().__init__(**options)
        check_number("sample_rate", sample_rate, 1)
        self.sample_rate = sample_rate


class _PitchMetric(_WaveformMetric):
    """A metric of waveforms at a sample rate that takes lengths."""

    metric: Callable[..., Tensor]

    def _values(self, estimate: Tensor, reference: Tensor, lengths: Tensor | None) -> Tensor:
        return self.metric(estimate, reference, self.sample_rate, lengths=lengths)


class F0RMSE(_PitchMetric):
    """`metrics.f0_rmse_cents` of waveforms; items where it is not defined do not count.

    Args:
        sample_rate: Sample rate in Hz.
        **options: Those of `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> from torchmelinv.validation import F0RMSE
        >>> pulses = torch.zeros(1, 16000)
        >>> pulses[:, ::160] = 1
        >>> metric = F0RMSE(16000)
        >>> metric.update(pulses, pulses)
        >>> metric.compute()
        tensor(0.)
    """

    name = "f0_rmse_cents"
    metric = staticmethod(f0_rmse_cents)


class GrossPitchError(_PitchMetric):
    """`metrics.gross_pitch_error` of waveforms; items where it is not defined do not count.

    Args:
        sample_rate: Sample rate in Hz.
        **options: Those of `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> from torchmelinv.validation import GrossPitchError
        >>> pulses = torch.zeros(1, 16000)
        >>> pulses[:, ::160] = 1
        >>> metric = GrossPitchError(16000)
        >>> metric.update(pulses, pulses)
        >>> metric.compute()
        tensor(0.)
    """

    name = "gross_pitch_error"
    metric = staticmethod(gross_pitch_error)


class VoicingError(_PitchMetric):
    """`metrics.voicing_error` of waveforms.

    Args:
        sample_rate: Sample rate in Hz.
        **options: Those of `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> from torchmelinv.validation import VoicingError
        >>> pulses = torch.zeros(1, 16000)
        >>> pulses[:, ::160] = 1
        >>> metric = VoicingError(16000)
        >>> metric.update(pulses, pulses)
        >>> metric.compute()
        tensor(0.)
    """

    name = "voicing_error"
    metric = staticmethod(voicing_error)


class PESQ(_WaveformMetric):
    """`metrics.pesq_wb` of waveforms; needs the extra ``metrics``.

    Args:
        sample_rate: Sample rate in Hz.
        **options: Those of `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> from torchmelinv.validation import PESQ
        >>> metric = PESQ(16000)
        >>> metric.update(torch.zeros(1, 8000), torch.zeros(1, 8000))  # doctest: +SKIP
        >>> metric.compute()  # doctest: +SKIP
        tensor(nan)
    """

    name = "pesq_wb"

    def _values(self, estimate: Tensor, reference: Tensor, lengths: Tensor | None) -> Tensor:
        return pesq_wb(estimate, reference, self.sample_rate, lengths=lengths)


class ESTOI(_WaveformMetric):
    """`metrics.estoi` of waveforms; needs the extra ``metrics``.

    Args:
        sample_rate: Sample rate in Hz.
        **options: Those of `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> from torchmelinv.validation import ESTOI
        >>> metric = ESTOI(16000)
        >>> metric.update(torch.zeros(1, 8000), torch.zeros(1, 8000))  # doctest: +SKIP
        >>> metric.compute()  # doctest: +SKIP
        tensor(nan)
    """

    name = "estoi"

    def _values(self, estimate: Tensor, reference: Tensor, lengths: Tensor | None) -> Tensor:
        return estoi(estimate, reference, self.sample_rate, lengths=lengths)
