"""The mel filterbank and its inverse, with torchaudio's arguments."""

import torch
from torch import Tensor, nn

from torchmelinv.compat import operators
from torchmelinv.compat.torchaudio._filters import make_filters
from torchmelinv.errors import InputError

__all__ = ["InverseMelScale", "MelScale"]

_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


class MelScale(nn.Module):
    """Apply a mel filterbank, as `torchaudio.transforms.MelScale`.

    Args:
        n_mels: Number of mel filters.
        sample_rate: Sample rate in Hz.
        f_min: Lowest frequency in Hz.
        f_max: Highest frequency in Hz. Default: ``sample_rate // 2``.
        n_stft: Number of bins of the spectrogram, ``n_fft // 2 + 1``.
        norm: None, or ``"slaney"`` for filters of equal area.
        mel_scale: ``"htk"`` or ``"slaney"``.

    Raises:
        InputError: If `f_min` is not below `f_max`, or `norm` or `mel_scale` is unknown; a
            ValueError.

    Example:
        >>> import torch
        >>> from torchmelinv.compat.torchaudio import MelScale
        >>> MelScale(n_mels=64, n_stft=513)(torch.rand(2, 513, 20)).shape
        torch.Size([2, 64, 20])
    """

    __constants__ = ("f_max", "f_min", "n_mels", "n_stft", "sample_rate")
    fb: Tensor

    def __init__(
        self,
        n_mels: int = 128,
        sample_rate: int = 16000,
        f_min: float = 0.0,
        f_max: float | None = None,
        n_stft: int = 201,
        norm: str | None = None,
        mel_scale: str = "htk",
    ) -> None:
        super().__init__()
        self.n_mels, self.sample_rate, self.n_stft = n_mels, sample_rate, n_stft
        self.f_min, self.f_max = f_min, float(sample_rate // 2) if f_max is None else f_max
        self.norm, self.mel_scale = norm, mel_scale
        fb = make_filters(n_stft, f_min, self.f_max, n_mels, sample_rate, norm, mel_scale)
        self.register_buffer("fb", fb)

    def forward(self, specgram: Tensor) -> Tensor:
        """Apply the filterbank to a spectrogram.

        Args:
            specgram: Spectrogram (…, n_stft, time).

        Returns:
            Mel spectrogram (…, n_mels, time).

        Shape:
            - specgram: (…, n_stft, time)
            - output: (…, n_mels, time)
        """
        return torch.matmul(specgram.transpose(-1, -2), self.fb).transpose(-1, -2)


class InverseMelScale(nn.Module):
    """Find a spectrogram for a mel, as `torchaudio.transforms.InverseMelScale`.

    The result is the entropic inverse. On the CPU, its mel is the given one to 1e-5 if a
    spectrogram has that mel, and the regularized nearest one otherwise; values below 0 count as 0.
    It does not fail, whatever the rank of the filterbank.

    Args:
        n_stft: Number of bins of the spectrogram, ``n_fft // 2 + 1``.
        n_mels: Number of mel filters.
        sample_rate: Sample rate in Hz.
        f_min: Lowest frequency in Hz.
        f_max: Highest frequency in Hz. Default: ``sample_rate // 2``.
        norm: None, or ``"slaney"`` for filters of equal area.
        mel_scale: ``"htk"`` or ``"slaney"``.
        driver: A driver of torchaudio's least squares; without effect.

    Raises:
        InputError: If `f_min` is not below `f_max`, or `norm`, `mel_scale` or `driver` is unknown;
            a ValueError.

    Example:
        >>> import torch
        >>> from torchmelinv.compat.torchaudio import InverseMelScale
        >>> InverseMelScale(n_stft=513, n_mels=64)(torch.rand(2, 64, 20)).shape
        torch.Size([2, 513, 20])
    """

    __constants__ = ("f_max", "f_min", "n_mels", "n_stft", "sample_rate")
    fb: Tensor

    def __init__(
        self,
        n_stft: int,
        n_mels: int = 128,
        sample_rate: int = 16000,
        f_min: float = 0.0,
        f_max: float | None = None,
        norm: str | None = None,
        mel_scale: str = "htk",
        driver: str = "gels",
    ) -> None:
        super().__init__()
        if driver not in _DRIVERS:
            allowed = ", ".join(map(repr, _DRIVERS))
            raise InputError(f"driver is {driver!r}; it must be one of {allowed}")
        self.n_mels, self.sample_rate, self.n_stft = n_mels, sample_rate, n_stft
        self.f_min, self.f_max = f_min, f_max or float(sample_rate // 2)
        self.norm, self.mel_scale, self.driver = norm, mel_scale, driver
        fb = make_filters(n_stft, f_min, self.f_max, n_mels, sample_rate, norm, mel_scale)
        self.register_buffer("fb", fb)

    def forward(self, melspec: Tensor) -> Tensor:
        """Find the spectrogram of a mel.

        Args:
            melspec: Mel spectrogram (…, n_mels, time), linear.

        Returns:
            Spectrogram (…, n_stft, time), at least 0, of the mel's power.

        Raises:
            InputError: If the mel has another shape or dtype.

        Shape:
            - melspec: (…, n_mels, time)
            - output: (…, n_stft, time)
        """
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            return operators.inverse_mel_scale(melspec, self.fb)
        return torch.ops.torchmelinv.inverse_mel_scale(melspec, self.fb)
