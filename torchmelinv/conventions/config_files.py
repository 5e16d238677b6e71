"""Conventions from JSON files: a convention's own, and configurations of HiFi-GAN and VITS."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torchmelinv._utils.text import unique_keys
from torchmelinv.conventions.compression import Compression
from torchmelinv.conventions.mel_convention import MelConvention
from torchmelinv.conventions.mfcc_convention import MfccConvention
from torchmelinv.conventions.validated import R
from torchmelinv.errors import ConventionError, FileError, short

__all__ = ["read_convention", "read_mfcc_convention"]

# key of the configuration: field of the convention
_HIFIGAN_KEYS = {
    "sampling_rate": "sample_rate",
    "n_fft": "n_fft",
    "win_size": "win_length",
    "hop_size": "hop_length",
    "num_mels": "n_mels",
    "fmin": "f_min",
    "fmax": "f_max",
}
_VITS_KEYS = {
    "sampling_rate": "sample_rate",
    "filter_length": "n_fft",
    "win_length": "win_length",
    "hop_length": "hop_length",
    "n_mel_channels": "n_mels",
    "mel_fmin": "f_min",
    "mel_fmax": "f_max",
}
_SECTIONS = ("audio", "data")
_LARGEST = 2**24  # bytes of a JSON file; thousands of statistics take less than 1 MiB


def _vocoder_convention(section: Mapping[str, Any]) -> MelConvention:
    """Return the convention of HiFi-GAN's mel function with a configuration's numbers."""
    style, keys, offset = "HiFi-GAN", _HIFIGAN_KEYS, 1e-9
    if "filter_length" in section:
        style, keys, offset = "VITS", _VITS_KEYS, 1e-6
    missing = [key for key in keys if key not in section]
    if missing:
        present = ", ".join(key for key in keys if key in section)
        raise ConventionError(
            f"a {style} style configuration also needs {', '.join(missing)}; it has {present}"
        )
    return MelConvention(
        **{field: section[key] for key, field in keys.items()},
        padding="same_reflect",
        magnitude_offset=offset,
        level=Compression(log="ln", floor=1e-5),
    )


def _mel_convention(values: Any) -> MelConvention:
    if not isinstance(values, dict):
        raise ConventionError(f"a convention is a JSON object, not {type(values).__name__}")
    nested = [values[name] for name in _SECTIONS if isinstance(values.get(name), dict)]
    for section in (values, *nested):
        if "sampling_rate" in section:
            return _vocoder_convention(section)
    if "n_mfcc" in values:
        raise ConventionError(
            "it describes MFCCs, not a mel; pass it to mfcc_to_waveform or `invert --mfcc`"
        )
    if "sample_rate" not in values:
        names = ", ".join(map(short, list(values)[:30])) or "no fields"
        sections = " or ".join(map(repr, _SECTIONS))
        raise ConventionError(
            f"it holds {names}; it must hold a convention's sample_rate or, also under {sections}, "
            f"the keys of a HiFi-GAN style configuration ({', '.join(_HIFIGAN_KEYS)}) "
            f"or a VITS style one ({', '.join(_VITS_KEYS)})"
        )
    return MelConvention.from_dict(values)


def _mfcc_convention(values: Any) -> MfccConvention:
    if not isinstance(values, dict) or "n_mfcc" not in values:
        raise ConventionError(
            "it does not describe MFCCs; MfccConvention(mel=..., n_mfcc=...).to_json() writes such "
            "a file"
        )
    return MfccConvention.from_dict(values)


def _read(path: str | os.PathLike[str], make: Callable[[Any], R]) -> R:
    """Return `make(values)` for the values of a JSON file; errors start with the path."""
    name = os.fspath(path)
    try:
        status = os.stat(path)
        plain = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
        if not plain or status.st_size > _LARGEST:
            raise FileError(
                f"{name} cannot be a convention: "
                f"it must be a plain file of at most {_LARGEST} bytes"
            )
        text = Path(path).read_text(encoding="utf-8-sig")
        values = json.loads(text, object_pairs_hook=unique_keys)
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"cannot read {name}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:  # of the encoding or of the JSON
        raise FileError(f"{name} is not JSON: {error}") from None
    try:
        return make(values)
    except ConventionError as error:
        raise ConventionError(f"{name}: {error}") from None


def read_convention(path: str | os.PathLike[str]) -> MelConvention:
    """Read the mel convention of a JSON file.

    The file holds a convention as `MelConvention.to_json` writes it, or it is the ``config.json``
    of a HiFi-GAN or VITS style model, whose numbers may also stand under ``"audio"`` or ``"data"``.
    The mel of such a model is HiFi-GAN's: padding by reflection of (n_fft − hop) / 2 samples, a
    magnitude offset of 1e-9 (VITS: 1e-6), and the natural logarithm above 1e-5.

    Args:
        path: Path of the file.

    Returns:
        The convention.

    Raises:
        FileError: If the file cannot be read or is not JSON.
        ConventionError: If a field or key is missing, unknown or invalid.

    Example:
        >>> import pathlib, tempfile
        >>> import torchmelinv as tmi
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "mel.json"
        ...     _ = path.write_text(tmi.preset("hifigan_22k").to_json())
        ...     convention = tmi.read_convention(path)
        >>> convention == tmi.preset("hifigan_22k")
        True
    """
    return _read(path, _mel_convention)


def read_mfcc_convention(path: str | os.PathLike[str]) -> MfccConvention:
    """Read the MFCC convention of a JSON file, as `MfccConvention.to_json` writes it.

    Args:
        path: Path of the file.

    Returns:
        The convention.

    Raises:
        FileError: If the file cannot be read or is not JSON.
        ConventionError: If it does not describe MFCCs, or a field is invalid.

    Example:
        >>> import pathlib, tempfile
        >>> import torchmelinv as tmi
        >>> from torchmelinv.conventions.config_files import read_mfcc_convention
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "mfcc.json"
        ...     _ = path.write_text(tmi.from_librosa_mfcc(n_mfcc=13).to_json())
        ...     convention = read_mfcc_convention(path)
        >>> convention.n_mfcc
        13
    """
    return _read(path, _mfcc_convention)
