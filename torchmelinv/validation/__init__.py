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

from torchmelinv.validation.mels import LogMelL1, MelCepstralDistortion, MelError
from torchmelinv.validation.waveforms import (
    ESTOI,
    F0RMSE,
    PESQ,
    GrossPitchError,
    SpectralConvergence,
    VoicingError,
)

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
