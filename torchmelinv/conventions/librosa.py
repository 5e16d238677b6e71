"""Conventions from librosa's arguments: they have its names and defaults. It is not imported."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from torchmelinv._utils.options import named_options
from torchmelinv.conventions._arguments import choose, named_window, padding_of
from torchmelinv.conventions.compression import Compression
from torchmelinv.conventions.mel_convention import FILTER_NORMS, MelConvention
from torchmelinv.conventions.mfcc_convention import DCT_NORMS, MfccConvention
from torchmelinv.conventions.stft_convention import WindowName
from torchmelinv.errors import ConventionError, DependencyError

__all__ = ["from_librosa", "from_librosa_mfcc"]


def window_of(window: Any, length: int) -> WindowName | tuple[float, ...]:
    """Return librosa's argument `window` as a convention's field: a name, or its numbers.

    It may be 'hann', numbers, a function of the length, or, if scipy is installed, anything that
    `scipy.signal.get_window` takes.
    """
    if isinstance(window, str) and window in ("hann", "hanning"):
        return "hann"
    if callable(window):
        window = window(length)
    elif isinstance(window, (str, tuple, numbers.Real)):
        window = _scipy_window(window, length)
    return named_window("window", window, length)


def _scipy_window(window: Any, length: int) -> NDArray[np.float64]:
    try:
        from scipy.signal import get_window
    except ImportError:
        raise DependencyError(
            f"window is {window!r}, which needs scipy; pip install scipy, or pass its numbers"
        ) from None
    try:
        return get_window(window, length)
    except (TypeError, ValueError) as error:
        allowed = "'hann', numbers, a function of the length, or what scipy.signal.get_window takes"
        raise ConventionError(f"window is {window!r}; it must be {allowed} ({error})") from None


def _decibels(ref: float | Callable[..., Any], amin: float, top_db: float | None) -> Compression:
    """Return the compression of `librosa.power_to_db` with these arguments."""
    level = Compression(log="log10", floor=amin, multiplier=10, dynamic_range=top_db)
    if isinstance(ref, numbers.Real) and math.isfinite(ref):
        return level.replace(shift=0 - 10 * math.log10(max(amin, abs(ref))))
    if ref is np.max or ref is np.amax:
        return level.replace(reference_max=True)
    raise ConventionError(
        f"ref is {ref!r}, which no convention can express; it must be a finite number or np.max"
    )


@named_options
def from_librosa(
    *,
    sr: float = 22050,
    n_fft: int = 2048,
    hop_length: int | None = 512,
    win_length: int | None = None,
    window: str | tuple[Any, ...] | Callable[[int], ArrayLike] | ArrayLike = "hann",
    center: bool = True,
    pad_mode: Literal["constant", "reflect"] = "constant",
    power: float = 2.0,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: Literal["slaney"] | None = "slaney",
    ref: float | Callable[..., Any] | None = None,
    amin: float = 1e-10,
    top_db: float | None = 80.0,
    level: Compression | None = None,
) -> MelConvention:
    """Return the convention of `librosa.feature.melspectrogram` with the same arguments.

    The defaults are those of librosa 0.9 and newer. librosa's mel is linear. `ref` describes a
    `librosa.power_to_db` that followed, `level` anything else that was done to it.

    Args:
        sr: Sample rate in Hz.
        n_fft: FFT size in samples.
        hop_length: Samples from one frame to the next. Default for None: a quarter of `win_length`.
        win_length: Window length in samples. Default: `n_fft`.
        window: Name, numbers, or a function of the length. A function such as
            `scipy.signal.windows.hann` gives a symmetric window.
        center: Whether frames are centered, with padding on both sides.
        pad_mode: Padding of centered frames.
        power: Exponent of the magnitude.
        n_mels: Number of mel bands.
        fmin: Lowest frequency in Hz.
        fmax: Highest frequency in Hz. Default: half of `sr`.
        htk: Whether the mel scale is HTK's instead of Slaney's.
        norm: Normalization of the filters. librosa's numeric norms have no convention.
        ref: Reference of the `librosa.power_to_db` that followed: a finite number (librosa's
            default is 1) or `np.max`, with which a mel loses its level. Default: no decibels.
        amin: Floor of `librosa.power_to_db`, above 0. Only with `ref`.
        top_db: Dynamic range of `librosa.power_to_db` in dB, or None. Only with `ref`. librosa's
            peak is that of the whole array; the convention's is that of each item.
        level: Compression after librosa, instead of `ref`. Default: none, a linear mel.

    Returns:
        The convention.

    Raises:
        ConventionError: If no convention can express an argument, which the message names.
        InputError: If an argument has another name, such as librosa's signal ``y``.
        DependencyError: If the name of a window needs scipy, which is not installed.

    Example:
        >>> import torchmelinv as tmi
        >>> tmi.from_librosa(sr=16000, n_fft=400, hop_length=160, n_mels=80).padding
        'center_zero'
        >>> tmi.from_librosa() == tmi.preset("librosa_melspectrogram")
        True
        >>> import numpy as np
        >>> tmi.from_librosa(sr=44100, ref=np.max, top_db=80).level.reference_max
        True
    """
    length = n_fft if win_length is None else win_length
    if ref is not None:
        if level is not None:
            raise ConventionError("from_librosa takes ref or level, not both; leave out ref")
        if power != 2:
            raise ConventionError(
                f"ref describes librosa.power_to_db of a power mel, and power is {power}; "
                "for amplitude_to_db of a magnitude mel write level=Compression(log='log10', "
                "floor=1e-5, multiplier=20, dynamic_range=80, reference_max=True)"
            )
        level = _decibels(ref, amin, top_db)
    return MelConvention(
        sample_rate=sr,
        n_fft=n_fft,
        hop_length=length // 4 if hop_length is None else hop_length,
        win_length=length,
        window=window_of(window, length),
        padding=padding_of("pad_mode", center, pad_mode),
        power=power,
        n_mels=n_mels,
        f_min=fmin,
        f_max=fmax or 0.0,
        mel_scale="htk" if htk else "slaney",
        filter_norm=choose("norm", norm, {name: name for name in FILTER_NORMS}),
        level=Compression() if level is None else level,
    )


def from_librosa_mfcc(
    *,
    n_mfcc: int = 20,
    dct_type: Literal[2] = 2,
    norm: Literal["ortho"] | None = "ortho",
    lifter: float = 0,
    mel_norm: Literal["slaney"] | None = "slaney",
    ref: float | Callable[..., Any] = 1.0,
    amin: float = 1e-10,
    top_db: float | None = 80.0,
    **mel: Any,
) -> MfccConvention:
    """Return the convention of `librosa.feature.mfcc` with the same arguments.

    The defaults are librosa's. For a logarithm other than librosa's dB, write
    ``MfccConvention(mel=from_librosa(..., level=...), n_mfcc=...)``.

    Args:
        n_mfcc: Number of coefficients.
        dct_type: Type of the DCT. Only 2 has a convention.
        norm: Normalization of the DCT.
        lifter: L of the lifter, or 0 for none.
        mel_norm: Normalization of the mel filters.
        ref: Reference of the `librosa.power_to_db` before the DCT: a finite number or `np.max`.
            Leave `ref`, `amin` and `top_db` at their defaults unless you called `power_to_db`
            yourself and passed its result as ``S``.
        amin: Floor of `librosa.power_to_db`, above 0.
        top_db: Dynamic range of `librosa.power_to_db` in dB, or None. librosa's peak is that of the
            whole array; the convention's is that of each item.
        **mel: Arguments of `from_librosa`, except `norm` and `level`.

    Returns:
        The convention.

    Raises:
        ConventionError: If no convention can express an argument, which the message names.
        InputError: If an argument has another name, such as librosa's signal ``y``.
        DependencyError: If the name of a window needs scipy, which is not installed.

    Example:
        >>> import torchmelinv as tmi
        >>> convention = tmi.from_librosa_mfcc(n_mfcc=13, sr=16000, n_mels=40)
        >>> convention.n_mfcc, convention.mel.n_mels
        (13, 40)
    """
    if dct_type != 2:
        raise ConventionError(
            f"dct_type is {dct_type!r}, which no convention can express; it must be 2"
        )
    if "level" in mel:
        raise ConventionError(
            "from_librosa_mfcc takes no level: it uses librosa's dB; for another one write "
            "MfccConvention(mel=from_librosa(..., level=...), n_mfcc=...)"
        )
    return MfccConvention(
        norm=choose("norm", norm, {name: name for name in DCT_NORMS}),
        mel=from_librosa(norm=mel_norm, level=_decibels(ref, amin, top_db), **mel),
        n_mfcc=n_mfcc,
        lifter=lifter,
    )
