"""The loss between mel spectrograms."""

from __future__ import annotations

import math
import os

import torch
from torch import Tensor

from torchmelinv._utils.batching import frame_mask
from torchmelinv._utils.module import Module
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_real
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention
from torchmelinv.losses.padded import P, check_p, frame_counts, weighted_mean
from torchmelinv.metrics.checks import check_pair
from torchmelinv.metrics.distance import mean_distance, mean_of_valid
from torchmelinv.transforms.compression import decompress, logarithmic

__all__ = ["MelLoss"]

# Of a magnitude mel, before the logarithm of a convention that has none.
_DEFAULT_FLOOR = 1e-5


class MelLoss(Module):
    """Distance of the mels of two waveforms, or of a waveform and a mel.

    A waveform is (…, n_samples). A tensor with one dimension more than the other is a mel
    (…, n_mels, n_frames) in the convention's values, with the frames that the waveform has. Two
    mels look like two waveforms: compare them by ``torch.nn.functional.l1_loss``.

    The loss is the mean (`p` 1) or the root mean square (`p` 2) of the difference over bands and
    frames. With `log`, the values are natural logarithms, in nepers, with the floor, offset,
    dynamic range, clip and peak of the convention, but without its scaling. A linear convention
    gets the floor 1e-5^power. Without `log`, the values are linear mels.

    At least 0, and 0 at equality. Logarithms: unchanged when both are scaled, except for values
    that cross the floor, below which there is no gradient. Linear mels: proportional to
    scale^power. Cost: one STFT and one banded product for each waveform.

    For `hifigan_22k` the default is the L1 mel loss of HiFi-GAN without its factor 45. For one
    item, the square of the loss with `p` 2 is the mean squared error.

    Args:
        convention: The convention of the mels: a `MelConvention`, a preset's name, or the path of a
            JSON file.
        log: Compare logarithms instead of linear mels.
        p: 1 for the mean distance, 2 for the root mean square.

    Raises:
        InputError: If `p` is neither 1 nor 2.
        ConventionError: If there is no such convention.

    References:
        J. Kong, J. Kim and J. Bae, "HiFi-GAN: generative adversarial networks for efficient and
        high fidelity speech synthesis", NeurIPS 2020.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> waveform = torch.randn(2, 11008)
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(waveform).requires_grad_()
        >>> inverter = tmi.MelInverter("hifigan_22k", n_iter=2)
        >>> tmi.losses.MelLoss("hifigan_22k")(inverter(mel), waveform).backward()
        >>> mel.grad.shape
        torch.Size([2, 80, 43])
    """

    @named_options
    def __init__(
        self, convention: MelConvention | str | os.PathLike[str], log: bool = True, p: P = 1
    ) -> None:
        super().__init__()
        check_p(p)
        self.mel_spectrogram = MelSpectrogram(convention)
        self.log, self.p = log, p

    def extra_repr(self) -> str:
        return f"log={self.log}, p={self.p}"

    def _comparable(self, mel: Tensor) -> Tensor:
        """Return natural logarithms or linear mels for a mel in the convention's values."""
        convention = self.mel_spectrogram.convention
        level = convention.level
        if not self.log:
            return decompress(mel, level)
        if level.log is None:
            return decompress(mel, level).clamp(min=_DEFAULT_FLOOR**convention.power).log()
        return logarithmic(mel, level) * (math.log(10) if level.log == "log10" else 1)

    @full_precision
    def forward(
        self, estimate: Tensor, reference: Tensor, *, lengths: Tensor | None = None
    ) -> Tensor:
        """Compute the loss.

        Args:
            estimate: Waveform (…, n_samples), or a mel (…, n_mels, n_frames).
            reference: Waveform (…, n_samples), or a mel if the estimate is a waveform.
            lengths: Samples of each item of a padded batch, (…).

        Returns:
            The loss, one number.

        Raises:
            InputError: If shapes, dtypes or devices do not fit.

        Shape:
            - estimate: (…, n_samples) or (…, n_mels, n_frames)
            - reference: (…, n_samples) or (…, n_mels, n_frames)
            - lengths: (…)
            - output: ()
        """
        estimate, reference = check_real(estimate, "estimate"), check_real(reference, "reference")
        waveform = estimate if estimate.ndim <= reference.ndim else reference
        counts = frame_counts(self.mel_spectrogram.stft, waveform, lengths)
        if estimate.ndim == reference.ndim:
            check_pair(estimate, reference)
        mels = [
            each if each.ndim > waveform.ndim else self.mel_spectrogram(each, lengths=lengths)
            for each in (estimate, reference)
        ]
        check_pair(mels[0], mels[1], " as mels, (…, n_mels, n_frames)")
        n_frames = mels[0].shape[-1]
        if counts is not None:
            mask = frame_mask(counts, mels[0])
            mels = [torch.where(mask, mel, 0) for mel in mels]
        distance = mean_distance(self._comparable(mels[0]), self._comparable(mels[1]), self.p)
        return weighted_mean(mean_of_valid(distance, counts, n_frames, self.p), counts)
