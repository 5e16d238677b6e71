"""The spectrogram, with torchaudio's arguments."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from torchmelinv.compat.torchaudio._filters import make_window
from torchmelinv.errors import InputError

__all__ = ["Spectrogram"]

_NORMALIZATIONS = {False: "", True: "window", "window": "window", "frame_length": "frame_length"}


class Spectrogram(nn.Module):
    """Compute a spectrogram, as `torchaudio.transforms.Spectrogram`.

    A zero of the spectrum passes no gradient.

    Args:
        n_fft: Size of the FFT.
        win_length: Length of the window in samples. Default: `n_fft`.
        hop_length: Hop in samples. Default: ``win_length // 2``.
        pad: Zeros added to each end of the waveform, in samples.
        window_fn: Function of the length that returns the window.
        power: Exponent of |STFT|. None: return the complex STFT.
        normalized: True or ``"window"``: divide by the norm of the window. ``"frame_length"``:
            divide by √n_fft.
        wkwargs: Further arguments of `window_fn`.
        center: Whether frames are centered, which pads the waveform by ``n_fft // 2``.
        pad_mode: Padding mode of `torch.stft`.
        onesided: Whether to return only the n_fft // 2 + 1 bins of non-negative frequency.
        return_complex: Without effect; warns.

    Raises:
        InputError: If `normalized` has no such value; a ValueError.

    Example:
        >>> import torch
        >>> from torchmelinv.compat.torchaudio import Spectrogram
        >>> Spectrogram(n_fft=512)(torch.randn(2, 5120)).shape
        torch.Size([2, 257, 21])
    """

    __constants__ = ("hop_length", "n_fft", "normalized", "pad", "power", "win_length")
    window: Tensor

    def __init__(
        self,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        pad: int = 0,
        window_fn: Callable[..., Tensor] = torch.hann_window,
        power: float | None = 2.0,
        normalized: bool | str = False,
        wkwargs: dict[str, Any] | None = None,
        center: bool = True,
        pad_mode: str = "reflect",
        onesided: bool = True,
        return_complex: bool | None = None,
    ) -> None:
        super().__init__()
        if return_complex is not None:
            warnings.warn(
                "return_complex does nothing: power=None gives the complex spectrum", stacklevel=2
            )
        if not isinstance(normalized, (bool, str)) or normalized not in _NORMALIZATIONS:
            allowed = ", ".join(map(repr, _NORMALIZATIONS))
            raise InputError(f"normalized is {normalized!r}; it must be one of {allowed}")
        self.n_fft = n_fft
        self.win_length = n_fft if win_length is None else win_length
        self.hop_length = self.win_length // 2 if hop_length is None else hop_length
        self.register_buffer("window", make_window(window_fn, self.win_length, wkwargs))
        self.pad, self.power, self.normalized = pad, power, normalized
        self.center, self.pad_mode, self.onesided = center, pad_mode, onesided
        self.normalization = _NORMALIZATIONS[normalized]

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the spectrogram of a waveform.

        Args:
            waveform: Waveform (…, time).

        Returns:
            |STFT|^power (…, n_freqs, n_frames), or the complex STFT if `power` is None.

        Shape:
            - waveform: (…, time)
            - output: (…, n_freqs, n_frames)
        """
        padded = nn.functional.pad(waveform, [self.pad, self.pad])
        spectrum = torch.stft(
            padded.reshape(-1, padded.shape[-1]),
            self.n_fft,
            self.hop_length,
            self.win_length,
            self.window,
            center=self.center,
            pad_mode=self.pad_mode,
            normalized=self.normalization == "frame_length",
            onesided=self.onesided,
            return_complex=True,
        )
        spectrum = spectrum.reshape(list(waveform.shape[:-1]) + list(spectrum.shape[-2:]))
        if self.normalization == "window":
            spectrum = spectrum / self.window.square().sum().sqrt()
        if self.power is None:
            return spectrum
        if self.power == 2.0:
            return torch.view_as_real(spectrum).square().sum(-1)
        magnitude = spectrum.abs()
        if self.power >= 1.0:
            return magnitude.pow(self.power)
        # As `safe_pow`, which TorchScript cannot compile: the slope is infinite at 0 and overflows
        # float32 below its smallest normal number.
        vanishing = magnitude < 1.2e-38
        return magnitude.masked_fill(vanishing, 1.0).pow(self.power).masked_fill(vanishing, 0.0)
