"""Restoration by as much as a mel was smoothed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from torchmelinv._utils.batching import map_batch
from torchmelinv.conventions import MelConvention
from torchmelinv.restoration.band_contrast import band_mean
from torchmelinv.restoration.gaussian import make_gaussian_filter
from torchmelinv.restoration.log_mel import hold_last_frame
from torchmelinv.restoration.restoration import Restoration
from torchmelinv.restoration.smoothing import LARGEST_VARIANCE, estimate, noise_variances

__all__ = ["Auto"]

# Chosen on FastSpeech 2 and Tacotron 2 mels (DistillMOS, DNSMOS) and on filtered mels of speech
# (PESQ, ESTOI): more of either raises one of these scores and lowers another.
CORRECTIONS, CONTRAST = 3, 0.1


@dataclass(frozen=True)
class Auto(Restoration):
    """Undo as much smoothing as the mel shows, and nothing where it shows none.

    `smoothness` estimates the Gaussian filter G that would have smoothed this mel, and the strength
    s. With the variance of G scaled by s, the mel becomes

        m + (1 − G) m + (1 − G)² m + (1 − G)³ m,

    the first corrections of the inverse of G, which raise no modulation by more than a factor of 4
    (van Cittert's iteration). Its contrast about the mean of each band is then raised by 0.1 s. A
    mel whose strength is 0 is returned as it is, bit for bit. For gradients, the estimate counts as
    a constant.

    References:
        P. H. van Cittert, "Zum Einfluss der Spaltbreite auf die Intensitätsverteilung in
        Spektrallinien II", Zeitschrift für Physik 69, 1931.

    Example:
        >>> import torchmelinv as tmi
        >>> inverter = tmi.MelInverter("hifigan_22k", restore="auto")
    """

    def prepare(self, convention: MelConvention) -> None:
        noise_variances(convention)

    def restore(self, log_mel: Tensor, lengths: Tensor | None, convention: MelConvention) -> Tensor:
        strength, bands, frames = estimate(log_mel.detach(), lengths, convention)
        largest = math.sqrt(LARGEST_VARIANCE)

        def of_items(
            log_mel: Tensor, counts: Tensor | None, bands: Tensor, frames: Tensor, strength: Tensor
        ) -> tuple[Tensor]:
            variances = strength * bands.square(), strength * frames.square()
            smooth = make_gaussian_filter(log_mel.shape[-2], variances, (largest, largest))
            sharp = log_mel
            for _ in range(CORRECTIONS):
                sharp = hold_last_frame(sharp + (log_mel - smooth(sharp)), counts)
            gain = CONTRAST * strength[:, None, None]
            return (sharp + gain * (sharp - band_mean(sharp, counts)),)

        (restored,) = map_batch(of_items, log_mel, lengths, bands, frames, strength)
        return torch.where(strength[:, None, None] > 0, restored, log_mel)
