"""The mel spectrogram, with torchaudio's arguments."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from torchmelinv.compat.torchaudio.mel_scale import MelScale
from torchmelinv.compat.torchaudio.spectrogram import Spectrogram

__all__ = ["MelSpectrogram"]


class MelSpectrogram(nn.Module):
    """Compute a mel spectrogram, as `torchaudio.transforms.MelSpectrogram`.

    It is a `Spectrogram` followed by a `MelScale`. `torchmelinv.from_torchaudio` returns its
    convention, with which `MelInverter` inverts its mels.

    Args:
        sample_rate: Sample rate in Hz.
        n_fft: Size of the FFT.
        win_length: Length of the window in samples. Default: `n_fft`.
        hop_length: Hop in samples. Default: ``win_length // 2``.
        f_min: Lowest frequency in Hz.
        f_max: Highest frequency in Hz. Default: ``sample_rate // 2``.
        pad: Zeros added to each end of the waveform, in samples.
        n_mels: Number of mel filters.
        window_fn: Function of the length that returns the window.
        power: Exponent of |STFT|.
        normalized: As in `Spectrogram`.
        wkwargs: Further arguments of `window_fn`.
        center: Whether frames are centered, which pads the waveform by ``n_fft // 2``.
        pad_mode: Padding mode of `torch.stft`.
        onesided: Without effect; warns.
        norm: None, or ``"slaney"`` for filters of equal area.
        mel_scale: ``"htk"`` or ``"slaney"``.

    Raises:
        InputError: If a value is not allowed, as in `Spectrogram` and `MelScale`; a ValueError.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> from torchmelinv.compat.torchaudio import MelSpectrogram
        >>> mel_spectrogram = MelSpectrogram(16000, n_fft=1024, n_mels=64)
        >>> mel = mel_spectrogram(torch.randn(2, 16000))
        >>> mel.shape
        torch.Size([2, 64, 32])
        >>> inverter = tmi.MelInverter(tmi.from_torchaudio(mel_spectrogram), n_iter=4)
        >>> inverter(mel, length=16000).shape
        torch.Size([2, 16000])
    """

    __constants__ = ("f_min", "hop_length", "n_fft", "n_mels", "pad", "sample_rate", "win_length")

    def __init__(
        self,
        sample_rate: int = 16000,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        f_min: float = 0.0,
        f_max: float | None = None,
        pad: int = 0,
        n_mels: int = 128,
        window_fn: Callable[..., Tensor] = torch.hann_window,
        power: float = 2.0,
        normalized: bool = False,
        wkwargs: dict[str, Any] | None = None,
        center: bool = True,
        pad_mode: str = "reflect",
        onesided: bool | None = None,
        norm: str | None = None,
        mel_scale: str = "htk",
    ) -> None:
        super().__init__()
        if onesided is not None:
            warnings.warn(
                "onesided does nothing: the filters use non-negative frequencies only", stacklevel=2
            )
        self.spectrogram = Spectrogram(
            n_fft,
            win_length,
            hop_length,
            pad,
            window_fn,
            power,
            normalized,
            wkwargs,
            center,
            pad_mode,
            onesided=True,
        )
        self.mel_scale = MelScale(
            n_mels, sample_rate, f_min, f_max, n_fft // 2 + 1, norm, mel_scale
        )
        self.win_length, self.hop_length = self.spectrogram.win_length, self.spectrogram.hop_length
        self.sample_rate, self.n_fft, self.pad = sample_rate, n_fft, pad
        self.power, self.normalized = power, normalized
        self.n_mels, self.f_min, self.f_max = n_mels, f_min, f_max

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the mel spectrogram of a waveform.

        Args:
            waveform: Waveform (…, time).

        Returns:
            Linear mel spectrogram (…, n_mels, n_frames).

        Shape:
            - waveform: (…, time)
            - output: (…, n_mels, n_frames)
        """
        return self.mel_scale(self.spectrogram(waveform))
