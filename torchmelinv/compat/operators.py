"""What torchaudio's modules compute, as plain functions and as operators, `torch.ops.torchmelinv`, for `torch.jit.script`.

TorchScript leaves Python alone but calls an operator by its name, wherever this module was imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from torchmelinv.analysis import root
from torchmelinv.conventions import FrameConvention
from torchmelinv.door import as_linear
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.ops.checks import as_rows
from torchmelinv.ops.precision import full_precision
from torchmelinv.phase.griffin_lim import fast_griffin_lim

T = TypeVar("T")

_made: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def _made_from(buffer: Tensor, make: Callable[[Tensor], T]) -> T:
    """`make(buffer)`, kept as long as that tensor lives and nobody writes into it: the host then waits for a device once."""
    version = None if buffer.is_inference() else buffer._version
    kept = _made.get(buffer)
    if kept is None or kept[0] != version:
        kept = _made[buffer] = (version, make(buffer.detach()))
    return kept[1]


@full_precision
def griffin_lim(
    specgram: Tensor, window: Tensor, n_fft: int, hop_length: int, power: float, n_iter: int, momentum: float,
    length: int | None, rand_init: bool,
) -> Tensor:
    """Specgram (…, n_freqs, n_frames), |STFT|^power, and the window's numbers -> waveform as long as `torch.istft` makes it."""
    numbers = _made_from(window, lambda window: tuple(window.double().tolist()))
    convention = FrameConvention(n_fft=n_fft, hop_length=hop_length, win_length=len(numbers), window=numbers)
    magnitude = root(as_rows(specgram, "specgram", convention.n_freqs).relu(), 2 / power)
    if length is None and magnitude.shape[-1] > 1:
        length = hop_length * (magnitude.shape[-1] - 1) + n_fft % 2
    start = 2 * math.pi * torch.rand_like(magnitude) if rand_init else "zero"
    return fast_griffin_lim(magnitude, convention, n_iter, momentum, start=start, length=length)


@full_precision
def inverse_mel_scale(melspec: Tensor, fb: Tensor) -> Tensor:
    """Melspec (…, n_mels, n_frames) and filters (n_freqs, n_mels) -> spectrum ≥ 0 (…, n_freqs, n_frames), the entropic one."""
    bank = _made_from(fb, lambda fb: MelFilterbank(fb.T))
    return entropic(as_linear(as_rows(melspec, "melspec", bank.n_mels)), bank)


_LIBRARY = torch.library.Library("torchmelinv", "DEF")
_LIBRARY.define(
    "griffin_lim(Tensor specgram, Tensor window, int n_fft, int hop_length, float power, int n_iter, float momentum, "
    "int? length, bool rand_init) -> Tensor"
)
_LIBRARY.define("inverse_mel_scale(Tensor melspec, Tensor fb) -> Tensor")
_LIBRARY.impl("griffin_lim", griffin_lim, "CompositeImplicitAutograd")
_LIBRARY.impl("inverse_mel_scale", inverse_mel_scale, "CompositeImplicitAutograd")
