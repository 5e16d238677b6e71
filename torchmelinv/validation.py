"""Metrics for validation loops: `update` with each batch, `compute` at the end, then `reset`.

In a loop::

    mel_error = MelError("hifigan_22k")
    for mel, target, frames in batches:
        mel_error.update(model(mel), target, lengths=frames)
    log("mel error", mel_error.compute())

Each is the mean of a function of `metrics` over all items; items without a finite value, and those
whose reference is silent, do not count. Where torchmetrics is installed, the classes are
`torchmetrics.Metric`, so that they go into a MetricCollection, Lightning's ``self.log`` takes them,
and torchmetrics reduces them over processes. Otherwise they have a base of their own with the same
methods, which sums over the processes of `torch.distributed`. Importing this module imports
torchmetrics if it is there, which takes some seconds.
"""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from torchmelinv._utils.numerics import safe_pow
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.metrics.distance import (
    LARGEST_DB,
    log_mel_l1,
    mel_error_db,
    spectral_convergence_db,
)
from torchmelinv.metrics.fundamental_frequency import (
    f0_rmse_cents,
    gross_pitch_error,
    voicing_error,
)
from torchmelinv.metrics.glossary import METRICS
from torchmelinv.metrics.perceptual import estoi, pesq_wb
from torchmelinv.metrics.spectral import mel_cepstral_distortion_db
from torchmelinv.transforms.compression import decompress
from torchmelinv.transforms.mel_checks import check_mel_shape

__all__ = [
    "ESTOI",
    "F0RMSE",
    "PESQ",
    "GrossPitchError",
    "LogMelL1",
    "MelCepstralDistortion",
    "MelError",
    "SpectralConvergence",
    "VoicingError",
]


class _SumOverProcesses(nn.Module):
    """What this module uses of `torchmetrics.Metric`, for where torchmetrics is missing."""

    def add_state(self, name: str, default: Tensor, dist_reduce_fx: str) -> None:
        """Add a tensor that is summed over processes."""
        assert dist_reduce_fx == "sum"
        self.register_buffer(name, default, persistent=False)

    def reset(self) -> None:
        """Forget all items."""
        for state in self.buffers(recurse=False):
            state.zero_()

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Update with a batch, and return the mean of this batch in this process."""
        before = [state.clone() for state in self.buffers(recurse=False)]
        self.update(*args, **kwargs)
        states = list(self.buffers(recurse=False))
        total, n_items = (now - old for now, old in zip(states, before, strict=True))
        return total / n_items

    def compute(self) -> Tensor:
        """Return the mean over all items of all processes."""
        total, n_items = (state.clone() for state in self.buffers(recurse=False))
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            for state in (total, n_items):
                torch.distributed.all_reduce(state)
        return total / n_items

    def update(self, estimate: Tensor, reference: Tensor, *, lengths: Tensor | None = None) -> None:
        """Add a batch."""
        raise NotImplementedError


def _base() -> Any:
    """Return `torchmetrics.Metric`, or its substitute where torchmetrics is missing."""
    try:
        return importlib.import_module("torchmetrics").Metric
    except (ImportError, OSError):
        return _SumOverProcesses


_Base: Any = _base()


class _ItemMean(_Base):  # type: ignore[misc]
    """The mean of a metric over items, in plain sums, which every reduction adds up."""

    name: str  # in METRICS
    total: Tensor
    n_items: Tensor
    full_state_update = False
    is_differentiable = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_state("total", default=torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("n_items", default=torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    @property
    def higher_is_better(self) -> bool | None:
        """Whether higher values are better."""
        return METRICS[self.name].higher_is_better

    @torch.no_grad()
    def update(self, estimate: Tensor, reference: Tensor, *, lengths: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            estimate: Estimates, of any leading dimensions.
            reference: References of the same shape.
            lengths: Frames (of waveforms samples) of each item of a padded batch.
        """
        values = self._values(estimate.detach(), reference.detach(), lengths)
        largest = LARGEST_DB if self.name.endswith("_db") else math.inf  # of a silent reference
        counts = values.isfinite() & (values < largest)
        self.total = self.total + torch.where(counts, values, 0).sum().to(self.total)
        self.n_items = self.n_items + counts.sum().to(self.n_items)

    def compute(self) -> Tensor:
        """Compute the mean over all items since the last `reset`.

        Returns:
            The mean, (); NaN without items.
        """
        if _Base is _SumOverProcesses:
            return super().compute()
        return self.total / self.n_items

    def _values(self, estimate: Tensor, reference: Tensor, lengths: Tensor | None) -> Tensor:
        """Return the value of each item."""
        raise NotImplementedError


class _MelMetric(_ItemMean):
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


class SpectralConvergence(_ItemMean):
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


class _WaveformMetric(_ItemMean):
    """A metric of waveforms at a sample rate."""

    def __init__(self, sample_rate: float, **options: Any) -> None:
        super().__init__(**options)
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
