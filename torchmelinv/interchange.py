"""Conventions from what people already have: librosa's arguments, torchaudio's transforms, configuration files."""

from __future__ import annotations

import json
import math
import numbers
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from torchmelinv.conventions import DCT_NORMS, FILTER_NORMS, Level, MelConvention, MfccConvention
from torchmelinv.errors import ConventionError, DependencyError, FileError, short
from torchmelinv.record import R

PAD_MODES = {"reflect": "center_reflect", "constant": "center_zero"}

# key of the file: field of the convention
_HIFIGAN_KEYS = {
    "sampling_rate": "sample_rate", "n_fft": "n_fft", "win_size": "win_length", "hop_size": "hop_length", "num_mels": "n_mels",
    "fmin": "f_min", "fmax": "f_max",
}
_VITS_KEYS = {
    "sampling_rate": "sample_rate", "filter_length": "n_fft", "win_length": "win_length", "hop_length": "hop_length",
    "n_mel_channels": "n_mels", "mel_fmin": "f_min", "mel_fmax": "f_max",
}
_SECTIONS = ("audio", "data")
_LARGEST = 2**24  # bytes of a JSON file; thousands of statistics take less than one of these 16 MiB


def _choose(what: str, value: Any, allowed: Mapping[Any, Any]) -> Any:
    """`allowed[value]`, or an error that names the argument."""
    if not isinstance(value, (str, bool, type(None))) or value not in allowed:
        names = ", ".join(map(repr, allowed))
        raise ConventionError(f"{what} is {value!r}, which no convention expresses; it must be one of {names}")
    return allowed[value]


def _padding(what: str, center: bool, pad_mode: Any) -> str:
    return _choose(what, pad_mode, PAD_MODES) if center else "none"


def _window(what: str, values: ArrayLike, length: int) -> str | tuple[float, ...]:
    """Which of the windows these numbers are, or the numbers; periodic and symmetric Hann of n samples lie about 3 / n apart."""
    try:
        numbers: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConventionError(f"{what} is {values!r}, which is no window; it must be numbers") from None
    if numbers.shape != (length,):
        raise ConventionError(f"{what} has shape {numbers.shape}; it must be {length} numbers, one a sample")
    ramp = 2 * np.pi * np.arange(numbers.size)
    symmetric = 0.5 - 0.5 * np.cos(ramp / max(numbers.size - 1, 1))
    windows = {"hann": 0.5 - 0.5 * np.cos(ramp / numbers.size), "hann_symmetric": symmetric, "povey": symmetric**0.85}
    for name, window in windows.items():
        if np.allclose(numbers, window, rtol=0, atol=1e-6):
            return name
    return tuple(numbers.tolist())


def window_of(window: Any, length: int) -> str | tuple[float, ...]:
    """librosa's `window`, as a convention has it: its name, or its numbers.

    'hann', numbers, a function of the length, or whatever else `scipy.signal.get_window` takes, where scipy is at hand.
    """
    if isinstance(window, str) and window in ("hann", "hanning"):
        return "hann"
    if callable(window):
        window = window(length)
    elif isinstance(window, (str, tuple, numbers.Real)):
        try:
            from scipy.signal import get_window
        except ImportError:
            raise DependencyError(f"window is {window!r}, which scipy names; pip install scipy, or give its numbers") from None
        try:
            window = get_window(window, length)
        except (TypeError, ValueError) as error:
            hint = "'hann', numbers, a function of their count, or what scipy.signal.get_window takes"
            raise ConventionError(f"window is {window!r}; it must be {hint} ({error})") from None
    return _window("window", window, length)


def from_librosa(
    *, sr: float = 22050, n_fft: int = 2048, hop_length: int | None = 512, win_length: int | None = None,
    window: str | Callable[[int], ArrayLike] | ArrayLike = "hann", center: bool = True, pad_mode: str = "constant",
    power: float = 2.0, n_mels: int = 128, fmin: float = 0.0, fmax: float | None = None, htk: bool = False,
    norm: str | None = "slaney", level: Level | None = None, **others: Any,
) -> MelConvention:
    """The convention of `librosa.feature.melspectrogram` with the same arguments and librosa's defaults (0.9 and newer).

    Its mel is linear; `level` says what was done to it afterwards. `window` may be a name, a function or numbers, as in librosa;
    a function such as `scipy.signal.windows.hann` gives a symmetric one.
    `ConventionError` names the argument that no convention expresses (a numeric norm, another `pad_mode`).
    """
    if others:
        names = ", ".join(map(repr, others))
        raise ConventionError(f"from_librosa takes no {names}: only the settings of librosa.feature.melspectrogram, no signal")
    length = n_fft if win_length is None else win_length
    return MelConvention(
        sample_rate=sr, n_fft=n_fft, hop_length=length // 4 if hop_length is None else hop_length, win_length=length,
        window=window_of(window, length),
        padding=_padding("pad_mode", center, pad_mode), power=power, n_mels=n_mels, f_min=fmin, f_max=fmax or 0.0,
        mel_scale="htk" if htk else "slaney", filter_norm=_choose("norm", norm, {name: name for name in FILTER_NORMS}),
        level=Level() if level is None else level,
    )


