"""Waveform to mel, the way a convention's model makes it: the path that `MelInverter` walks back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from torchmelinv.conventions import MelConvention
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.frame import Frame
from torchmelinv.level import compress
from torchmelinv.ops.checks import as_lengths, as_real
from torchmelinv.ops.items import leading
from torchmelinv.ops.precision import full_precision
from torchmelinv.presets import as_convention


def root(squared: Tensor, power: float = 1.0) -> Tensor:
    """√x^power of x at least 0; a zero passes a zero gradient."""
    if power == 2:
        return squared
    # √x has no finite slope at 0, and float32 none that can be used far below the normal numbers: stand still there.
    dead = squared <= torch.finfo(squared.dtype).tiny
    return torch.where(dead, 0, torch.where(dead, 1, squared).pow(power / 2))


def squares(spectrum: Tensor) -> Tensor:
    """|c|²."""
    return spectrum.real.square() + spectrum.imag.square()


def modulus(spectrum: Tensor) -> Tensor:
    """|c|; a zero passes a zero gradient."""
    return root(squares(spectrum))


def seen(squared: Tensor, convention: MelConvention) -> Tensor:
    """|c|² -> what the filterbank sees, (|c|² + offset)^(power / 2), or with |c|² clamped to its floor."""
    squared = squared + convention.magnitude_offset
    if convention.magnitude_floor > 0:
        squared = squared.clamp(min=convention.magnitude_floor)
    return root(squared, convention.power)


def take_back_offset(magnitude: Tensor, convention: MelConvention) -> Tensor:
    """Magnitude to its power, as the filterbank saw it -> |STFT|: the root, and the offset that was added under it.

    A root has no finite slope at 0: where the result is 0, so is its gradient.
    """
    magnitude = magnitude.relu()
    if convention.power == 1 and convention.magnitude_offset == 0:
        return magnitude
    squared = magnitude if convention.power == 2 else magnitude.pow(2 / convention.power)
    squared = squared - convention.magnitude_offset
    dead = squared <= torch.finfo(squared.dtype).tiny
    return torch.where(dead, 0, torch.where(dead, 1, squared).sqrt())


class MelAnalyzer(nn.Module):
    """Waveform (…, n_samples) -> mel (…, n_mels, n_frames) in the convention's own values.

    `convention`: a `MelConvention`, a preset's name or a JSON file. Tables follow the waveform's device and dtype; half
    precisions are computed in and returned as float32. One short-time Fourier transform and one banded product. `InputError` for
    what is no waveform, or too short for a frame.
    """

    def __init__(self, convention: MelConvention | str) -> None:
        super().__init__()
        self.convention = as_convention(convention)
        self.frame = Frame(self.convention)
        self.filterbank = MelFilterbank(self.convention)

    @full_precision
    def magnitude(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Waveform (…, n_samples) -> what the filterbank sees, |STFT|^power (…, n_freqs, n_frames)."""
        return seen(squares(self.frame.analyse(waveform, lengths)), self.convention)

    @full_precision
    def linear(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Waveform (…, n_samples) -> mel before its level, at least 0, (…, n_mels, n_frames)."""
        return self.filterbank(self.magnitude(waveform, lengths))

    @full_precision
    def forward(self, waveform: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """`lengths` (…): samples of each item of a padded batch; frames after an item's own hold the level of silence."""
        waveform = as_real(waveform, "waveform")
        mask = None
        if lengths is not None:
            counts = self.frame.frame_counts(as_lengths(lengths, waveform.shape[:-1], waveform.shape[-1], waveform.device))
            n_frames = self.convention.n_frames(waveform.shape[-1])
            mask = leading(counts, n_frames)[..., None, :]
        return compress(self.linear(waveform, lengths), self.convention.level, mask)
