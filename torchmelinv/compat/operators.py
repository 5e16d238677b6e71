"""The inversions of `compat.torchaudio`, as functions and as operators `torch.ops.torchmelinv`.

TorchScript cannot compile these functions, but it calls operators by name. A process that loads a
scripted module must import this module first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from torchmelinv._utils.numerics import safe_pow
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_features
from torchmelinv.conventions import STFTConvention
from torchmelinv.errors import InputError
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.reconstruct import reconstruct
from torchmelinv.transforms.mel_checks import clamp_linear_mel
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.stft import STFT

__all__ = ["griffin_lim", "inverse_mel_scale"]

T = TypeVar("T")

# buffer: (its version, what was made from it)
_cache: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def _cached(buffer: Tensor, make: Callable[[Tensor], T]) -> T:
    """Return ``make(buffer)``, cached until the buffer is changed in place or deleted.

    Reading the values of a buffer waits for its device, so it is done once.
    """
    version = None if buffer.is_inference() else buffer._version
    entry = _cache.get(buffer)
    if entry is None or entry[0] != version:
        entry = _cache[buffer] = (version, make(buffer.detach()))
    return entry[1]


def check_momentum(momentum: float) -> None:
    """Raise `InputError` unless the momentum is in torchaudio's range."""
    if not 0 <= momentum < 1:
        raise InputError(f"momentum is {momentum}; it must be in the range [0, 1)")


@full_precision
def griffin_lim(
    specgram: Tensor,
    window: Tensor,
    n_fft: int,
    hop_length: int,
    power: float,
    n_iter: int,
    momentum: float,
    length: int | None,
    rand_init: bool,
) -> Tensor:
    """Find the waveform of a spectrogram by fast Griffin-Lim.

    Args:
        specgram: Spectrogram |STFT|^power (…, n_freqs, n_frames).
        window: Window (win_length,).
        n_fft: Size of the FFT.
        hop_length: Hop in samples.
        power: Exponent of the spectrogram.
        n_iter: Number of iterations.
        momentum: Momentum of the iteration.
        length: Number of output samples. Default: as many as `torch.istft` returns.
        rand_init: Whether initial phases are random, else 0.

    Returns:
        Waveform (…, length).

    Raises:
        InputError: If the spectrogram has another shape or dtype, or the momentum is out of its
            range.
    """
    check_momentum(momentum)
    values = _cached(window, lambda window: tuple(window.double().tolist()))
    convention = STFTConvention(
        n_fft=n_fft, hop_length=hop_length, win_length=len(values), window=values
    )
    magnitude = safe_pow(check_features(specgram, "specgram", convention.n_freqs).relu(), 1 / power)
    init = 2 * math.pi * torch.rand_like(magnitude) if rand_init else "zero"
    method = GriffinLim(momentum)
    stft = STFT(convention)
    return reconstruct(method, magnitude, stft, n_iter, init=init, length=length).waveform


@full_precision
def inverse_mel_scale(melspec: Tensor, fb: Tensor) -> Tensor:
    """Find the entropic spectrogram of a mel.

    Args:
        melspec: Linear mel (…, n_mels, n_frames).
        fb: Filterbank (n_freqs, n_mels).

    Returns:
        Spectrogram (…, n_freqs, n_frames), at least 0.

    Raises:
        InputError: If the mel has another shape or dtype.
    """
    filterbank = _cached(fb, lambda fb: MelFilterbank(fb.T))
    melspec = check_features(melspec, "melspec", filterbank.n_mels)
    return entropic(clamp_linear_mel(melspec), filterbank)


_LIBRARY = torch.library.Library("torchmelinv", "DEF")
_LIBRARY.define(
    "griffin_lim(Tensor specgram, Tensor window, int n_fft, int hop_length, float power, "
    "int n_iter, float momentum, int? length, bool rand_init) -> Tensor"
)
_LIBRARY.define("inverse_mel_scale(Tensor melspec, Tensor fb) -> Tensor")
_LIBRARY.impl("griffin_lim", griffin_lim, "CompositeImplicitAutograd")
_LIBRARY.impl("inverse_mel_scale", inverse_mel_scale, "CompositeImplicitAutograd")