def from_torchaudio(transform: Any, *, level: Level | None = None) -> MelConvention:
    """The convention of a `torchaudio.transforms.MelSpectrogram`, or of the one inside an `MFCC`.

    Its mel is linear; `level` says what was done to it afterwards (an `AmplitudeToDB`, say). Only attributes are read: torchaudio
    itself is not imported. It spreads its bins from 0 to `sample_rate // 2`, which is not where they are for odd rates and odd
    `n_fft`; there `filterbank_sample_rate` becomes the rate at which they would be, so that the filters are torchaudio's.
    `ConventionError` names the attribute that no convention expresses.
    """
    mel = getattr(transform, "MelSpectrogram", transform)
    try:
        spectrogram, filters = mel.spectrogram, mel.mel_scale
        n_fft, rate, power, pad = int(spectrogram.n_fft), mel.sample_rate, spectrogram.power, spectrogram.pad
        hop_length, win_length = spectrogram.hop_length, spectrogram.win_length
        window = spectrogram.window.detach().cpu().numpy()
        center, pad_mode, normalized = spectrogram.center, spectrogram.pad_mode, spectrogram.normalized
        n_mels, f_min, f_max, norm, scale = filters.n_mels, filters.f_min, filters.f_max, filters.norm, filters.mel_scale
    except AttributeError:
        raise ConventionError(
            f"from_torchaudio reads a torchaudio.transforms.MelSpectrogram or MFCC, not {type(transform).__name__}; "
            "give that part alone, and what follows it (a logarithm, dB) as level="
        ) from None
    if pad != 0:
        raise ConventionError(f"MelSpectrogram.pad is {pad!r}, which no convention expresses; leave it at 0 and pad the waveform")
    return MelConvention(
        sample_rate=rate, n_fft=n_fft, hop_length=hop_length, win_length=win_length,
        window=_window("MelSpectrogram.window_fn", window, win_length),
        padding=_padding("MelSpectrogram.pad_mode", center, pad_mode),
        window_normalized=_choose("MelSpectrogram.normalized", normalized, {False: False, True: True, "window": True}),
        power=power, n_mels=n_mels, f_min=f_min, f_max=f_max, mel_scale=scale, filter_norm=norm,
        filterbank_sample_rate=n_fft * (rate // 2) / max(n_fft // 2, 1), level=Level() if level is None else level,
    )


def from_librosa_mfcc(
    *, n_mfcc: int = 20, dct_type: int = 2, norm: str | None = "ortho", lifter: float = 0, mel_norm: str | None = "slaney",
    ref: float | Callable[..., Any] = 1.0, amin: float = 1e-10, top_db: float | None = 80.0, **mel: Any,
) -> MfccConvention:
    """The convention of `librosa.feature.mfcc` with the same arguments and librosa's defaults; `mel` goes to `from_librosa`.

    `ref`, `amin`, `top_db` are those of the `librosa.power_to_db` before it: their defaults where librosa calls it, your own
    where you gave it as `S`; `ref` a number or `np.max`. librosa's peak, which `top_db` goes by, is of the whole array, ours of
    each item. For another logarithm write `MfccConvention(mel=from_librosa(..., level=...), n_mfcc=...)`.
    `ConventionError` for another `dct_type` than 2, and for what no convention expresses.
    """
    if dct_type != 2:
        raise ConventionError(f"dct_type is {dct_type!r}, which no convention expresses; it must be 2")
    if "level" in mel:
        raise ConventionError("from_librosa_mfcc takes no level: it is librosa's dB; MfccConvention takes any mel's convention")
    level = Level(log="log10", floor=amin, multiplier=10, dynamic_range=top_db)
    if isinstance(ref, numbers.Real) and math.isfinite(ref):
        level = level.replace(shift=0 - 10 * math.log10(max(amin, abs(ref))))
    elif ref is np.max or ref is np.amax:
        level = level.replace(reference_max=True)
    else:
        raise ConventionError(f"ref is {ref!r}, which no convention expresses; it must be a finite number or np.max")
    dct_norm = _choose("norm", norm, {name: name for name in DCT_NORMS})
    return MfccConvention(mel=from_librosa(norm=mel_norm, level=level, **mel), n_mfcc=n_mfcc, norm=dct_norm, lifter=lifter)


def from_torchaudio_mfcc(transform: Any) -> MfccConvention:
    """The convention of a `torchaudio.transforms.MFCC`: its mel in dB or, with `log_mels`, ln(mel + 1e-6).

    torchaudio's peak, which `top_db` goes by, is of all channels of an item, and of all items of a waveform (n_items, n_samples);
    ours of each waveform by itself. `ConventionError` as in `from_torchaudio`, and for anything that is no MFCC.
    """
    try:
        decibel, n_mfcc, norm, log_mels = transform.amplitude_to_DB, transform.n_mfcc, transform.norm, transform.log_mels
        multiplier, amin, reference, top_db = decibel.multiplier, decibel.amin, decibel.db_multiplier, decibel.top_db
    except AttributeError:
        raise ConventionError(f"from_torchaudio_mfcc reads a torchaudio MFCC transform, not {type(transform).__name__}") from None
    level = Level(log="log10", floor=amin, multiplier=multiplier, shift=0 - multiplier * reference, dynamic_range=top_db)
    if log_mels:
        level = Level(log="ln", offset=1e-6)
    return MfccConvention(mel=from_torchaudio(transform, level=level), n_mfcc=n_mfcc, norm=norm)


def _vocoder_convention(section: Mapping[str, Any]) -> MelConvention:
    """HiFi-GAN's mel function with the numbers of a HiFi-GAN or VITS configuration."""
    style, keys, offset = ("VITS", _VITS_KEYS, 1e-6) if "filter_length" in section else ("HiFi-GAN", _HIFIGAN_KEYS, 1e-9)
    missing = [key for key in keys if key not in section]
    if missing:
        there = ", ".join(key for key in keys if key in section)
        raise ConventionError(f"a {style} style configuration needs {', '.join(missing)} beside {there}")
    fields = {field: section[key] for key, field in keys.items()}
    return MelConvention(**fields, padding="same_reflect", magnitude_offset=offset, level=Level(log="ln", floor=1e-5))


def _convention(values: Any) -> MelConvention:
    if not isinstance(values, dict):
        raise ConventionError(f"a convention is a JSON object, not {type(values).__name__}")
    for section in (values, *(values[name] for name in _SECTIONS if isinstance(values.get(name), dict))):
        if "sampling_rate" in section:
            return _vocoder_convention(section)
    if "n_mfcc" in values:
        raise ConventionError("it describes MFCCs, not a mel; `invert --mfcc` and mfcc_to_waveform take it")
    if "sample_rate" not in values:
        names = ", ".join(map(short, list(values)[:30])) or "no fields"
        raise ConventionError(
            f"it holds {names}, but neither a convention's sample_rate nor, also under "
            f"{' or '.join(map(repr, _SECTIONS))}, what a configuration like HiFi-GAN's ({', '.join(_HIFIGAN_KEYS)}) "
            f"or VITS's ({', '.join(_VITS_KEYS)}) needs"
        )
    return MelConvention.from_dict(values)


def _mfcc_convention(values: Any) -> MfccConvention:
    if not isinstance(values, dict) or "n_mfcc" not in values:
        raise ConventionError("it describes no MFCCs: MfccConvention(mel=..., n_mfcc=...).to_json() writes what is needed")
    return MfccConvention.from_dict(values)


def _read(path: str | os.PathLike[str], make: Callable[[Any], R]) -> R:
    """`make` of the values in a JSON file; its errors begin with the path."""
    try:
        status = os.stat(path)
        if status.st_size > _LARGEST or not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise FileError(f"{os.fspath(path)} is no file of a convention: that is a plain file of at most {_LARGEST} bytes")
        values = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"cannot read {os.fspath(path)}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:  # of the encoding or of the JSON
        raise FileError(f"{os.fspath(path)} is not JSON: {error}") from None
    try:
        return make(values)
    except ConventionError as error:
        raise ConventionError(f"{os.fspath(path)}: {error}") from None


def read_convention(path: str | os.PathLike[str]) -> MelConvention:
    """The convention in a JSON file: `MelConvention.to_json`'s own, or the config.json of a HiFi-GAN or VITS style model.

    Such a model's mel is HiFi-GAN's: edges reflected by (n_fft − hop) / 2, 1e-9 (VITS 1e-6) under the root, ln above 1e-5. Its
    numbers may stand under "audio" or "data". `FileError` for a file that cannot be read or is no JSON, `ConventionError` for
    one that lacks something.
    """
    return _read(path, _convention)


def as_mfcc_convention(convention: MfccConvention | str | os.PathLike[str]) -> MfccConvention:
    """The record as it is, or that of the JSON file at this path, as `MfccConvention.to_json` writes it; errors as above."""
    if isinstance(convention, MfccConvention):
        return convention
    if isinstance(convention, os.PathLike) or (isinstance(convention, str) and convention.lower().endswith(".json")):
        return _read(convention, _mfcc_convention)
    came = f"the name {convention!r}" if isinstance(convention, str) else f"a {type(convention).__name__}"
    raise ConventionError(
        f"MFCCs need an MfccConvention or the path of its .json file, not {came}: MfccConvention(mel=..., n_mfcc=...), "
        "from_librosa_mfcc or from_torchaudio_mfcc make one, and its to_json() the text of the file"
    )
