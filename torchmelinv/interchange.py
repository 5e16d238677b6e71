"""Conventions from what people already have: librosa's arguments, torchaudio's transforms, configuration files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from torchmelinv.conventions import FILTER_NORMS, Level, MelConvention
from torchmelinv.errors import ConventionError, FileError

_PADDINGS = {"reflect": "center_reflect", "constant": "center_zero"}

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


def _choose(what: str, value: Any, allowed: Mapping[Any, Any]) -> Any:
    """`allowed[value]`, or an error that names the argument."""
    if not isinstance(value, (str, bool, type(None))) or value not in allowed:
        names = ", ".join(map(repr, allowed))
        raise ConventionError(f"{what} is {value!r}, which no convention expresses; it must be one of {names}")
    return allowed[value]


def _padding(what: str, center: bool, pad_mode: Any) -> str:
    return _choose(what, pad_mode, _PADDINGS) if center else "none"


def _window_name(what: str, values: ArrayLike, length: int) -> str:
    """Which of the windows these numbers are; periodic and symmetric Hann of n samples lie about 3 / n apart."""
    try:
        numbers: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConventionError(f"{what} is {values!r}, which no convention expresses; it must be 'hann', or numbers") from None
    if numbers.shape != (length,):
        raise ConventionError(f"{what} has shape {numbers.shape}; it must be {length} numbers, one a sample")
    ramp = 2 * np.pi * np.arange(numbers.size)
    symmetric = 0.5 - 0.5 * np.cos(ramp / max(numbers.size - 1, 1))
    windows = {"hann": 0.5 - 0.5 * np.cos(ramp / numbers.size), "hann_symmetric": symmetric, "povey": symmetric**0.85}
    for name, window in windows.items():
        if np.allclose(numbers, window, rtol=0, atol=1e-6):
            return name
    raise ConventionError(f"{what} holds none of the windows that a convention expresses: {', '.join(windows)}")


def from_librosa(
    *, sr: float = 22050, n_fft: int = 2048, hop_length: int | None = 512, win_length: int | None = None,
    window: str | Callable[[int], ArrayLike] | ArrayLike = "hann", center: bool = True, pad_mode: str = "constant",
    power: float = 2.0, n_mels: int = 128, fmin: float = 0.0, fmax: float | None = None, htk: bool = False,
    norm: str | None = "slaney", level: Level | None = None, **others: Any,
) -> MelConvention:
    """The convention of `librosa.feature.melspectrogram` with the same arguments and librosa's defaults (0.9 and newer).

    Its mel is linear; `level` says what was done to it afterwards. `window` may be a name, a function or numbers, as in librosa,
    as long as it is a window that a convention has; a function such as `scipy.signal.windows.hann` gives a symmetric one.
    `ConventionError` names the argument that no convention expresses (another window, a numeric norm, another `pad_mode`).
    """
    if others:
        names = ", ".join(map(repr, others))
        raise ConventionError(f"from_librosa takes no {names}: only the settings of librosa.feature.melspectrogram, no signal")
    length = n_fft if win_length is None else win_length
    if isinstance(window, str):
        name = _choose("window", window, {"hann": "hann", "hanning": "hann"})
    else:
        name = _window_name("window", window(length) if callable(window) else window, length)
    return MelConvention(
        sample_rate=sr, n_fft=n_fft, hop_length=length // 4 if hop_length is None else hop_length, win_length=length, window=name,
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
        window=_window_name("MelSpectrogram.window_fn", window, win_length),
        padding=_padding("MelSpectrogram.pad_mode", center, pad_mode),
        window_normalized=_choose("MelSpectrogram.normalized", normalized, {False: False, True: True, "window": True}),
        power=power, n_mels=n_mels, f_min=f_min, f_max=f_max, mel_scale=scale, filter_norm=norm,
        filterbank_sample_rate=n_fft * (rate // 2) / max(n_fft // 2, 1), level=Level() if level is None else level,
    )


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
    if "sample_rate" not in values:
        raise ConventionError(
            f"it holds {', '.join(map(repr, values)) or 'no fields'}, but neither a convention's sample_rate nor, also under "
            f"{' or '.join(map(repr, _SECTIONS))}, what a configuration like HiFi-GAN's ({', '.join(_HIFIGAN_KEYS)}) "
            f"or VITS's ({', '.join(_VITS_KEYS)}) needs"
        )
    return MelConvention.from_dict(values)


def read_convention(path: str | os.PathLike[str]) -> MelConvention:
    """The convention in a JSON file: `MelConvention.to_json`'s own, or the config.json of a HiFi-GAN or VITS style model.

    Such a model's mel is HiFi-GAN's: edges reflected by (n_fft − hop) / 2, 1e-9 (VITS 1e-6) under the root, ln above 1e-5. Its
    numbers may stand under "audio" or "data". `FileError` for a file that cannot be read or is no JSON, `ConventionError` for
    one that lacks something.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise FileError(f"cannot read {os.fspath(path)}: {error.strerror or error}") from None
    except ValueError as error:  # of the encoding or of the JSON
        raise FileError(f"{os.fspath(path)} is not JSON: {error}") from None
    try:
        return _convention(values)
    except ConventionError as error:
        raise ConventionError(f"{os.fspath(path)}: {error}") from None
