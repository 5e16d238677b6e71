"""torchaudio's transforms around inversion, without torchaudio: its arguments, defaults, attributes and checkpoints.

`MelScale` and `MelSpectrogram` are equal to torchaudio's to rounding, and so is `GriffinLim` from a zero start. `InverseMelScale`
is the entropic inverse instead of clipped least squares: it has the mel that is asked for, is positive, and serves filterbanks
without full rank, on any device. Gradients are exact, half precisions come back as float32, and `torch.jit.script` takes all of
them; what calls an operator of this project needs this module imported where it is loaded.
"""

# Annotations are evaluated here, for TorchScript does not read their text.
import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from torchmelinv.compat import operators
from torchmelinv.conventions import FILTER_NORMS
from torchmelinv.errors import InputError
from torchmelinv.filterbank import mel_filters
from torchmelinv.scale import hz_to_mel

_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")
# mel to Hz in torch's own arithmetic, whose rounding moves a narrow filter by up to 1e-5
_SCALES: dict[str, Callable[[Tensor], Tensor]] = {
    "htk": lambda mel: 700.0 * (10.0 ** (mel / 2595.0) - 1.0),
    "slaney": lambda mel: torch.where(mel < 15.0, 200.0 / 3 * mel, 1000.0 * (math.log(6.4) / 27.0 * (mel - 15.0)).exp()),
}
_NORMALIZATIONS = {False: "", True: "window", "window": "window", "frame_length": "frame_length"}


def _window(window_fn: Callable[..., Tensor], win_length: int, wkwargs: dict[str, Any] | None) -> Tensor:
    return window_fn(win_length) if wkwargs is None else window_fn(win_length, **wkwargs)


