"""Conventions by name: the presets of published models, and arguments that name a convention."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TypeGuard

from torchmelinv.conventions.config_files import read_convention, read_mfcc_convention
from torchmelinv.conventions.mel_convention import MelConvention
from torchmelinv.conventions.mfcc_convention import MfccConvention
from torchmelinv.conventions.preset_table import ROWS, Row
from torchmelinv.conventions.stft_convention import STFTConvention
from torchmelinv.errors import ConventionError, nearest

__all__ = [
    "as_convention",
    "as_mfcc_convention",
    "as_stft_convention",
    "preset",
    "preset_info",
    "preset_names",
]

_TABLE = {row.name: row for row in ROWS}


# What to use instead of another type.
_CONVENTION_HINTS = {
    "dict": " (MelConvention.from_dict makes one)",
    "MfccConvention": " (functional.mfcc_to_waveform takes MFCCs)",
}


def preset_names() -> tuple[str, ...]:
    """Return the names of all presets, families of models side by side.

    Returns:
        The names that `preset` takes.

    Example:
        >>> import torchmelinv as tmi
        >>> [name for name in tmi.preset_names() if name.startswith("whisper")]
        ['whisper_80', 'whisper_128']
    """
    return tuple(_TABLE)


def preset_info(name: str) -> Row:
    """Return where a preset's values were read, and what its mel has lost.

    Args:
        name: Name of the preset.

    Returns:
        The preset's `Row`: `source`, `commit` and `path` of the values, and a `note`.

    Raises:
        ConventionError: If there is no such preset.

    Example:
        >>> from torchmelinv.conventions.presets import preset_info
        >>> preset_info("hifigan_22k").source
        'jik876/hifi-gan'
    """
    row = _TABLE.get(name) if isinstance(name, str) else None
    if row is None:
        hint = f"preset_names() or `torchmelinv presets` lists all {len(_TABLE)}"
        raise ConventionError(f"there is no preset {name!r}{nearest(str(name), _TABLE)} ({hint})")
    return row


def preset(
    name: str,
    *,
    model_space: bool = False,
    band_mean: Iterable[float] | None = None,
    band_scale: Iterable[float] | None = None,
    **changes: Any,
) -> MelConvention:
    """Return the convention of a published model's mel.

    Args:
        name: Name of the preset, one of `preset_names`.
        model_space: Whether to add the normalization of the acoustic model to that of its mel
            function. Nothing changes for models that have none. Some models normalize with
            statistics of their training set and need `band_mean` and `band_scale`.
        band_mean: Mean of each band, n_mels numbers. With `band_scale`, any preset takes it:
            (x − band_mean) / band_scale comes last.
        band_scale: Scale of each band, n_mels numbers without 0.
        **changes: New values of fields of `MelConvention`. They apply before defaults: the `f_max`
            of a preset without its own follows a new `sample_rate`. `level` is replaced as a whole.

    Returns:
        The convention. Its mel is the one that the model's own mel function returns, or with
        `model_space` the one that the acoustic model sees.

    Raises:
        ConventionError: If there is no such preset or field, a value is invalid, or `model_space`
            needs statistics; the message names the file of the model that has them.

    Example:
        >>> import torchmelinv as tmi
        >>> tmi.preset("vits_22k", sample_rate=24000).f_max
        12000.0
        >>> tmi.preset("matcha_ljspeech", model_space=True).level.affine
        (-5.536622, 2.116101)
    """
    row = preset_info(name)
    convention = MelConvention.from_dict({**row.fields, **changes})
    statistics = {"band_mean": band_mean, "band_scale": band_scale}
    given = {field: values for field, values in statistics.items() if values is not None}
    missing = [field for field in row.needs if field not in given]
    if model_space and missing:
        arguments = ", ".join(f"{field}=..." for field in row.needs)
        raise ConventionError(
            f"the model space of {name!r} needs {' and '.join(missing)}, {convention.n_mels} "
            f"numbers each; torchmelinv does not ship them, but {row.statistics}: "
            f"preset({name!r}, model_space=True, {arguments})"
        )
    level = {**(row.model_space if model_space else {}), **given}
    if not level:
        return convention
    return convention.replace(level={**convention.level.to_dict(), **level})


def as_convention(convention: MelConvention | str | os.PathLike[str]) -> MelConvention:
    """Return the mel convention that an argument names.

    Args:
        convention: A `MelConvention`, a preset's name, or the path of a JSON file, which
            `read_convention` reads.

    Returns:
        The convention.

    Raises:
        ConventionError: If there is no such convention.
        FileError: If the file cannot be read or is not JSON.

    Example:
        >>> import torchmelinv as tmi
        >>> tmi.as_convention("hifigan_22k").n_mels
        80
    """
    if isinstance(convention, MelConvention):
        return convention
    if _is_json_path(convention):
        return read_convention(convention)
    if not isinstance(convention, str):
        kind = type(convention).__name__
        hint = _CONVENTION_HINTS.get(kind, "")
        if hasattr(convention, "mel_scale") or hasattr(convention, "MelSpectrogram"):
            hint = " (from_torchaudio reads a transform of torchaudio)"
        raise ConventionError(
            "a convention is a MelConvention, a preset's name or the path of a .json file, "
            f"not {kind}{hint}"
        )
    return preset(convention)


def as_stft_convention(convention: STFTConvention | str | os.PathLike[str]) -> STFTConvention:
    """Return the STFT convention that an argument names.

    Args:
        convention: An `STFTConvention` (a `MelConvention` is one), a preset's name, or the path of
            a JSON file.

    Returns:
        The convention, without the fields of a mel convention.

    Raises:
        ConventionError: If there is no such convention.
        FileError: If the file cannot be read or is not JSON.

    Example:
        >>> from torchmelinv.conventions.presets import as_stft_convention
        >>> as_stft_convention("hifigan_22k").hop_length
        256
    """
    if not isinstance(convention, STFTConvention):
        convention = as_convention(convention)
    return convention.stft


def as_mfcc_convention(convention: MfccConvention | str | os.PathLike[str]) -> MfccConvention:
    """Return the MFCC convention that an argument names.

    Args:
        convention: An `MfccConvention`, or the path of a JSON file.

    Returns:
        The convention.

    Raises:
        ConventionError: If there is no such convention. No preset describes MFCCs.
        FileError: If the file cannot be read or is not JSON.

    Example:
        >>> import torchmelinv as tmi
        >>> from torchmelinv.conventions.presets import as_mfcc_convention
        >>> as_mfcc_convention(tmi.from_librosa_mfcc(n_mfcc=13)).n_mfcc
        13
    """
    if isinstance(convention, MfccConvention):
        return convention
    if _is_json_path(convention):
        return read_mfcc_convention(convention)
    came = f"a {type(convention).__name__}"
    if isinstance(convention, str):
        came = f"the name {convention!r}"
    raise ConventionError(
        f"MFCCs need an MfccConvention or the path of its .json file, not {came}; make one with "
        "MfccConvention(mel=..., n_mfcc=...), from_librosa_mfcc or from_torchaudio_mfcc, and its "
        "file with to_json()"
    )


def _is_json_path(convention: object) -> TypeGuard[str | os.PathLike[str]]:
    if isinstance(convention, str):
        return convention not in _TABLE and convention.lower().endswith(".json")
    return isinstance(convention, os.PathLike)
