"""The inversions of `compat.torchaudio`, as functions and as operators `torch.ops.torchmelinv`.

TorchScript cannot compile these functions, but it calls operators by name. A process that loads a
scripted module must import this module first.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from torchmelinv._utils.black_box import define_operator, needs_operator
from torchmelinv._utils.numerics import safe_pow
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.tracing import is_traced, refuse_jvp
from torchmelinv._utils.validation import check_features
from torchmelinv.conventions import STFTConvention
from torchmelinv.errors import InputError
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.reconstruct import reconstruct
from torchmelinv.transforms.mel_checks import clamp_linear_mel
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.stft import STFT
from torchmelinv.transforms.stft_plan import STFTPlan, traced_stft_plan
from torchmelinv.transforms.window import pad_window

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


class _TracedSTFT(STFT):
    """An STFT in a graph of `torch.export`, where a window has no values."""

    def __init__(self, convention: STFTConvention, window: Tensor) -> None:
        super().__init__(convention)
        self._window = window

    def plan(self, n_frames: int, n_samples: int, like: Tensor) -> STFTPlan:
        window = pad_window(self._window.to(like.dtype), self.convention)
        return traced_stft_plan(self.convention, n_frames, n_samples, window)


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
    specgram = check_features(specgram, "specgram", n_fft // 2 + 1)
    angles = 2 * math.pi * torch.rand_like(specgram) if rand_init else None
    settings = (window, angles, n_fft, hop_length, power, n_iter, momentum, length)
    if needs_operator(specgram, window):
        refuse_jvp("GriffinLim")
        return _griffin_lim_operator(specgram, *settings)
    return _griffin_lim(specgram, *settings)


def _griffin_lim(
    specgram: Tensor,
    window: Tensor,
    angles: Tensor | None,
    n_fft: int,
    hop_length: int,
    power: float,
    n_iter: int,
    momentum: float,
    length: int | None,
) -> Tensor:
    make = functools.partial(
        STFTConvention, n_fft=n_fft, hop_length=hop_length, win_length=len(window)
    )
    if is_traced(window):
        stft: STFT = _TracedSTFT(make(), window)
    else:
        stft = STFT(make(window=_cached(window, lambda each: tuple(each.double().tolist()))))
    magnitude = safe_pow(specgram.relu(), 1 / power)
    init = "zero" if angles is None else angles
    method = GriffinLim(momentum)
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
    melspec = check_features(melspec, "melspec", fb.shape[-1])
    # Filters have no values in a graph of `torch.export`.
    if needs_operator(melspec, fb) or is_traced(fb):
        refuse_jvp("InverseMelScale")
        return _inverse_mel_scale_operator(melspec, fb)
    return _inverse_mel_scale(melspec, fb)


def _inverse_mel_scale(melspec: Tensor, fb: Tensor) -> Tensor:
    filterbank = _cached(fb, lambda fb: MelFilterbank(fb.T))
    return entropic(clamp_linear_mel(melspec), filterbank)


def _griffin_lim_shape(
    specgram: Tensor, window: Any, angles: Any, n_fft: int, hop_length: int, *others: Any
) -> Sequence[int]:
    length = others[-1]
    if length is None:
        length = STFTConvention(n_fft=n_fft, hop_length=hop_length).n_samples(specgram.shape[-1])
    return *specgram.shape[:-2], length


# Compiled graphs and `torch.func` cannot read the values of a buffer.
_griffin_lim_operator = define_operator(
    "hidden_griffin_lim",
    "Tensor window, Tensor? angles, int n_fft, int hop_length, float power, int n_iter, "
    "float momentum, SymInt? length",
    _griffin_lim,
    _griffin_lim_shape,
    n_shared=1,
)
_inverse_mel_scale_operator = define_operator(
    "hidden_inverse_mel_scale",
    "Tensor fb",
    _inverse_mel_scale,
    lambda melspec, fb: (*melspec.shape[:-2], fb.shape[0], melspec.shape[-1]),
    n_shared=1,
)

_LIBRARY = torch.library.Library("torchmelinv", "DEF")
_LIBRARY.define(
    "griffin_lim(Tensor specgram, Tensor window, int n_fft, int hop_length, float power, "
    "int n_iter, float momentum, int? length, bool rand_init) -> Tensor"
)
_LIBRARY.define("inverse_mel_scale(Tensor melspec, Tensor fb) -> Tensor")
_LIBRARY.impl("griffin_lim", griffin_lim, "CompositeImplicitAutograd")
_LIBRARY.impl("inverse_mel_scale", inverse_mel_scale, "CompositeImplicitAutograd")
