"""Conventions from librosa's arguments and from torchaudio's transforms.

Neither library is imported: arguments have librosa's names and defaults, and of a torchaudio
transform only attributes are read.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from torchmelinv._utils.options import named_options
from torchmelinv.conventions.compression import Compression
from torchmelinv.conventions.mel_convention import FILTER_NORMS, MelConvention
from torchmelinv.conventions.mfcc_convention import DCT_NORMS, MfccConvention
from torchmelinv.conventions.stft_convention import Padding, WindowName
from torchmelinv.errors import ConventionError, DependencyError

__all__ = ["from_librosa", "from_librosa_mfcc", "from_torchaudio", "from_torchaudio_mfcc"]

PAD_MODES: dict[str, Padding] = {"reflect": "center_reflect", "constant": "center_zero"}
_NORMALIZED = {False: False, True: True, "window": True}


def _choose(argument: str, value: Any, allowed: Mapping[Any, Any]) -> Any:
    """Return `allowed[value]`, or raise an error that names the argument."""
    if not isinstance(value, (str, bool, type(None))) or value not in allowed:
        names = ", ".join(map(repr, allowed))
        raise ConventionError(
            f"{argument} is {value!r}, which no convention can express; it must be one of {names}"
        )
    return allowed[value]


def _padding(argument: str, center: bool, pad_mode: Any) -> Padding:
    return _choose(argument, pad_mode, PAD_MODES) if center else "none"


def _window(argument: str, values: ArrayLike, length: int) -> WindowName | tuple[float, ...]:
    """Return the name of the window with these values, or the values as a tuple.

    Periodic and symmetric Hann windows of n samples differ by about 3 / n.
    """
    try:
        samples: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConventionError(f"{argument} is {values!r}; a window must be numbers") from None
    if samples.shape != (length,):
        raise ConventionError(
            f"{argument} has shape {samples.shape}; it must be {length} numbers, one per sample"
        )
    ramp = 2 * np.pi * np.arange(samples.size)
    symmetric = 0.5 - 0.5 * np.cos(ramp / max(samples.size - 1, 1))
    windows: dict[WindowName, NDArray[np.float64]] = {
        "hann": 0.5 - 0.5 * np.cos(ramp / samples.size),
        "hann_symmetric": symmetric,
        "povey": symmetric**0.85,
    }
    for name, window in windows.items():
        if np.allclose(samples, window, rtol=0, atol=1e-6):
            return name
    return tuple(samples.tolist())


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
    return _window("window", window, length)


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
        padding=_padding("pad_mode", center, pad_mode),
        power=power,
        n_mels=n_mels,
        f_min=fmin,
        f_max=fmax or 0.0,
        mel_scale="htk" if htk else "slaney",
        filter_norm=_choose("norm", norm, {name: name for name in FILTER_NORMS}),
        level=Compression() if level is None else level,
    )


def from_torchaudio(transform: Any, *, level: Compression | None = None) -> MelConvention:
    """Return the convention of a `torchaudio.transforms.MelSpectrogram`.

    torchaudio spreads its bins from 0 to ``sample_rate // 2``. For an odd `sample_rate` or `n_fft`
    these are not the bins' frequencies. `filterbank_sample_rate` then becomes the rate at which
    they would be, so that the filters are torchaudio's.

    Args:
        transform: The transform, or an `MFCC` that has one.
        level: Compression after the transform (an `AmplitudeToDB`, for example). Default: none, a
            linear mel.

    Returns:
        The convention.

    Raises:
        ConventionError: If `transform` is of another class, or no convention can express one of its
            attributes, which the message names.

    Example:
        >>> import torchaudio, torchmelinv as tmi
        >>> transform = torchaudio.transforms.MelSpectrogram(22050, n_fft=1024, n_mels=80)
        >>> tmi.from_torchaudio(transform).hop_length
        512
    """
    mel = getattr(transform, "MelSpectrogram", transform)
    try:
        stft, filters = mel.spectrogram, mel.mel_scale
        n_fft, win_length, sample_rate = int(stft.n_fft), stft.win_length, mel.sample_rate
        pad, center, pad_mode, normalized = stft.pad, stft.center, stft.pad_mode, stft.normalized
        window = stft.window.detach().cpu().numpy()
        fields = {
            "hop_length": stft.hop_length,
            "power": stft.power,
            "n_mels": filters.n_mels,
            "f_min": filters.f_min,
            "f_max": filters.f_max,
            "mel_scale": filters.mel_scale,
            "filter_norm": filters.norm,
        }
    except AttributeError:
        raise ConventionError(
            "from_torchaudio takes a torchaudio.transforms.MelSpectrogram or MFCC, not "
            f"{type(transform).__name__}; pass that transform alone, and what follows it "
            "(a logarithm, dB) as level="
        ) from None
    if pad != 0:
        raise ConventionError(
            f"MelSpectrogram.pad is {pad!r}, which no convention can express; "
            "leave it at 0 and pad the waveform"
        )
    return MelConvention(
        sample_rate=sample_rate,
        n_fft=n_fft,
        win_length=win_length,
        window=_window("MelSpectrogram.window_fn", window, win_length),
        padding=_padding("MelSpectrogram.pad_mode", center, pad_mode),
        window_normalized=_choose("MelSpectrogram.normalized", normalized, _NORMALIZED),
        filterbank_sample_rate=n_fft * (sample_rate // 2) / max(n_fft // 2, 1),
        level=Compression() if level is None else level,
        **fields,
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
        norm=_choose("norm", norm, {name: name for name in DCT_NORMS}),
        mel=from_librosa(norm=mel_norm, level=_decibels(ref, amin, top_db), **mel),
        n_mfcc=n_mfcc,
        lifter=lifter,
    )


def from_torchaudio_mfcc(transform: Any) -> MfccConvention:
    """Return the convention of a `torchaudio.transforms.MFCC`.

    Its mel is in dB or, with `log_mels`, ln(mel + 1e-6). torchaudio takes the peak for `top_db`
    over all channels of an item, and over all items of a waveform (n_items, n_samples). The
    convention takes it over each waveform by itself.

    Args:
        transform: The transform.

    Returns:
        The convention.

    Raises:
        ConventionError: If `transform` is of another class, or no convention can express one of its
            attributes, which the message names.

    Example:
        >>> import torchaudio, torchmelinv as tmi
        >>> transform = torchaudio.transforms.MFCC(n_mfcc=13, melkwargs={"n_mels": 40})
        >>> tmi.from_torchaudio_mfcc(transform).n_mfcc
        13
    """
    try:
        n_mfcc, norm, log_mels = transform.n_mfcc, transform.norm, transform.log_mels
        decibel = transform.amplitude_to_DB
        level = Compression(
            log="log10",
            floor=decibel.amin,
            multiplier=decibel.multiplier,
            shift=0 - decibel.multiplier * decibel.db_multiplier,
            dynamic_range=decibel.top_db,
        )
    except AttributeError:
        raise ConventionError(
            "from_torchaudio_mfcc takes a torchaudio.transforms.MFCC, not "
            f"{type(transform).__name__}"
        ) from None
    if log_mels:
        level = Compression(log="ln", offset=1e-6)
    return MfccConvention(mel=from_torchaudio(transform, level=level), n_mfcc=n_mfcc, norm=norm)