def _filters(
    n_stft: int, f_min: float, f_max: float, n_mels: int, sample_rate: int, norm: str | None, mel_scale: str
) -> Tensor:
    """(n_stft, n_mels), bit for bit torchaudio's: its bins go from 0 to `sample_rate // 2`, and its edges are of float32."""
    if not f_min < f_max:
        raise InputError(f"f_min is {f_min} and f_max {f_max}; f_min must be below f_max")
    if norm not in FILTER_NORMS:
        raise InputError(f"norm is {norm!r}; it must be None or 'slaney'")
    if mel_scale not in _SCALES:
        raise InputError(f"mel_scale is {mel_scale!r}; it must be 'htk' or 'slaney'")
    low, high = hz_to_mel([f_min, f_max], mel_scale)
    edges = _SCALES[mel_scale](torch.linspace(low, high, n_mels + 2))
    filters = mel_filters(torch.linspace(0, sample_rate // 2, n_stft).numpy(), edges.numpy(), mel_scale, norm)
    empty = int((filters.max(1) == 0).sum())
    if empty:
        advice = "a larger n_fft or fewer n_mels give each filter a bin"
        warnings.warn(f"{empty} of the {n_mels} filters reach none of the {n_stft} bins: {advice}", stacklevel=3)
    return torch.from_numpy(filters).T.contiguous()


class GriffinLim(nn.Module):
    """`torchaudio.transforms.GriffinLim`: specgram (…, n_fft // 2 + 1, frames), |STFT|^power -> waveform (…, time).

    Fast Griffin-Lim in the signal domain (Perraudin et al. 2013), torchaudio's recursion: from the zero start, without
    `rand_init`, its waveform to rounding. `rand_init` draws phases uniform on the whole circle from torch's global generator,
    torchaudio other numbers. A zero in the specgram passes no gradient. `InputError`, a ValueError, for a momentum outside
    [0, 1) and for another shape.
    """

    __constants__ = ("hop_length", "length", "momentum", "n_fft", "n_iter", "power", "rand_init", "win_length")
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
        if not 0 <= momentum < 1:
            raise InputError(f"momentum is {momentum}; it must be in the range [0, 1)")
        self.n_fft, self.n_iter = n_fft, n_iter
        self.win_length = n_fft if win_length is None else win_length
        self.hop_length = self.win_length // 2 if hop_length is None else hop_length
        self.register_buffer("window", _window(window_fn, self.win_length, wkwargs))
        self.power, self.momentum = float(power), float(momentum)
        self.length, self.rand_init = length, rand_init

    def forward(self, specgram: Tensor) -> Tensor:
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            return operators.griffin_lim(
                specgram, self.window, self.n_fft, self.hop_length, self.power, self.n_iter, self.momentum, self.length,
                self.rand_init,
            )
        return torch.ops.torchmelinv.griffin_lim(
            specgram, self.window, self.n_fft, self.hop_length, self.power, self.n_iter, self.momentum, self.length,
            self.rand_init,
        )


class MelScale(nn.Module):
    """`torchaudio.transforms.MelScale`: specgram (…, n_stft, time) -> mel (…, n_mels, time), by `fb` (n_stft, n_mels).

    `InputError`, a ValueError, for bounds that leave no band and for another norm or scale.
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
        self.register_buffer("fb", _filters(n_stft, f_min, self.f_max, n_mels, sample_rate, norm, mel_scale))

    def forward(self, specgram: Tensor) -> Tensor:
        return torch.matmul(specgram.transpose(-1, -2), self.fb).transpose(-1, -2)


class InverseMelScale(nn.Module):
    """`torchaudio.transforms.InverseMelScale`: mel (…, n_mels, time) -> spectrogram ≥ 0 (…, n_stft, time), to the mel's power.

    The entropic inverse (`torchmelinv.functional.entropic`): its mel is the given one to 1e-5 where a spectrum has it, and the
    regularised nearest one otherwise; mels below 0 count as 0. Never fails, whatever the rank of `fb`. Every `driver` of
    torchaudio is taken and gives the same, for no LAPACK solver runs. `InputError`, a ValueError, for other shapes and names.
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
            raise InputError(f"driver is {driver!r}; it must be one of {', '.join(map(repr, _DRIVERS))}")
        self.n_mels, self.sample_rate, self.n_stft = n_mels, sample_rate, n_stft
        self.f_min, self.f_max = f_min, f_max or float(sample_rate // 2)
        self.norm, self.mel_scale, self.driver = norm, mel_scale, driver
        self.register_buffer("fb", _filters(n_stft, f_min, self.f_max, n_mels, sample_rate, norm, mel_scale))

    def forward(self, melspec: Tensor) -> Tensor:
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            return operators.inverse_mel_scale(melspec, self.fb)
        return torch.ops.torchmelinv.inverse_mel_scale(melspec, self.fb)


class Spectrogram(nn.Module):
    """`torchaudio.transforms.Spectrogram`: waveform (…, time) -> |STFT|^power (…, freq, time), or the STFT where power is None.

    `normalized`: divided by the window's norm (True, "window") or by √n_fft ("frame_length"). `InputError` for anything else.
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
            warnings.warn("return_complex does nothing: power=None gives the complex spectrum", stacklevel=2)
        if not isinstance(normalized, (bool, str)) or normalized not in _NORMALIZATIONS:
            raise InputError(f"normalized is {normalized!r}; it must be one of {', '.join(map(repr, _NORMALIZATIONS))}")
        self.n_fft = n_fft
        self.win_length = n_fft if win_length is None else win_length
        self.hop_length = self.win_length // 2 if hop_length is None else hop_length
        self.register_buffer("window", _window(window_fn, self.win_length, wkwargs))
        self.pad, self.power, self.normalized = pad, power, normalized
        self.center, self.pad_mode, self.onesided = center, pad_mode, onesided
        self.normalization = _NORMALIZATIONS[normalized]

    def forward(self, waveform: Tensor) -> Tensor:
        padded = nn.functional.pad(waveform, [self.pad, self.pad])
        spectrum = torch.stft(
            padded.reshape(-1, padded.shape[-1]), self.n_fft, self.hop_length, self.win_length, self.window, center=self.center,
            pad_mode=self.pad_mode, normalized=self.normalization == "frame_length", onesided=self.onesided, return_complex=True,
        )
        spectrum = spectrum.reshape(list(waveform.shape[:-1]) + list(spectrum.shape[-2:]))
        if self.normalization == "window":
            spectrum = spectrum / self.window.square().sum().sqrt()
        if self.power is None:
            return spectrum
        if self.power == 2.0:
            return torch.view_as_real(spectrum).square().sum(-1)
        return spectrum.abs().pow(self.power)


class MelSpectrogram(nn.Module):
    """`torchaudio.transforms.MelSpectrogram`: waveform (…, time) -> mel (…, n_mels, time); a `Spectrogram`, then a `MelScale`.

    `from_torchaudio` makes a convention of it, with which `MelInverter` takes its mels. `onesided` warns and does nothing.
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
            warnings.warn("onesided does nothing: half of the spectrum is all that filters see", stacklevel=2)
        self.spectrogram = Spectrogram(
            n_fft, win_length, hop_length, pad, window_fn, power, normalized, wkwargs, center, pad_mode, onesided=True
        )
        self.mel_scale = MelScale(n_mels, sample_rate, f_min, f_max, n_fft // 2 + 1, norm, mel_scale)
        self.win_length, self.hop_length = self.spectrogram.win_length, self.spectrogram.hop_length
        self.sample_rate, self.n_fft, self.pad, self.power, self.normalized = sample_rate, n_fft, pad, power, normalized
        self.n_mels, self.f_min, self.f_max = n_mels, f_min, f_max

    def forward(self, waveform: Tensor) -> Tensor:
        return self.mel_scale(self.spectrogram(waveform))
