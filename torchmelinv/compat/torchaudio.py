"""torchaudio's transforms for analysis and inversion, with its arguments and attributes.

`Spectrogram`, `MelScale` and `MelSpectrogram` equal torchaudio's to rounding. So do `GriffinLim`
and the function `griffinlim` from zero phases. `InverseMelScale` is the entropic inverse instead of
clipped least squares: it has the given mel, is positive, and supports rank-deficient filterbanks,
on any device. Checkpoints of either library load in the other.

Gradients are exact, half precisions come back as float32, and `torch.jit.script` compiles all
classes. A process that loads a scripted `GriffinLim` or `InverseMelScale` must import this module.
All classes but `InverseMelScale`, which stays an operator, export to plain operations of torch.
torchaudio itself is not imported.
"""

# Without `from __future__ import annotations`: TorchScript does not read annotations that are text.
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from torchmelinv.compat import operators
from torchmelinv.compat._torchaudio_filters import make_filters, make_window
from torchmelinv.errors import InputError

__all__ = [
    "GriffinLim",
    "InverseMelScale",
    "MelScale",
    "MelSpectrogram",
    "Spectrogram",
    "griffinlim",
]

_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")
_NORMALIZATIONS = {False: "", True: "window", "window": "window", "frame_length": "frame_length"}


def griffinlim(
    specgram: Tensor,
    window: Tensor,
    n_fft: int,
    hop_length: int,
    win_length: int,
    power: float,
    n_iter: int,
    momentum: float,
    length: int | None,
    rand_init: bool,
) -> Tensor:
    """Invert a spectrogram by fast Griffin-Lim, as `torchaudio.functional.griffinlim`.

    It is `GriffinLim` as a function: the same iteration, initial phases and gradients.

    Args:
        specgram: Spectrogram |STFT|^power (…, n_fft // 2 + 1, time).
        window: Window (win_length,).
        n_fft: Size of the FFT.
        hop_length: Hop in samples.
        win_length: Length of the window in samples.
        power: Exponent of the spectrogram.
        n_iter: Number of iterations.
        momentum: Momentum, from 0 to below 1.
        length: Number of output samples. None: as many as `torch.istft` returns.
        rand_init: Whether initial phases are random, else 0.

    Returns:
        Waveform (…, length).

    Raises:
        InputError: If the spectrogram or the window has another shape or dtype, or the momentum is
            out of its range; a ValueError.

    Shape:
        - specgram: (…, n_fft // 2 + 1, time)
        - window: (win_length,)
        - output: (…, length)

    References:
        N. Perraudin, P. Balazs and P. L. Søndergaard, "A fast Griffin-Lim algorithm", WASPAA 2013.

    Example:
        >>> import torch
        >>> from torchmelinv.compat.torchaudio import griffinlim
        >>> specgram, window = torch.rand(2, 257, 20), torch.hann_window(512)
        >>> griffinlim(specgram, window, 512, 128, 512, 2.0, 4, 0.99, None, True).shape
        torch.Size([2, 2432])
    """
    if window.ndim != 1 or len(window) != win_length:
        raise InputError(
            f"the window has shape {list(window.shape)}; it must be (win_length,) = ({win_length},)"
        )
    if not torch.jit.is_scripting():  # type: ignore[attr-defined]
        return operators.griffin_lim(
            specgram, window, n_fft, hop_length, power, n_iter, momentum, length, rand_init
        )
    return torch.ops.torchmelinv.griffin_lim(
        specgram, window, n_fft, hop_length, power, n_iter, momentum, length, rand_init
    )


class GriffinLim(nn.Module):
    """Invert a spectrogram by fast Griffin-Lim, as `torchaudio.transforms.GriffinLim`.

    The iteration is torchaudio's, computed in the signal domain. With ``rand_init=False`` the
    waveform is torchaudio's to rounding. With ``rand_init=True`` the phases are uniform on the
    whole circle, drawn from torch's global generator; torchaudio draws other numbers. A zero of the
    spectrogram passes no gradient.

    Args:
        n_fft: Size of the FFT.
        n_iter: Number of iterations.
        win_length: Length of the window in samples. Default: `n_fft`.
        hop_length: Hop in samples. Default: ``win_length // 2``.
        window_fn: Function of the length that returns the window.
        power: Exponent of the spectrogram |STFT|^power.
        wkwargs: Further arguments of `window_fn`.
        momentum: Momentum, from 0 to below 1.
        length: Number of output samples. Default: as many as `torch.istft` returns.
        rand_init: Whether initial phases are random, else 0.

    Raises:
        InputError: If the momentum is out of its range; a ValueError.

    References:
        N. Perraudin, P. Balazs and P. L. Søndergaard, "A fast Griffin-Lim algorithm", WASPAA 2013.

    Example:
        >>> import torch
        >>> from torchmelinv.compat.torchaudio import GriffinLim
        >>> GriffinLim(n_fft=512, n_iter=4)(torch.rand(2, 257, 20)).shape
        torch.Size([2, 4864])
    """

    __constants__ = (
        "hop_length",
        "length",
        "momentum",
        "n_fft",
        "n_iter",
        "power",
        "rand_init",
        "win_length",
    )
    window: Tensor

    def __init__(
        self,
        n_fft: int = 400,
        n_iter: int = 32,
        win_length: int | None = None,
        hop_length: int | None = None,
        window_fn: Callable[..., Tensor] = torch.hann_window,
        power: float = 2.0,
        wkwargs: dict[str, Any] | None = None,
        momentum: float = 0.99,
        length: int | None = None,
        rand_init: bool = True,
    ) -> None:
        super().__init__()
        operators.check_momentum(momentum)
        self.n_fft, self.n_iter = n_fft, n_iter
        self.win_length = n_fft if win_length is None else win_length
        self.hop_length = self.win_length // 2 if hop_length is None else hop_length
        self.register_buffer("window", make_window(window_fn, self.win_length, wkwargs))
        self.power, self.momentum = float(power), float(momentum)
        self.length, self.rand_init = length, rand_init

    def forward(self, specgram: Tensor) -> Tensor:
        """Find the waveform of a spectrogram.

        Args:
            specgram: Spectrogram |STFT|^power (…, n_fft // 2 + 1, time).

        Returns:
            Waveform (…, length).

        Raises:
            InputError: If the spectrogram has another shape or dtype.

        Shape:
            - specgram: (…, n_fft // 2 + 1, time)
            - output: (…, length)
        """
        return griffinlim(
            specgram,
            self.window,
            self.n_fft,
            self.hop_length,
            self.win_length,
            self.power,
            self.n_iter,
            self.momentum,
            self.length,
            self.rand_init,
        )


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
